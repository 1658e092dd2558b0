package convert

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// reshapeSizes is Reshape of integers: to a vector, or to one number.
func (r *raising) reshapeSizes(node *onnxpb.NodeProto) (operand, error) {
	list, err := r.sizesInput(node, 0)
	if err != nil {
		return operand{}, err
	}
	shape, err := r.constantSizes(node, 1, nil)
	if err != nil {
		return operand{}, err
	}
	switch n := int64(len(list.values)); {
	case len(shape) == 1 && (shape[0] == -1 || shape[0] == n):
		return operand{sizes: &sizes{values: list.values}}, nil
	case len(shape) == 0 && n == 1:
		return operand{sizes: &sizes{values: list.values, scalar: true}}, nil
	}
	return operand{}, fmt.Errorf("it gives %d sizes the shape %v; a vector or a number is needed",
		len(list.values), shape)
}

// expand repeats a constant, or a vector of integers. Of data it may change nothing.
func (r *raising) expand(node *onnxpb.NodeProto) (operand, error) {
	shape, err := r.sizesInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	if v := r.values[message.Input(node, 0)].view; v != nil {
		dims := append([]size{{n: r.batch, batch: r.batch == 0}}, sizesOfInts(v.sizes())...)
		if broadcastTo(shape.values, dims) {
			return operand{view: v}, nil
		}
		return operand{}, fmt.Errorf("it repeats the data, %v for each image, to %s; a network "+
			"has no layer that does",
			builder.Shape(v.sizes()), describeSizes(shape.values))
	}
	to, err := r.constantSizes(node, 1, nil)
	if err != nil {
		return operand{}, err
	}
	if r.isSizes(message.Input(node, 0)) {
		list, err := r.sizesInput(node, 0)
		if err != nil {
			return operand{}, err
		}
		if len(to) > 1 || len(to) == 1 && to[0] != 1 && to[0] != int64(len(list.values)) {
			return operand{}, fmt.Errorf("it repeats %d sizes to %v", len(list.values), to)
		}
		return operand{sizes: &sizes{values: list.values, scalar: list.scalar && len(to) == 0}}, nil
	}
	constant, err := r.constantInput(node, 0)
	if err != nil {
		return operand{}, err
	}
	return expanded(constant, to)
}

// expanded repeats a constant along dimensions of 1.
func expanded(constant *array, to []int64) (operand, error) {
	rank := max(len(to), len(constant.dims))
	from := append(slices.Repeat([]int{1}, rank-len(constant.dims)), constant.dims...)
	dims, elements := slices.Clone(from), 1
	for i := range to {
		at := rank - len(to) + i
		switch want := to[i]; {
		case want == 1 || want == int64(from[at]):
		case from[at] == 1 && want > 0 && want <= maxRaised:
			dims[at] = int(want)
		default:
			return operand{}, fmt.Errorf("it repeats the constant %v to %v",
				builder.Shape(constant.dims), to)
		}
	}
	walks, stride := make(axis, rank), 1
	for i := rank - 1; i >= 0; i-- {
		if dims[i] > maxRaised/elements {
			return operand{}, fmt.Errorf("it repeats a constant to more than %d values", maxRaised)
		}
		elements *= dims[i]
		if walks[i] = (walk{dims[i], stride}); from[i] == 1 {
			walks[i].stride = 0
		}
		stride *= from[i]
	}
	repeated := &array{name: constant.name, rank: constant.rank, dims: dims,
		data: make([]float32, 0, elements)}
	for _, place := range order(walks) {
		repeated.data = append(repeated.data, constant.data[place])
	}
	if elements > len(constant.data) {
		repeated.name = ""
	}
	return operand{array: repeated}, nil
}

func sizesOfInts(dims []int) []size {
	list := make([]size, len(dims))
	for i, dim := range dims {
		list[i].n = int64(dim)
	}
	return list
}

// broadcastTo reports whether broadcasting to a shape leaves data of those dimensions as they are.
func broadcastTo(shape, dims []size) bool {
	if len(shape) > len(dims) {
		return false
	}
	for i, want := range shape {
		if has := dims[len(dims)-len(shape)+i]; want != has && (want.batch || want.n != 1) {
			return false
		}
	}
	return true
}

// castLike is Cast to the type of another value, which must be float32.
func (r *raising) castLike(node *onnxpb.NodeProto) (operand, error) {
	value, like := r.values[message.Input(node, 0)], r.values[message.Input(node, 1)]
	if float := like.view != nil || like.array != nil || like.tensor != nil &&
		!r.isSizes(message.Input(node, 1)); !float || value.sizes != nil {
		return operand{}, errors.New("it casts to or from another type than float32")
	}
	if value.tensor != nil && r.isSizes(message.Input(node, 0)) {
		return operand{}, errors.New("it casts a constant of another type than float32")
	}
	return value, nil
}
