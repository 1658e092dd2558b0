package native

import (
	"fmt"
	"slices"
	"testing"

	"slipway/internal/graphmaker"
)

// TestPaddedPictures: colour pictures are interleaved to where the padding of the first convolution
// lies around them, which gives the bits of a Pad of its own.
func TestPaddedPictures(t *testing.T) {
	for _, size := range [][2]int64{{5, 7}, {70, 129}, {1, 1}, {64, 224}} {
		pads := graphmaker.Ints("pads", 1, 2, 1, 2)
		strides := graphmaker.Ints("strides", 2, 1)
		begin := func() *graphmaker.Graph {
			return graphmaker.New(graphmaker.Free, 3, size[0], size[1]).Weight("w", -1, 1, 20, 3, 3, 3).
				Weight("b", -1, 1, 20).Integers("around", 0, 0, 1, 2, 0, 0, 1, 2)
		}
		model := begin().Node("c = Conv x w b", pads, strides).Node("y = Relu c").Model()
		e := opened(t, model)
		apart := opened(t, begin().Node("p = Pad x around").Node("c = Conv p w b", strides).
			Node("y = Relu c").Model())
		for _, images := range []int{1, 7, 2} {
			t.Run(fmt.Sprint(size, images), func(t *testing.T) {
				x := pixels(images, 3, int(size[0]), int(size[1]))
				if !slices.Equal(answer(t, e, x), answer(t, apart, x)) {
					t.Error("not the bits of a Pad of its own")
				}
				if allocations := steadyAllocations(t, e, x); allocations > 0 {
					t.Errorf("%v allocations", allocations)
				}
			})
		}
	}
}
