package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// bandShapes are depthwises, and images of several bands.
func bandShapes() []DepthwiseConfig {
	return append(depthwises[:len(depthwises):len(depthwises)],
		DepthwiseConfig{1, 40, 112, 96, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
		DepthwiseConfig{2, 57, 30, 72, 5, 5, 2, 2, 2, 2, 0, 0, 1, 1},
		DepthwiseConfig{1, 19, 33, 120, 3, 3, 2, 2, 0, 0, 1, 1, 2, 1})
}

// bounded are finishes with what they make of a number.
func bounded() map[string]struct {
	finish Finish
	of     func(v float32) float32
} {
	type bound = struct {
		finish Finish
		of     func(v float32) float32
	}
	return map[string]bound{
		"plain":    {NoFinish(), func(v float32) float32 { return v }},
		"ReLU6":    {Finish{Low: 0, High: 6}, func(v float32) float32 { return min(max(v, 0), 6) }},
		"negative": {Finish{Low: nan32, High: 0}, func(v float32) float32 { return min(v, 0) }},
		"HardSwish": {Finish{Low: nan32, High: nan32, Gate: &Gate{1. / 6, 0.5}}, func(v float32) float32 {
			return v * min(max(v/6+0.5, 0), 1)
		}},
	}
}

func TestDepthwiseForward(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range bandShapes() {
			for name, bound := range bounded() {
				t.Run(fmt.Sprint(i, name), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(i), 5))
					plain, err := NewDepthwise(engine, f)
					must(t, err)
					x, w, b := random(r, plain.sizeX()), random(r, plain.sizeW()), random(r, f.Channels)
					want, got := make([]float32, plain.sizeY()), make([]float32, plain.sizeY())
					must(t, plain.Forward(want, x, w, b))
					d, err := NewDepthwiseForward(engine, f, bound.finish)
					if least := 8; f.Channels%least != 0 {
						if err == nil {
							t.Fatal("channels that are not whole vectors are no error")
						}
						return
					}
					must(t, err)
					run := func() { must(t, d.Forward(got, x, w, b)) }
					run()
					if allocations := fewestAllocations(run); allocations != 0 {
						t.Errorf("%g allocations", allocations)
					}
					for k, v := range want {
						want[k] = bound.of(v)
					}
					if name != "HardSwish" {
						same(t, name, got, want)
						return
					}
					for k, v := range want {
						if d := got[k] - v; d > 2e-6 || d < -2e-6 {
							t.Fatalf("element %d is %g, want %g", k, got[k], v)
						}
					}
				})
			}
		}
	})
}

func TestDepthwiseForwardIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		for _, f := range bandShapes() {
			if f.Channels%8 != 0 {
				continue
			}
			var first []float32
			for _, threads := range []int{1, 2, 3, 7} {
				r := rand.New(rand.NewPCG(1, 3))
				d, err := NewDepthwiseForward(newEngine(t, set, threads), f, Finish{Low: 0, High: 6})
				must(t, err)
				x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
					f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Channels)
				y := make([]float32, f.Batch*d.height*d.width*f.Channels)
				must(t, d.Forward(y, x, w, b))
				if first == nil {
					first = y
				}
				same(t, fmt.Sprintf("%+v, %d threads", f, threads), y, first)
			}
		}
	}
}
