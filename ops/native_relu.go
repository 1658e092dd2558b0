package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// NativeReLU is ReLU on any layout.
func NativeReLU(kernels kernel.Engine, x *gorgonia.Node) (*gorgonia.Node, error) {
	plan, err := kernel.NewElementwise(kernels)
	if err != nil {
		return nil, err
	}
	shape := x.Shape().Clone()
	y, yValues := newTensor(shape...)
	forward := &operator{
		name: "ReLU", output: tensorType(shape.Dims()), shape: shape,
		differentiable: []bool{learned(x)},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			return y, plan.ReLU(yValues, xValues)
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			if !learned(x) {
				return gorgonia.Nodes{nil}, nil
			}
			dx, dxValues := newTensor(shape...)
			backward := &operator{
				name: "ReLUGradient", output: tensorType(shape.Dims()), shape: shape,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					var values [2][]float32
					if err := allFloat32s(values[:], inputs); err != nil {
						return nil, err
					}
					return dx, plan.ReLUGradient(dxValues, values[0], values[1])
				},
			}
			node, err := backward.apply(grad, output)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
