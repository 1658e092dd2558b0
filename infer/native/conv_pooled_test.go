package native

import (
	"testing"

	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// TestConvolutionsPooledByRows: a convolution with overlapping windows behind it is computed a few
// rows at a time where its map is large, with the bits of the two alone.
func TestConvolutionsPooledByRows(t *testing.T) {
	windows := func(size, stride int64, pads ...int64) []*onnxpb.AttributeProto {
		return []*onnxpb.AttributeProto{graphmaker.Ints("kernel_shape", size, size),
			graphmaker.Ints("strides", stride, stride), graphmaker.Ints("pads", pads...)}
	}
	for name, test := range map[string]struct {
		clipped bool
		side    int64
		pads    []int64 // of the convolution
		pool    []*onnxpb.AttributeProto
		byRows  bool
	}{
		"a network's first": {false, 96, []int64{3, 3, 3, 3}, windows(3, 2, 1, 1, 1, 1), true},
		"Clip":              {true, 104, []int64{0, 0, 0, 0}, windows(3, 2, 0, 0, 0, 0), true},
		"a small map":       {false, 24, []int64{3, 3, 3, 3}, windows(3, 2, 1, 1, 1, 1), false},
		"no overlap":        {true, 96, []int64{3, 3, 3, 3}, windows(2, 2, 0, 0, 0, 0), false},
		"uneven padding":    {false, 96, []int64{3, 2, 3, 3}, windows(3, 2, 1, 1, 1, 1), false},
		"uneven windows":    {false, 96, []int64{3, 3, 3, 3}, windows(3, 2, 0, 0, 1, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := graphmaker.New(graphmaker.Free, 3, test.side, test.side)
			g.Weight("w", -1, 1, 64, 3, 7, 7).Weight("b", -1, 1, 64).Weight("low", -1, -1)
			g.Weight("high", 1, 1).Node("c = Conv x w b", graphmaker.Ints("strides", 2, 2),
				graphmaker.Ints("pads", test.pads...))
			bound := "r = Relu c"
			if test.clipped {
				bound = "r = Clip c low high"
			}
			model := g.Node(bound).Node("y = MaxPool r", test.pool...).Model()
			side := int(test.side)
			sameAsApart(t, model, []int{1, 5, 2}, []int{3, side, side}, func(e *Evaluator) {
				plans := e.program.steps[0].convolution.pooledPlans.kept.of(e.run)
				if got := len(plans.entries) > 0; got != test.byRows {
					t.Errorf("by rows: %v", got)
				}
			})
		})
	}
}

// TestConvolutionsPooledByRowsHoldNoMap: what lies between the two is nowhere as a whole.
func TestConvolutionsPooledByRowsHoldNoMap(t *testing.T) {
	g := graphmaker.New(graphmaker.Free, 3, 224, 224)
	g.Weight("w", -1, 1, 64, 3, 3, 3).Node("c = Conv x w", graphmaker.Ints("strides", 2, 2))
	g.Node("r = Relu c").Node("y = MaxPool r", graphmaker.Ints("kernel_shape", 3, 3),
		graphmaker.Ints("strides", 2, 2))
	e := opened(t, g.Model())
	allocations := steadyAllocations(t, e, pixels(3, 3, 224, 224))
	if held, between := e.Held(), 3*64*111*111*4; held > between {
		t.Errorf("%d bytes are held, the maps between have %d", held, between)
	}
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}
