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
	inputShape := x.Shape().Clone()
	y, yValues := newTensor(outputShape...)
	var winners []int
	forward := &operator{
		name: "MaxPool2D", output: tensorType(4), shape: outputShape,
		differentiable: []bool{true},
		description:    Description{Kind: MaxPoolForward, Window: window},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			values, index := reference.MaxPool2DForward(pool, xValues)
			copy(yValues, values)
			winners = index
			return y, nil
		},
		gradient: func(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(inputShape...)
			backward := &operator{
				name: "MaxPool2DGradient", output: tensorType(4), shape: inputShape,
				description: Description{Kind: MaxPoolGradient, Window: window},
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					copy(dxValues, reference.MaxPool2DBackward(pool, dy, winners))
					return dx, nil
				},
			}
			// The output is an input, so that the winners are this step's; x is for
			// executors that look for them again.
			node, err := backward.apply(grad, output, inputs[0])
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
