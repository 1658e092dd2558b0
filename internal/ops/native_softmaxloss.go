package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// NativeSoftmaxLoss is SoftmaxLoss on the kernels.
func NativeSoftmaxLoss(kernels kernel.Engine, logits, labels *gorgonia.Node, targets *Targets,
	config SoftmaxLossConfig) (*gorgonia.Node, error) {
	shape, err := lossShape(logits, labels, targets, config)
	if err != nil {
		return nil, err
	}
	plan, err := kernel.NewSoftmaxLoss(kernels, shape[0], shape[1], config)
	if err != nil {
		return nil, err
	}
	forward := func(x []float32, classOf []int32) (float32, error) {
		return plan.Forward(x, kernel.SoftmaxTargets{
			Labels: classOf, Others: targets.Others, Shares: targets.Shares,
			Divisor: targets.Divisor,
		})
	}
	most := func() int { return shape[1] }
	return lossOfPlan("SoftmaxLoss", logits, labels, most, forward, plan.Backward)
}

// lossOfPlan applies a loss of logits N×K and labels N that keeps state from forward to backward.
// Labels are below most.
func lossOfPlan(name string, logits, labels *gorgonia.Node, most func() int,
	forward func(x []float32, classOf []int32) (float32, error),
	backward func(dx []float32, dloss float32) error) (*gorgonia.Node, error) {
	shape := logits.Shape().Clone()
	value := gorgonia.NewF32(0)
	loss := &operator{
		name: name, output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: []bool{true, false},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			x, classOf, err := logitsAndLabels(inputs, most())
			if err != nil {
				return nil, err
			}
			y, err := forward(x, classOf)
			*value = gorgonia.F32(y)
			return value, err
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			dx := newBuffer(shape...)
			gradient := &operator{
				name: name + "Gradient", output: tensorType(2), shape: shape, result: dx, inside: -1,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					outer, err := scalar(inputs[0])
					if err != nil {
						return nil, err
					}
					return dx.value(), backward(dx.data(), outer)
				},
			}
			// The output is an input, so that the plan's state is this step's.
			node, err := gradient.apply(grad, output)
			return gorgonia.Nodes{node, nil}, err
		},
	}
	return loss.apply(logits, labels)
}
