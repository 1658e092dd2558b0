package kernel

import (
	"math/rand/v2"
	"testing"
)

func TestPad(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, channels := range []int{1, 3, 17, 64} {
			const batch, height, width = 2, 3, 4
			rows, columns := []int{1, -1, 0, 1, 2, 1}, []int{-1, 0, 1, 2, 3, 3, 0}
			plan, err := NewPad(engine, batch, height, width, channels, rows, columns)
			must(t, err)
			r := rand.New(rand.NewPCG(uint64(channels), 7))
			x, dy := random(r, batch*height*width*channels), random(r, batch*len(rows)*len(columns)*channels)
			y, dx := random(r, len(dy)), random(r, len(x))
			wantY, wantX := make([]float32, len(y)), make([]float64, len(x))
			for at := range y {
				c, j, i := at%channels, at/channels%len(columns), at/channels/len(columns)%len(rows)
				n := at / channels / len(columns) / len(rows)
				if rows[i] >= 0 && columns[j] >= 0 {
					from := ((n*height+rows[i])*width+columns[j])*channels + c
					wantY[at] = x[from]
					wantX[from] += float64(dy[at])
				}
			}
			must(t, plan.Forward(y, x))
			same(t, "y", y, wantY)
			must(t, plan.Backward(dx, dy))
			near(t, "dx", dx, narrow(wantX), 6)
		}
	})
	engine := newEngine(t, "portable", 1)
	if _, err := NewPad(engine, 1, 2, 2, 1, []int{2}, []int{0}); err == nil {
		t.Error("a row that does not exist is accepted")
	}
	if _, err := NewPad(engine, 1, 2, 2, 1, nil, []int{0}); err == nil {
		t.Error("an output of no rows is accepted")
	}
}
