package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// NativeSoftmaxCrossEntropy is SoftmaxCrossEntropy on the kernels.
func NativeSoftmaxCrossEntropy(kernels kernel.Engine, logits, labels *gorgonia.Node) (*gorgonia.Node, error) {
	shape, err := crossEntropyShape(logits, labels)
	if err != nil {
		return nil, err
	}
	plan, err := kernel.NewCrossEntropy(kernels, shape[0], shape[1])
	if err != nil {
		return nil, err
	}
	value := gorgonia.NewF32(0)
	forward := &operator{
		name: "SoftmaxCrossEntropy", output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: []bool{true, false},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			x, targets, err := logitsAndLabels(inputs, shape[1])
			if err != nil {
				return nil, err
			}
			loss, err := plan.Forward(x, targets)
			*value = gorgonia.F32(loss)
			return value, err
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			dx := newBuffer(shape...)
			backward := &operator{
				name: "SoftmaxCrossEntropyGradient", output: tensorType(2), shape: shape, result: dx, inside: -1,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					outer, err := scalar(inputs[0])
					if err != nil {
						return nil, err
					}
					return dx.value(), plan.Backward(dx.data(), outer)
				},
			}
			// The output is an input, so that the plan's state is this step's.
			node, err := backward.apply(grad, output)
			return gorgonia.Nodes{node, nil}, err
		},
	}
	return forward.apply(logits, labels)
}
