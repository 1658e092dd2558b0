package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/reference"
)

// ReLU applies y = max(x, 0), element by element; NaN stays NaN. Its gradient is
// dx = dy where x > 0, or x is NaN, and 0 elsewhere, at 0 too, as in PyTorch.
// (Gorgonia's Rectify multiplies by a mask, which makes NaN of −∞, and passes
// the gradient at 0.)
func ReLU(x *gorgonia.Node) (*gorgonia.Node, error) {
	return Apply(Computation{
		Name: "ReLU", Output: x.Shape(), Description: Description{Kind: ReLUForward},
		Forward: func(y []float32, in [][]float32) error {
			copy(y, reference.ReLUForward(in[0]))
			return nil
		},
		Gradients: []Gradient{{
			Of: []int{0}, ReadsOutput: true, Description: Description{Kind: ReLUGradient},
			Run: func(d [][]float32, dy, y []float32, _ [][]float32) error {
				copy(d[0], reference.ReLUBackward(dy, y))
				return nil
			},
		}},
	}, x)
}
