package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestRow(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, shape := range [][2]int{{1, 1}, {7, 3}, {16, 4}, {33, 5}, {48, 66}, {1024, 130},
			{95, 64}} {
			in, out := shape[0], shape[1]
			t.Run(fmt.Sprint(shape), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 8))
				x, w, b := random(r, in), random(r, in*out), random(r, out)
				y := make([]float32, out)
				for _, low := range []float32{nan32, 0} {
					d, err := NewRow(engine, in, out, low, w)
					must(t, err)
					run := func() { must(t, d.Forward(y, x, b)) }
					run()
					if allocations := fewestAllocations(run); allocations != 0 {
						t.Errorf("%g allocations", allocations)
					}
					want := make([]float32, out)
					for o := range out {
						sum := float64(b[o])
						for k, v := range x {
							sum += float64(v) * float64(w[o*in+k])
						}
						if low == 0 {
							sum = math.Max(sum, 0)
						}
						want[o] = float32(sum)
					}
					near(t, "y", y, want, in)
					dense, err := NewDense(engine, DenseConfig{Batch: 1, In: in, Out: out, ReLU: low == 0})
					must(t, err)
					must(t, dense.Forward(want, x, w, b))
					same(t, "y, by Dense,", y, want)
				}
			})
		}
		if _, err := NewRow(engine, 0, 1, 0, nil); err == nil {
			t.Error("no inputs are no error")
		}
	})
}
