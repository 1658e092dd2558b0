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
	inputShape := x.Shape().Clone()
	y, yValues := newTensor(outputShape...)
	forward := &operator{
		name: "AvgPool2D", output: tensorType(4), shape: outputShape,
		differentiable: []bool{true},
		description:    Description{Kind: AvgPoolForward, Window: window},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			copy(yValues, reference.AvgPool2DForward(pool, xValues))
			return y, nil
		},
		gradient: func(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(inputShape...)
			backward := &operator{
				name: "AvgPool2DGradient", output: tensorType(4), shape: inputShape,
				description: Description{Kind: AvgPoolGradient, Window: window},
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					copy(dxValues, reference.AvgPool2DBackward(pool, dy))
					return dx, nil
				},
			}
			// The output and the input are for executors that ask for them.
			node, err := backward.apply(grad, output, inputs[0])
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
