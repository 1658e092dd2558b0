package ops

import (
	"gorgonia.org/gorgonia"

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
	most := func() int { return shape[1] }
	return lossOfPlan("SoftmaxCrossEntropy", logits, labels, most, plan.Forward, plan.Backward)
}
