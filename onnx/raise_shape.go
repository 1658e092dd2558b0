package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// sizes are integers that a graph computes shapes with: a vector, or one number
// without a dimension.
type sizes struct {
	values []size
	scalar bool
}

// size is a number, or the batch dimension where that is free.
type size struct {
	n     int64
	batch bool
}

// integersOf reads a small constant of integers.
func integersOf(tensor *onnxpb.TensorProto) (*sizes, error) {
	if elements, err := elementsOf(tensor.GetDims()); err != nil || elements > maxRank || len(tensor.GetDims()) > 1 {
		return nil, fmt.Errorf("the tensor %q is %v; a number or a vector of at most %d is needed", shorten(tensor.GetName()), tensorValue(tensor), maxRank)
	}
	list := &sizes{scalar: len(tensor.GetDims()) == 0}
	if onnxpb.TensorProto_DataType(tensor.GetDataType()) == onnxpb.TensorProto_INT32 {
		values, err := int32s(tensor)
		if err != nil {
			return nil, err
		}
		for _, n := range values {
			list.values = append(list.values, size{n: int64(n)})
		}
		return list, nil
	}
	values, err := Int64s(tensor)
	if err != nil {
		return nil, err
	}
	for _, n := range values {
		list.values = append(list.values, size{n: n})
	}
	return list, nil
}

// int32s returns the values of an int32 tensor.
func int32s(tensor *onnxpb.TensorProto) ([]int32, error) {
	if err := checkTensor(tensor); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", shorten(tensor.GetName()), err)
	}
	if len(tensor.Int32Data) > 0 {
		return tensor.Int32Data, nil
	}
	values := make([]int32, len(tensor.RawData)/4)
	for i := range values {
		values[i] = int32(binary.LittleEndian.Uint32(tensor.RawData[4*i:]))
	}
	return values, nil
}

// sizesInput returns an input that is integers.
func (r *raising) sizesInput(node *onnxpb.NodeProto, i int) (*sizes, error) {
	name := inputOf(node, i)
	switch value := r.values[name]; {
	case value.sizes != nil:
		return value.sizes, nil
	case value.tensor != nil:
		return integersOf(value.tensor)
	}
	return nil, fmt.Errorf("its input %d, %q, is no shape: a network does not compute with it", i, shorten(name))
}

// constantSizes returns an input that is integers, none of them the batch, or
// otherwise where it is left out.
func (r *raising) constantSizes(node *onnxpb.NodeProto, i int, otherwise []int64) ([]int64, error) {
	if inputOf(node, i) == "" {
		return otherwise, nil
	}
	list, err := r.sizesInput(node, i)
	if err != nil {
		return nil, err
	}
	values := make([]int64, len(list.values))
	for j, value := range list.values {
		if value.batch {
			return nil, fmt.Errorf("its input %d depends on the batch", i)
		}
		values[j] = value.n
	}
	return values, nil
}

// isSizes reports whether an input is integers rather than data or weights.
func (r *raising) isSizes(name string) bool {
	value := r.values[name]
	return value.sizes != nil || value.tensor != nil && onnxpb.TensorProto_DataType(value.tensor.GetDataType()) != onnxpb.TensorProto_FLOAT
}

// shapeOf is the Shape operator. start and end came with opset 15.
func (r *raising) shapeOf(node *onnxpb.NodeProto) (operand, error) {
	value := r.values[inputOf(node, 0)]
	if value.flow == nil {
		return operand{}, errors.New("it asks for the shape of a constant")
	}
	list := &sizes{values: []size{{n: r.batch, batch: r.batch == 0}}}
	for _, dim := range value.flow.dims {
		list.values = append(list.values, size{n: int64(dim)})
	}
	c, rank := r.call(node), int64(len(list.values))
	begin, end := within(c.integer("start", 0), rank), within(c.integer("end", rank), rank)
	list.values = list.values[begin:max(begin, end)]
	return operand{sizes: list}, nil
}

// within returns an index counted from the end if negative, cut to 0…rank.
func within(index, rank int64) int64 {
	if index < 0 {
		index += rank
	}
	return min(max(index, 0), rank)
}

func (r *raising) gather(node *onnxpb.NodeProto) (operand, error) {
	from, err := r.sizesInput(node, 0)
	if err != nil {
		return operand{}, err
	}
	indices, err := r.sizesInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	list := &sizes{scalar: indices.scalar}
	for _, index := range indices.values {
		at := index.n
		if at < 0 {
			at += int64(len(from.values))
		}
		if index.batch || at < 0 || at >= int64(len(from.values)) {
			return operand{}, fmt.Errorf("its index %d is outside of the %d dimensions it takes from", index.n, len(from.values))
		}
		list.values = append(list.values, from.values[at])
	}
	return operand{sizes: list}, nil
}

func (r *raising) slice(node *onnxpb.NodeProto) (operand, error) {
	from, err := r.sizesInput(node, 0)
	if err != nil {
		return operand{}, err
	}
	c, rank := r.call(node), int64(len(from.values))
	bounds := [4][]int64{nil, nil, {0}, {1}} // starts, ends, axes, steps
	for i, name := range []string{"starts", "ends", "axes"} {
		if attribute := findAttribute(c.node, name); attribute != nil { // before opset 10
			bounds[i] = attribute.GetInts()
		}
	}
	for i := range bounds {
		if bounds[i], err = r.constantSizes(node, i+1, bounds[i]); err != nil {
			return operand{}, err
		}
		if len(bounds[i]) != 1 {
			return operand{}, fmt.Errorf("it cuts a shape with %d starts, ends, axes or steps; one of each is needed", len(bounds[i]))
		}
	}
	if bounds[2][0] != 0 && bounds[2][0] != -1 || bounds[3][0] != 1 {
		return operand{}, fmt.Errorf("it cuts a shape along axis %d in steps of %d; 0 and 1 are needed", bounds[2][0], bounds[3][0])
	}
	begin, end := within(bounds[0][0], rank), within(bounds[1][0], rank)
	return operand{sizes: &sizes{values: from.values[begin:max(begin, end)]}}, nil
}

func (r *raising) concat(node *onnxpb.NodeProto) (operand, error) {
	joined := &sizes{}
	for i, name := range node.GetInput() {
		if !r.isSizes(name) {
			return operand{}, fmt.Errorf("it joins data: its input %d is %q; a network is one chain of layers", i, shorten(name))
		}
		list, err := r.sizesInput(node, i)
		if err != nil {
			return operand{}, err
		}
		if joined.values = append(joined.values, list.values...); len(joined.values) > maxRank {
			return operand{}, fmt.Errorf("it joins a shape of more than %d dimensions", maxRank)
		}
	}
	return operand{sizes: joined}, nil
}

// reshape gives the data of each image other dimensions.
func (r *raising) reshape(node *onnxpb.NodeProto) (operand, error) {
	shape, err := r.sizesInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	copies := r.call(node).integer("allowzero", 0) == 0
	if constant, err := r.lookupConstant(inputOf(node, 0)); err != nil {
		return operand{}, err
	} else if constant != nil {
		dims, err := resolveShape(shape.values, constant.dims, copies)
		if err != nil {
			return operand{}, err
		}
		return operand{array: &array{dims: dims, data: constant.data}}, nil
	}
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	elements := builder.Shape(view.dims).Elements()
	fail := func() error {
		return fmt.Errorf("its shape is %s for images of %v; a network keeps the images of a batch apart", describeSizes(shape.values), builder.Shape(view.dims))
	}
	if len(shape.values) < 2 {
		return operand{}, fail()
	}
	first, rest := shape.values[0], shape.values[1:]
	keeps := first.batch || first.n == 0 && copies || r.batch > 0 && first.n == r.batch
	if copies { // a 0 copies the dimension at its place
		rest = slices.Clone(rest)
		for i := range rest {
			if rest[i] == (size{}) && i < len(view.dims) {
				rest[i].n = int64(view.dims[i])
			}
		}
	}
	dims, err := resolveShape(rest, []int{elements}, false)
	if err != nil || !keeps && first.n != -1 {
		return operand{}, fail()
	}
	if len(dims) == 1 {
		return r.vector(node, view, false)
	}
	return operand{flow: &flow{stage: r.stage, dims: dims, order: view.order}}, nil
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
			return nil, fmt.Errorf("its shape %s is for more than %d values", describeSizes(shape), elements)
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

func describeSizes(shape []size) string {
	parts := make([]string, len(shape))
	for i, value := range shape {
		parts[i] = fmt.Sprint(value.n)
		if value.batch {
			parts[i] = "N"
		}
	}
	return fmt.Sprint(parts)
}

// transpose rearranges a constant, or the data of each image.
func (r *raising) transpose(node *onnxpb.NodeProto) (operand, error) {
	var perm []int
	for _, axis := range findAttribute(node, "perm").GetInts() {
		perm = append(perm, int(axis))
	}
	constant, err := r.lookupConstant(inputOf(node, 0))
	if err != nil {
		return operand{}, err
	}
	if constant != nil {
		if perm == nil {
			for i := range constant.dims {
				perm = append(perm, len(constant.dims)-1-i)
			}
		}
		moved := &array{data: make([]float32, len(constant.data))}
		for i, from := range permuted(constant.dims, perm) {
			moved.data[i] = constant.data[from]
		}
		for _, axis := range perm {
			moved.dims = append(moved.dims, constant.dims[axis])
		}
		return operand{array: moved}, nil
	}
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if len(perm) != len(view.dims)+1 || perm[0] != 0 {
		return operand{}, fmt.Errorf("perm is %v; a network keeps the images of a batch apart, axis 0 first", perm)
	}
	var inner, dims []int
	for _, axis := range perm[1:] {
		inner = append(inner, axis-1)
		dims = append(dims, view.dims[axis-1])
	}
	if builder.Shape(dims).Elements() > maxRaised {
		return operand{}, fmt.Errorf("it transposes %v for each image; more than %d values are not taken", builder.Shape(view.dims), maxRaised)
	}
	order := permuted(view.dims, inner)
	if view.order != nil {
		order = compose(view.order, order)
	}
	return operand{flow: &flow{stage: r.stage, dims: dims, order: orNil(order)}}, nil
}

func (r *raising) squeeze(node *onnxpb.NodeProto) (operand, error) {
	return r.redimension(node, func(dims []int, axes []int64) ([]int, error) {
		var kept []int
		for i, dim := range dims {
			drop := slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(dims))) || axes == nil && i > 0 && dim == 1
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
		if rank > maxRank {
			return nil, fmt.Errorf("axes is %v; at most %d dimensions are allowed", axes, maxRank)
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
			return nil, fmt.Errorf("axes is %v; each must be another one of the %d dimensions", axes, rank)
		}
		return added, nil
	})
}

// redimension drops or adds dimensions of 1. axes are an attribute before opset
// 13, an input since.
func (r *raising) redimension(node *onnxpb.NodeProto, change func(dims []int, axes []int64) ([]int, error)) (operand, error) {
	axes, err := r.constantSizes(node, 1, findAttribute(node, "axes").GetInts())
	if err != nil {
		return operand{}, err
	}
	name := inputOf(node, 0)
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
		return operand{array: &array{dims: dims, data: constant.data}}, nil
	}
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	const batch = 2 // any number but 1: the batch is no axis to drop
	dims, err := change(append([]int{batch}, view.dims...), axes)
	if err != nil {
		return operand{}, err
	}
	if len(dims) < 2 || dims[0] != batch {
		return operand{}, fmt.Errorf("axes is %v; a network keeps the batch as the first dimension", axes)
	}
	if len(dims) == 2 {
		return r.vector(node, view, false)
	}
	return operand{flow: &flow{stage: r.stage, dims: dims[1:], order: view.order}}, nil
}

func dimsOf(list *sizes) []int {
	if list.scalar {
		return nil
	}
	return []int{len(list.values)}
}
