package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/reference"
)

// AvgPool2D applies yₒ = 1/(kernel height · kernel width) · Σ over the window of
// x, N×C×H×W to N×C×H'×W'. Padding counts as zeros that are part of the mean
// (PyTorch's count_include_pad). Its gradient spreads dyₒ evenly over the
// window.
func AvgPool2D(x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
	pool, outputShape, err := window.on(x.Shape())
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "AvgPool2D", Output: outputShape, Description: Description{Kind: AvgPoolForward,
			Window: window},
		Forward: func(y []float32, in [][]float32) error {
			copy(y, reference.AvgPool2DForward(pool, in[0]))
			return nil
		},
		Gradients: []Gradient{{
			// The output and the input are for executors that ask for them.
			Of: []int{0}, ReadsOutput: true, Reads: []int{0}, Description: Description{Kind: AvgPoolGradient,
				Window: window},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				copy(d[0], reference.AvgPool2DBackward(pool, dy))
				return nil
			},
		}},
	}, x)
}
