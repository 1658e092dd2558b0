package convert

import (
	"encoding/binary"
	"errors"
	"fmt"

	"slipway/onnx"
	"slipway/onnx/internal/message"
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
	if elements, err := message.Elements(tensor.GetDims()); err != nil || elements > message.MaxRank ||
		len(tensor.GetDims()) > 1 {
		return nil, fmt.Errorf("the tensor %q is %v; a number or a vector of at most %d is needed",
			message.Shorten(tensor.GetName()), describeTensor(tensor), message.MaxRank)
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
	values, err := onnx.Int64s(tensor)
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
	if err := message.CheckTensor(tensor); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", message.Shorten(tensor.GetName()), err)
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
	name := message.Input(node, i)
	switch value := r.values[name]; {
	case value.sizes != nil:
		return value.sizes, nil
	case value.tensor != nil:
		return integersOf(value.tensor)
	}
	return nil, fmt.Errorf("its input %d, %q, is no shape: a network does not compute with it",
		i, message.Shorten(name))
}

// constantSizes returns an input that is integers, none of them the batch, or
// otherwise where it is left out.
func (r *raising) constantSizes(node *onnxpb.NodeProto, i int, otherwise []int64) ([]int64, error) {
	if message.Input(node, i) == "" {
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
	return value.sizes != nil || value.tensor != nil &&
		onnxpb.TensorProto_DataType(value.tensor.GetDataType()) != onnxpb.TensorProto_FLOAT
}

// shapeOperator is the Shape operator. start and end came with opset 15.
func (r *raising) shapeOperator(node *onnxpb.NodeProto) (operand, error) {
	list := &sizes{}
	if value := r.values[message.Input(node, 0)]; value.view != nil {
		list.values = append([]size{{n: r.batch, batch: r.batch == 0}},
			sizesOfInts(value.view.sizes())...)
	} else {
		constant, err := r.constantInput(node, 0)
		if err != nil {
			return operand{}, err
		}
		list.values = sizesOfInts(constant.dims)
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
	if r.values[message.Input(node, 0)].view != nil {
		return operand{}, errors.New("it takes a part of the data; a network has no layer that " +
			"does")
	}
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
			return operand{}, fmt.Errorf("its index %d is outside of the %d dimensions it takes "+
				"from",
				index.n, len(from.values))
		}
		list.values = append(list.values, from.values[at])
	}
	return operand{sizes: list}, nil
}

func (r *raising) slice(node *onnxpb.NodeProto) (operand, error) {
	if r.values[message.Input(node, 0)].view != nil {
		return operand{}, errors.New("it takes a part of the data; a network has no layer that " +
			"does")
	}
	from, err := r.sizesInput(node, 0)
	if err != nil {
		return operand{}, err
	}
	c, rank := r.call(node), int64(len(from.values))
	bounds := [4][]int64{nil, nil, {0}, {1}} // starts, ends, axes, steps
	for i, name := range []string{"starts", "ends", "axes"} {
		if attribute := message.Attribute(c.node, name); attribute != nil { // before opset 10
			bounds[i] = attribute.GetInts()
		}
	}
	for i := range bounds {
		if bounds[i], err = r.constantSizes(node, i+1, bounds[i]); err != nil {
			return operand{}, err
		}
		if len(bounds[i]) != 1 {
			return operand{}, fmt.Errorf("it cuts a shape with %d starts, ends, axes or steps; "+
				"one of each is needed",
				len(bounds[i]))
		}
	}
	if bounds[2][0] != 0 && bounds[2][0] != -1 || bounds[3][0] != 1 {
		return operand{}, fmt.Errorf("it cuts a shape along axis %d in steps of %d; 0 and 1 are "+
			"needed",
			bounds[2][0], bounds[3][0])
	}
	begin, end := within(bounds[0][0], rank), within(bounds[1][0], rank)
	return operand{sizes: &sizes{values: from.values[begin:max(begin, end)]}}, nil
}

// joinSizes is Concat of integers.
func (r *raising) joinSizes(node *onnxpb.NodeProto) (operand, error) {
	joined := &sizes{}
	for i := range node.GetInput() {
		list, err := r.sizesInput(node, i)
		if err != nil {
			return operand{}, err
		}
		if joined.values = append(joined.values, list.values...); len(joined.values) > message.MaxRank {
			return operand{}, fmt.Errorf("it joins a shape of more than %d dimensions", message.MaxRank)
		}
	}
	return operand{sizes: joined}, nil
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

func dimsOf(list *sizes) []int {
	if list.scalar {
		return nil
	}
	return []int{len(list.values)}
}

// computeSizes is Add, Sub, Mul or Div of integers, as exporters compute a shape with.
func (r *raising) computeSizes(node *onnxpb.NodeProto) (operand, error) {
	var lists [2]*sizes
	for i := range lists {
		var err error
		if lists[i], err = r.sizesInput(node, i); err != nil {
			return operand{}, err
		}
	}
	a, b := lists[0], lists[1]
	n := max(len(a.values), len(b.values))
	if len(a.values) != n && len(a.values) != 1 || len(b.values) != n && len(b.values) != 1 {
		return operand{}, fmt.Errorf("it computes with %d and %d sizes",
			len(a.values), len(b.values))
	}
	if len(a.values) == 0 || len(b.values) == 0 {
		return operand{}, errors.New("it computes with no sizes")
	}
	result := &sizes{scalar: a.scalar && b.scalar}
	for i := range n {
		x, y := a.values[i%len(a.values)], b.values[i%len(b.values)]
		if x.batch || y.batch {
			return operand{}, errors.New("it computes with the batch; a network keeps the images " +
				"of a batch apart")
		}
		if max(x.n, -x.n, y.n, -y.n) > maxRaised {
			return operand{}, fmt.Errorf("it computes with %d and %d; at most %d is taken",
				x.n, y.n, maxRaised)
		}
		switch node.GetOpType() {
		case "Add":
			x.n += y.n
		case "Sub":
			x.n -= y.n
		case "Mul":
			x.n *= y.n
		case "Div":
			if y.n == 0 {
				return operand{}, errors.New("it divides by 0")
			}
			x.n /= y.n
		}
		result.values = append(result.values, x)
	}
	return operand{sizes: result}, nil
}

// describeTensor writes a tensor's type and shape, as float[2×3].
func describeTensor(tensor *onnxpb.TensorProto) string {
	value := onnx.Value{Type: onnxpb.TensorProto_DataType(tensor.GetDataType()), HasShape: true}
	for _, size := range tensor.GetDims() {
		value.Dims = append(value.Dims, onnx.Dim{Size: size})
	}
	return value.String()
}
