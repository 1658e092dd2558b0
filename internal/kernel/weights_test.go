package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Weights that are held are read once, and those of the next step anew: packed, transformed, and of
// the input's gradient. What a plan makes of them does not depend on it, to the bit.
func TestHeldWeights(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, kernel := range []int{1, 3, 5} {
			for _, batch := range []int{2, 16} {
				f := Conv2DConfig{Batch: batch, Height: 12, Width: 12, Channels: 16, Filters: 16,
					KernelHeight: kernel, KernelWidth: kernel, StrideHeight: 1, StrideWidth: 1,
					FilteredGradients: true}
				held := engine
				held.Weights = new(Weights)
				engine.Weights = nil
				keeps, err := NewConv2D(held, f)
				must(t, err)
				plain, err := NewConv2D(engine, f)
				must(t, err)
				r := rand.New(rand.NewPCG(uint64(kernel), uint64(batch)))
				w, b := random(r, f.Filters*kernel*kernel*f.Channels), random(r, f.Filters)
				for step := range 3 {
					if step < 2 {
						held.Weights.Hold()
					}
					for range 3 {
						x, dy := random(r, keeps.sizeX()), random(r, keeps.sizeY())
						var results [2][2][]float32
						for i, c := range []*Conv2D{keeps, plain} {
							y, dx := make([]float32, len(dy)), make([]float32, len(x))
							must(t, c.Forward(y, x, w, b))
							must(t, c.BackwardInput(dx, dy, y, w))
							results[i] = [2][]float32{y, dx}
						}
						name := fmt.Sprint(kernel, batch, step)
						same(t, name+" y", results[0][0], results[1][0])
						same(t, name+" dx", results[0][1], results[1][1])
						if step == 2 { // nobody says that they stay
							w[0]++
						}
					}
					held.Weights.Release()
					for i := range w {
						w[i] += 0.1
					}
				}
			}
		}
	})
}

// One plan computes all groups of a convolution, each with weights of its own: those of the group
// before are not taken for them.
func TestHeldWeightsOfGroups(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, kernel := range []int{1, 3} {
			f := GroupedConv2DConfig{Groups: 2, DilationHeight: 1, DilationWidth: 1}
			f.Conv2DConfig = Conv2DConfig{Batch: 3, Height: 12, Width: 12, Channels: 32, Filters: 32,
				KernelHeight: kernel, KernelWidth: kernel, StrideHeight: 1, StrideWidth: 1,
				FilteredGradients: true}
			held := engine
			held.Weights = new(Weights)
			engine.Weights = nil
			keeps, err := NewGroupedConv2D(held, f)
			must(t, err)
			plain, err := NewGroupedConv2D(engine, f)
			must(t, err)
			r := rand.New(rand.NewPCG(uint64(kernel), 7))
			w, b := random(r, keeps.sizeW()), random(r, f.Filters)
			held.Weights.Hold()
			for range 2 {
				x, dy := random(r, keeps.sizeX()), random(r, keeps.sizeY())
				var results [2][2][]float32
				for i, c := range []*GroupedConv2D{keeps, plain} {
					y, dx := make([]float32, len(dy)), make([]float32, len(x))
					must(t, c.Forward(y, x, w, b))
					must(t, c.BackwardInput(dx, dy, y, w))
					results[i] = [2][]float32{y, dx}
				}
				same(t, fmt.Sprint(kernel, " y"), results[0][0], results[1][0])
				same(t, fmt.Sprint(kernel, " dx"), results[0][1], results[1][1])
			}
			held.Weights.Release()
		}
	})
}
