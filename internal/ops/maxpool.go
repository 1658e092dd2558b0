package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/reference"
)

// MaxPool2D applies yₒ = max over the window of x, N×C×H×W to N×C×H'×W'. Padding
// counts as −∞; a NaN in the window is its maximum. The gradient goes to the
// maximum, and to the first in reading order where there are several, as in
// PyTorch. (Gorgonia's own panics on a window of NaN.)
func MaxPool2D(x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
	pool, outputShape, err := window.on(x.Shape())
	if err != nil {
		return nil, err
	}
	var winners []int
	return Apply(Computation{
		Name: "MaxPool2D", Output: outputShape, Description: Description{Kind: MaxPoolForward,
			Window: window},
		Forward: func(y []float32, in [][]float32) error {
			values, index := reference.MaxPool2DForward(pool, in[0])
			copy(y, values)
			winners = index
			return nil
		},
		Gradients: []Gradient{{
			// The output and the input are for executors that look for the winners again.
			Of: []int{0}, ReadsOutput: true, Reads: []int{0}, Description: Description{Kind: MaxPoolGradient,
				Window: window},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				copy(d[0], reference.MaxPool2DBackward(pool, dy, winners))
				return nil
			},
		}},
	}, x)
}
