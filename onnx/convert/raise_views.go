package convert

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// reshape gives the data of each image other dimensions.
func (r *raising) reshape(node *onnxpb.NodeProto) (operand, error) {
	if r.isSizes(message.Input(node, 0)) {
		return r.reshapeSizes(node)
	}
	shape, err := r.sizesInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	copies := r.call(node).integer("allowzero", 0) == 0
	if constant, err := r.lookupConstant(message.Input(node, 0)); err != nil {
		return operand{}, err
	} else if constant != nil {
		dims, err := resolveShape(shape.values, constant.dims, copies)
		if err != nil {
			return operand{}, err
		}
		return operand{array: &array{name: constant.name, rank: constant.rank, dims: dims,
			data: constant.data}}, nil
	}
	v, err := r.unsettled(node, 0)
	if err != nil {
		return operand{}, err
	}
	before := v.sizes()
	elements := builder.Shape(before).Elements()
	fail := func() error {
		return fmt.Errorf("its shape is %s for images of %v; a network keeps the images of a "+
			"batch apart",
			describeSizes(shape.values), builder.Shape(before))
	}
	if len(shape.values) < 2 {
		return operand{}, fail()
	}
	first, rest := shape.values[0], shape.values[1:]
	keeps := first.batch || first.n == 0 && copies || r.batch > 0 && first.n == r.batch
	if copies { // a 0 copies the dimension at its place
		rest = slices.Clone(rest)
		for i := range rest {
			if rest[i] == (size{}) && i < len(before) {
				rest[i].n = int64(before[i])
			}
		}
	}
	dims, err := resolveShape(rest, []int{elements}, false)
	if err != nil || !keeps && first.n != -1 {
		return operand{}, fail()
	}
	return r.seenAs(v, dims)
}

// seenAs gives a view other dimensions, and makes a vector of a map where there is
// one dimension.
func (r *raising) seenAs(v view, dims []int) (operand, error) {
	if len(dims) == 1 {
		return r.vector(v, false)
	}
	reshaped, ok := v.reshaped(dims)
	if !ok {
		return operand{}, fmt.Errorf("it makes %v of data that are rearranged, %v for each "+
			"image, across their dimensions",
			builder.Shape(dims), builder.Shape(v.sizes()))
	}
	return operand{view: &reshaped}, nil
}

// resolveShape returns the dimensions that Reshape gives an array of from's: -1
// is what is left over, and 0 the dimension at that place if it copies.
func resolveShape(shape []size, from []int, copies bool) ([]int, error) {
	dims, free, known := make([]int, len(shape)), -1, 1
	elements := builder.Shape(from).Elements()
	for i, value := range shape {
		switch {
		case value.batch:
			return nil, errors.New("its shape has the batch where a number is needed")
		case value.n == 0 && copies && i < len(from):
			dims[i] = from[i]
		case value.n == -1 && free < 0:
			free = i
			continue
		case value.n < 1 || value.n > int64(elements):
			return nil, fmt.Errorf("its shape holds %d for %d values", value.n, elements)
		default:
			dims[i] = int(value.n)
		}
		if dims[i] > elements/known {
			return nil, fmt.Errorf("its shape %s is for more than %d values",
				describeSizes(shape), elements)
		}
		known *= dims[i]
	}
	if free >= 0 {
		dims[free] = elements / known
		known *= dims[free]
	}
	if known != elements {
		return nil, fmt.Errorf("its shape %s is not for %d values", describeSizes(shape), elements)
	}
	return dims, nil
}

// transpose rearranges a constant, or the data of each image.
func (r *raising) transpose(node *onnxpb.NodeProto) (operand, error) {
	var perm []int
	for _, axis := range message.Attribute(node, "perm").GetInts() {
		perm = append(perm, int(axis))
	}
	constant, err := r.lookupConstant(message.Input(node, 0))
	if err != nil {
		return operand{}, err
	}
	if constant != nil {
		if perm == nil {
			for i := range constant.dims {
				perm = append(perm, len(constant.dims)-1-i)
			}
		}
		moved := &array{name: constant.name, rank: constant.rank,
			data: make([]float32, len(constant.data))}
		if !isPermutation(perm, len(constant.dims)) {
			return operand{}, fmt.Errorf("perm is %v; for %d dimensions it must name each once",
				perm, len(constant.dims))
		}
		for _, axis := range perm {
			moved.dims = append(moved.dims, constant.dims[axis])
		}
		for i, from := range order(plainView(0, constant.dims).transposed(perm).walks()) {
			moved.data[i] = constant.data[from]
		}
		return operand{array: moved}, nil
	}
	v, err := r.unsettled(node, 0)
	if err != nil {
		return operand{}, err
	}
	if !isPermutation(perm, len(v.dims)+1) || perm[0] != 0 {
		return operand{}, fmt.Errorf("perm is %v; a network keeps the images of a batch apart, "+
			"axis 0 first",
			perm)
	}
	inner := make([]int, 0, len(v.dims))
	for _, axis := range perm[1:] {
		inner = append(inner, axis-1)
	}
	moved := v.transposed(inner)
	return operand{view: &moved}, nil
}

func isPermutation(perm []int, rank int) bool {
	sorted := slices.Sorted(slices.Values(perm))
	for i, axis := range sorted {
		if axis != i {
			return false
		}
	}
	return len(perm) == rank
}

func (r *raising) squeeze(node *onnxpb.NodeProto) (operand, error) {
	return r.redimension(node, func(dims []int, axes []int64) ([]int, error) {
		var kept []int
		for i, dim := range dims {
			drop := slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(dims))) ||
				axes == nil && dim == 1
			if drop && dim != 1 {
				return nil, fmt.Errorf("axes is %v; the dimension %d is %d, not 1", axes, i, dim)
			}
			if !drop {
				kept = append(kept, dim)
			}
		}
		return kept, nil
	})
}

func (r *raising) unsqueeze(node *onnxpb.NodeProto) (operand, error) {
	return r.redimension(node, func(dims []int, axes []int64) ([]int, error) {
		rank := len(dims) + len(axes)
		if rank > message.MaxRank {
			return nil, fmt.Errorf("axes is %v; at most %d dimensions are allowed", axes, message.MaxRank)
		}
		added := make([]int, 0, rank)
		rest := dims
		for i := range rank {
			if slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-rank)) {
				added = append(added, 1)
			} else if len(rest) > 0 {
				added, rest = append(added, rest[0]), rest[1:]
			}
		}
		if len(added) != rank {
			return nil, fmt.Errorf("axes is %v; each must be another one of the %d dimensions",
				axes, rank)
		}
		return added, nil
	})
}

// redimension drops or adds dimensions of 1. axes are an attribute before opset
// 13, an input since.
func (r *raising) redimension(node *onnxpb.NodeProto, change func(dims []int, axes []int64) ([]int,
	error)) (operand, error) {
	axes, err := r.constantSizes(node, 1, message.Attribute(node, "axes").GetInts())
	if err != nil {
		return operand{}, err
	}
	name := message.Input(node, 0)
	if r.isSizes(name) {
		list, err := r.sizesInput(node, 0)
		if err != nil {
			return operand{}, err
		}
		dims, err := change(dimsOf(list), axes)
		if err != nil {
			return operand{}, err
		}
		if len(dims) > 1 {
			return operand{}, errors.New("it makes a matrix of a shape")
		}
		return operand{sizes: &sizes{values: list.values, scalar: len(dims) == 0}}, nil
	}
	constant, err := r.lookupConstant(name)
	if err != nil {
		return operand{}, err
	}
	if constant != nil {
		dims, err := change(constant.dims, axes)
		if err != nil {
			return operand{}, err
		}
		return operand{array: &array{name: constant.name, rank: constant.rank, dims: dims,
			data: constant.data}}, nil
	}
	v, err := r.unsettled(node, 0)
	if err != nil {
		return operand{}, err
	}
	const batch = 2 // any number but 1: the batch is no axis to drop
	dims, err := change(append([]int{batch}, v.sizes()...), axes)
	if err != nil {
		return operand{}, err
	}
	if len(dims) < 2 || dims[0] != batch {
		return operand{}, fmt.Errorf("axes is %v; a network keeps the batch as the first dimension",
			axes)
	}
	return r.seenAs(v, dims[1:])
}
