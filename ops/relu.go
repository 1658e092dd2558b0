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
	shape := x.Shape().Clone()
	y, yValues := newTensor(shape...)
	forward := &operator{
		name: "ReLU", output: tensorType(shape.Dims()), shape: shape,
		differentiable: []bool{true},
		description:    Description{Kind: ReLUForward},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			copy(yValues, reference.ReLUForward(xValues))
			return y, nil
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(shape...)
			backward := &operator{
				name: "ReLUGradient", output: tensorType(shape.Dims()), shape: shape,
				description: Description{Kind: ReLUGradient},
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					var values [2][]float32
					if err := allFloat32s(values[:], inputs); err != nil {
						return nil, err
					}
					copy(dxValues, reference.ReLUBackward(values[0], values[1]))
					return dx, nil
				},
			}
			node, err := backward.apply(grad, output)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
