package ops

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/reference"
)

// NewLabels returns the node of a batch of labels, 0 ≤ label < classes, and the
// slice to write them into before the graph runs.
func NewLabels(g *gorgonia.ExprGraph, batch int) (*gorgonia.Node, []int32) {
	labels := make([]int32, batch)
	value := tensor.New(tensor.WithShape(batch), tensor.WithBacking(labels))
	return gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(batch), gorgonia.WithName("labels"),
		gorgonia.WithValue(value)), labels
}

// SoftmaxCrossEntropy applies the mean over the batch of the cross-entropy of
// softmax(logits) and the labels,
//
//	L = 1/N · Σₙ (log Σⱼ exp(xₙⱼ − mₙ) + mₙ − xₙ,label)   with mₙ = maxⱼ xₙⱼ,
//
// from the logits N×K themselves, so that no exponential overflows and no
// logarithm of 0 is taken. Its gradient is (softmax(xₙ) − onehot(labelₙ)) / N.
// labels is a node of NewLabels.
func SoftmaxCrossEntropy(logits, labels *gorgonia.Node) (*gorgonia.Node, error) {
	shape, err := crossEntropyShape(logits, labels)
	if err != nil {
		return nil, err
	}
	classes := shape[1]
	value := gorgonia.NewF32(0)
	forward := &operator{
		name: "SoftmaxCrossEntropy", output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: []bool{true, false},
		description:    Description{Kind: CrossEntropyForward},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			x, targets, err := logitsAndLabels(inputs, classes)
			if err != nil {
				return nil, err
			}
			*value = gorgonia.F32(reference.CrossEntropyForward(len(targets), classes, x, targets))
			return value, nil
		},
		gradient: func(inputs gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			dx := newBuffer(shape...)
			backward := &operator{
				name: "SoftmaxCrossEntropyGradient", output: tensorType(2), shape: shape, result: dx,
				inside:      -1,
				description: Description{Kind: CrossEntropyGradient},
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					x, targets, err := logitsAndLabels(inputs, classes)
					if err != nil {
						return nil, err
					}
					outer, err := scalar(inputs[2])
					if err != nil {
						return nil, err
					}
					copy(dx.data(), reference.CrossEntropyBackward(len(targets), classes, outer, x, targets))
					return dx.value(), nil
				},
			}
			node, err := backward.apply(inputs[0], inputs[1], grad)
			return gorgonia.Nodes{node, nil}, err
		},
	}
	return forward.apply(logits, labels)
}

func logitsAndLabels(inputs []gorgonia.Value, classes int) ([]float32, []int32, error) {
	x, err := float32s(inputs[0])
	if err != nil {
		return nil, nil, err
	}
	dense, ok := inputs[1].(*tensor.Dense)
	if !ok || dense.Dtype() != tensor.Int32 {
		return nil, nil, errors.New("labels are not an int32 tensor")
	}
	labels := dense.Int32s()
	for n, label := range labels {
		if label < 0 || int(label) >= classes {
			return nil, nil, fmt.Errorf("label %d of the batch is %d, outside 0…%d", n, label, classes-1)
		}
	}
	return x, labels, nil
}

// crossEntropyShape returns the shape of the logits, N×K, if there are N labels.
func crossEntropyShape(logits, labels *gorgonia.Node) (tensor.Shape, error) {
	shape := logits.Shape().Clone()
	if shape.Dims() != 2 || labels.Shape().Dims() != 1 || labels.Shape()[0] != shape[0] {
		return nil, fmt.Errorf("softmax cross-entropy: logits %v and labels %v, want N×K and N", shape,
			labels.Shape())
	}
	return shape, nil
}
