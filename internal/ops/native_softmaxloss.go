package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// NativeSoftmaxLoss is SoftmaxLoss on the kernels. Where the batch lies in several shards, each has
// a loss of its own (ShardLossesOf), and the targets' divisor is that of each.
func NativeSoftmaxLoss(kernels kernel.Engine, logits, labels *gorgonia.Node, targets *Targets,
	config SoftmaxLossConfig, shards int) (*gorgonia.Node, error) {
	shape, err := lossShape(logits, labels, targets, config)
	if err != nil {
		return nil, err
	}
	most := func() int { return shape[1] }
	return lossOfPlans("SoftmaxLoss", Description{}, logits, labels, most, shards,
		func(shard, images int) (l lossPlan, err error) {
			plan, err := kernel.NewSoftmaxLoss(kernels, images, shape[1], config)
			if err != nil {
				return l, err
			}
			own := targets.share(shard, shards)
			return lossPlan{func(x []float32, classOf []int32) (float32, error) {
				return plan.Forward(x, kernel.SoftmaxTargets{
					Labels: classOf, Others: own.Others, Shares: own.Shares,
					Divisor: targets.Divisor,
				})
			}, plan.Backward}, nil
		})
}

// lossPlan is a loss of logits N×K and labels N that keeps state from forward to backward.
type lossPlan struct {
	forward  func(x []float32, classOf []int32) (float32, error)
	backward func(dx []float32, dloss float32) error
}

// lossOfPlans applies a loss to the shards of a batch, one if there are none, each by a plan of its
// own for its images. The output is their mean. Labels are below most. The description is for other
// executors, of plain loops alone.
func lossOfPlans(name string, described Description, logits, labels *gorgonia.Node,
	most func() int, shards int, newPlan func(shard, images int) (lossPlan, error)) (*gorgonia.Node,
	error) {
	shape := logits.Shape().Clone()
	shards = max(shards, 1)
	if shape[0]%shards != 0 {
		return nil, fmt.Errorf("%s: %d images in %d shards", name, shape[0], shards)
	}
	plans := make([]lossPlan, shards)
	for k := range plans {
		var err error
		if plans[k], err = newPlan(k, shape[0]/shards); err != nil {
			return nil, err
		}
	}
	value, losses := gorgonia.NewF32(0), make([]float32, shards)
	loss := &operator{
		losses: losses, description: described,
		name: name, output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: []bool{true, false},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			x, classOf, err := logitsAndLabels(inputs, most())
			if err != nil {
				return nil, err
			}
			sum := float32(0)
			for k, plan := range plans {
				losses[k], err = plan.forward(kernel.ShareOf(x, k, shards), kernel.ShareOf(classOf, k, shards))
				if err != nil {
					return nil, err
				}
				sum += losses[k]
			}
			*value = gorgonia.F32(sum / float32(shards))
			return value, nil
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			dx := newBuffer(shape...)
			gradient := &operator{
				name: name + "Gradient", output: tensorType(2), shape: shape, result: dx, inside: -1,
				description: described.Gradient(),
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					outer, err := scalar(inputs[0])
					if err != nil {
						return nil, err
					}
					for k, plan := range plans {
						if err := plan.backward(kernel.ShareOf(dx.data(), k, shards), outer); err != nil {
							return nil, err
						}
					}
					return dx.value(), nil
				},
			}
			// The output is an input, so that the plan's state is this step's.
			node, err := gradient.apply(grad, output)
			return gorgonia.Nodes{node, nil}, err
		},
	}
	return loss.apply(logits, labels)
}

// ShardLossesOf returns the losses of the shards of a batch whose mean the node is, as they were at
// the last run.
func ShardLossesOf(node *gorgonia.Node) []float32 {
	if op, ours := node.Op().(*operator); ours {
		return op.losses
	}
	return nil
}
