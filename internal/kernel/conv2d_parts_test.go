package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestDirectPlansStoreSumsOnce: a Direct plan takes a sum in few parts, which do not change it.
func TestDirectPlansStoreSumsOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for channels, parts := range map[int]int{64: 1, 512: 6} {
			f := Conv2DConfig{Batch: 2, Height: 5, Width: 4, Channels: channels, Filters: 72,
				KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1, PaddingHeight: 1,
				PaddingWidth: 1, Direct: true}
			c, err := NewConv2D(engine, f)
			must(t, err)
			if len(c.parts) > parts {
				t.Errorf("%d channels are summed in %d parts", channels, len(c.parts))
			}
			r := rand.New(rand.NewPCG(uint64(channels), 1))
			x, w, b := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters)
			once, often := make([]float32, c.sizeY()), make([]float32, c.sizeY())
			must(t, c.Forward(once, x, w, b))
			c.parts = splitDepth(c.engine.Set, panelBytes, f.KernelHeight, c.run, 4*c.rowSize)
			must(t, c.Forward(often, x, w, b))
			same(t, fmt.Sprintf("%d channels", channels), once, often)
		}
	})
}
