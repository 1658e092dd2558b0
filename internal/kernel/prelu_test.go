package kernel

import (
	"math/rand/v2"
	"testing"
)

func TestPReLU(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range channelsConfigs {
			for _, shared := range []bool{false, true} {
				plan, err := NewPReLU(engine, f.rows(), f.Channels, shared)
				must(t, err)
				slopes := f.Channels
				if shared {
					slopes = 1
				}
				r := rand.New(rand.NewPCG(uint64(f.elements()), 8))
				x, dy, w := random(r, f.elements()), random(r, f.elements()), random(r, slopes)
				x[0] = 0
				y, dx, dw := make([]float32, len(x)), make([]float32, len(x)), make([]float32, slopes)
				wantY, wantX, wantW := make([]float32, len(x)), make([]float32, len(x)), make([]float64, slopes)
				for i := range x {
					slope := float32(1)
					if at := i % f.Channels % slopes; x[i] <= 0 {
						slope = w[at]
						wantW[at] += float64(x[i]) * float64(dy[i])
					}
					wantY[i], wantX[i] = slope*x[i], slope*dy[i]
				}
				must(t, plan.Forward(y, x, w))
				same(t, "y", y, wantY)
				for range 2 { // the second time with sums of the first
					must(t, plan.Backward(dx, dw, dy, x, w))
					same(t, "dx", dx, wantX)
					near(t, "dw", dw, narrow(wantW), 1)
				}
				must(t, plan.Backward(dx, nil, dy, x, w))
				same(t, "dx alone", dx, wantX)
				must(t, plan.Backward(nil, dw, dy, x, w))
				near(t, "dw alone", dw, narrow(wantW), 1)
				if plan.Forward(y, x, make([]float32, slopes+1)) == nil {
					t.Error("slopes of another number are accepted")
				}
			}
		}
	})
}
