package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestConv2DFinish(t *testing.T) {
	shapes := []Conv2DConfig{
		{Batch: 2, Height: 7, Width: 9, Channels: 5, Filters: 24, KernelHeight: 3, KernelWidth: 3,
			PaddingHeight: 1, PaddingWidth: 1},
		{Batch: 1, Height: 14, Width: 14, Channels: 96, Filters: 37, KernelHeight: 1, KernelWidth: 1},
		{Batch: 3, Height: 5, Width: 4, Channels: 160, Filters: 64, KernelHeight: 3, KernelWidth: 3,
			PaddingHeight: 1, PaddingWidth: 1},
		{Batch: 1, Height: 6, Width: 6, Channels: 8, Filters: 3, KernelHeight: 2, KernelWidth: 2},
	}
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range shapes {
			f.StrideHeight, f.StrideWidth, f.Direct = 1, 1, true
			for name, bound := range bounded() {
				t.Run(fmt.Sprint(i, name), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(i), 6))
					plain, err := NewConv2D(engine, f)
					must(t, err)
					x, w, b := random(r, plain.sizeX()), random(r, f.Filters*plain.depth), random(r, f.Filters)
					want, got, z := make([]float32, plain.sizeY()), make([]float32, plain.sizeY()), random(r,
						plain.sizeY())
					must(t, plain.Forward(want, x, w, b))
					c, err := NewConv2D(engine, f)
					must(t, err)
					c.Finish(bound.finish)
					run := func() { must(t, c.ForwardAdd(got, x, w, b, z)) }
					run()
					if allocations := fewestAllocations(run); allocations != 0 {
						t.Errorf("%g allocations", allocations)
					}
					check := func(what string, add []float32) {
						for k, v := range want {
							v = bound.of(v + add[k])
							if d := got[k] - v; d > 4e-6 || d < -4e-6 {
								t.Fatalf("%s: element %d is %g, want %g", what, k, got[k], v)
							}
						}
					}
					check("a sum", z)
					must(t, c.Forward(got, x, w, b))
					check("alone", make([]float32, len(z)))
				})
			}
		}
	})
}
