package onnx

import (
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// reduceMean takes the mean over a whole map, of data N×C×H×W or N×H×W×C, as a
// pooling whose window is the map, and a Flatten where the dimensions go.
func (r *raising) reduceMean(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	axes, err := r.constantSizes(node, 1, findAttribute(node, "axes").GetInts()) // an input since opset 18
	if err != nil {
		return operand{}, err
	}
	rank := len(view.dims) + 1
	meant := slices.Clone(axes)
	for i := range meant {
		if meant[i] < 0 {
			meant[i] += int64(rank)
		}
	}
	slices.Sort(meant)
	first, last := rank == 4 && slices.Equal(meant, []int64{2, 3}), rank == 4 && slices.Equal(meant, []int64{1, 2})
	if !first && !last {
		return operand{}, fmt.Errorf("it takes the mean over axes %v of %d; a network takes it over a whole map, axes [2 3] of N×C×H×W or [1 2] of N×H×W×C", axes, rank)
	}
	if view, err = r.start(view, first); err != nil {
		return operand{}, err
	}
	switch {
	case first:
		if err := r.image(node); err != nil {
			return operand{}, err
		}
	case len(r.shape) != 3 || r.shape.Elements() > maxRaised || !slices.Equal(view.order, permuted(r.shape, []int{1, 2, 0})):
		return operand{}, fmt.Errorf("it takes the mean over axes %v of data that are not channels last; a network takes it over a whole map", axes)
	}
	pool := builder.AvgPool2D{Name: r.layerName(node, ""), Kernel: builder.Size{Height: r.shape[1], Width: r.shape[2]}}
	if err := r.emit(raised{layer: pool}); err != nil {
		return operand{}, err
	}
	pooled := &flow{stage: r.stage, dims: r.shape}
	if r.call(node).integer("keepdims", 1) == 0 {
		return r.vector(node, pooled, false)
	}
	if last {
		pooled.dims = []int{1, 1, r.shape[0]} // in the order that they had
	}
	return operand{flow: pooled}, nil
}

// logSoftmax is refused: training needs the logits before it, and the builder's
// network of probabilities ends in Softmax.
func (r *raising) logSoftmax(node *onnxpb.NodeProto) (operand, error) {
	return operand{}, fmt.Errorf("a network has no layer for the operator LogSoftmax; name its input %q as the output that the network ends in: the logits, of the same labels and the same loss",
		shorten(inputOf(node, 0)))
}
