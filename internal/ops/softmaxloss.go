package ops

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/reference"
)

// SoftmaxLossConfig says what a softmax loss is beside cross-entropy: label smoothing, focal loss's
// γ, and weights by class.
type SoftmaxLossConfig = kernel.SoftmaxLossConfig

// Targets are what the images of a batch should be, beside the labels of NewLabels: they are
// written before the graph runs.
type Targets struct {
	// Others and Shares mix a second label into each image: it is its label to the share of
	// Shares and the other to the rest. Both are of the batch's length, or nil.
	Others []int32
	Shares []float32
	// Divisor is what the sum over the images is divided by, the sum of the images' weights if 0. A
	// part of a batch takes its share of the whole batch's.
	Divisor float64
	// Combinations are those of a multi-label set, nil of another one: labels, and Others, are places
	// in it, and an image is of each label there. Of the binary loss alone.
	Combinations [][]int32
}

// SoftmaxLoss applies a loss of softmax(logits) against targets, with p = softmax(xₙ), weights w by
// class, and a label a and another one b to the share of s and 1−s (s is 1 without Others):
//
//	L = 1/D · Σₙ Σₖ tₙₖ·wₖ · (1 − pₙₖ)^γ · (−log pₙₖ)
//	tₙ = (1−ε)·(s·onehot(a) + (1−s)·onehot(b)) + ε/K     D = Σₙ (s·w_a + (1−s)·w_b)
//
// Each special case is somebody's: γ = 0 is PyTorch's CrossEntropyLoss(weight, label_smoothing)
// with its weighted mean, and against a share timm's SoftTargetCrossEntropy; γ > 0 is the focal
// loss of Lin et al. (2017), with w for their α. The logits are N×K; the gradient by xₙⱼ is
//
//	1/D · (gⱼ − pₙⱼ·Σₖ gₖ)     gₖ = tₙₖ·wₖ · (γ·(1−pₙₖ)^(γ−1)·pₙₖ·log pₙₖ − (1−pₙₖ)^γ)
func SoftmaxLoss(logits, labels *gorgonia.Node, targets *Targets, config SoftmaxLossConfig) (
	*gorgonia.Node, error,
) {
	shape, err := lossShape(logits, labels, targets, config)
	if err != nil {
		return nil, err
	}
	classes := shape[1]
	prepared := func(inputs []gorgonia.Value) (reference.SoftmaxLoss, []float32, error) {
		x, classOf, err := logitsAndLabels(inputs, classes)
		if err != nil {
			return reference.SoftmaxLoss{}, nil, err
		}
		for n, other := range targets.Others {
			if other < 0 || int(other) >= classes {
				return reference.SoftmaxLoss{}, nil,
					fmt.Errorf("the other label of image %d is %d, outside 0…%d",
						n, other, classes-1)
			}
		}
		l := reference.SoftmaxLoss{Batch: shape[0], Classes: classes, Gamma: config.Gamma}
		l.Coefficients, l.Divisor = reference.Targets(classes, classOf, targets.Others,
			targets.Shares, config.Smoothing, config.Weights)
		if targets.Divisor != 0 {
			l.Divisor = targets.Divisor
		}
		return l, x, nil
	}
	describe := func(kind Kind) Description {
		return Description{Kind: kind, Loss: config, Targets: targets}
	}
	value := gorgonia.NewF32(0)
	forward := &operator{
		name: "SoftmaxLoss", output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		description:    describe(SoftmaxLossForward),
		differentiable: []bool{true, false},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			l, x, err := prepared(inputs)
			if err != nil {
				return nil, err
			}
			*value = gorgonia.F32(reference.SoftmaxLossForward(l, x))
			return value, nil
		},
		gradient: func(inputs gorgonia.Nodes, loss, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes,
			error) {
			dx := newBuffer(shape...)
			backward := &operator{
				name: "SoftmaxLossGradient", output: tensorType(2), shape: shape, result: dx,
				inside: -1, description: describe(SoftmaxLossGradient),
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					l, x, err := prepared(inputs)
					if err != nil {
						return nil, err
					}
					outer, err := scalar(inputs[2])
					if err != nil {
						return nil, err
					}
					copy(dx.data(), reference.SoftmaxLossBackward(l, outer, x))
					return dx.value(), nil
				},
			}
			// The loss is for executors that keep its divisor.
			node, err := backward.apply(inputs[0], inputs[1], grad, loss)
			return gorgonia.Nodes{node, nil}, err
		},
	}
	return forward.apply(logits, labels)
}

// lossShape returns the shape of the logits, N×K, if targets and weights go with it.
func lossShape(logits, labels *gorgonia.Node, targets *Targets, config SoftmaxLossConfig) (
	tensor.Shape, error,
) {
	shape, err := crossEntropyShape(logits, labels)
	if err != nil {
		return nil, err
	}
	if targets == nil {
		return nil, errors.New("loss: no targets")
	}
	if targets.Others != nil && (len(targets.Others) != shape[0] || len(targets.Shares) != shape[0]) {
		return nil, fmt.Errorf("loss: %d other labels and %d shares of %d images",
			len(targets.Others), len(targets.Shares), shape[0])
	}
	if config.Weights != nil && len(config.Weights) != shape[1] {
		return nil, fmt.Errorf("loss: %d weights of %d classes", len(config.Weights), shape[1])
	}
	return shape, nil
}
