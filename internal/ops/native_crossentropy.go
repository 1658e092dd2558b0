package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// NativeSoftmaxCrossEntropy is SoftmaxCrossEntropy on the kernels. Where the batch lies in several
// shards, each has a loss of its own (ShardLossesOf).
func NativeSoftmaxCrossEntropy(kernels kernel.Engine, logits, labels *gorgonia.Node, shards int) (
	*gorgonia.Node, error) {
	shape, err := crossEntropyShape(logits, labels)
	if err != nil {
		return nil, err
	}
	most := func() int { return shape[1] }
	return lossOfPlans("SoftmaxCrossEntropy", Description{}, logits, labels, most, shards,
		func(_, images int) (l lossPlan, err error) {
			plan, err := kernel.NewCrossEntropy(kernels, images, shape[1])
			if err != nil {
				return l, err
			}
			return lossPlan{plan.Forward, plan.Backward}, nil
		})
}
