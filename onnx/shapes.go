package onnx

import (
	"errors"
	"fmt"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// inferSame is for operators whose output is like their first input. A second
// output is Dropout's mask.
func inferSame(c *call) ([]Value, error) {
	output := c.inputs[0]
	mask := output
	mask.Type = onnxpb.TensorProto_BOOL
	if c.node.GetOpType() == "Dropout" && c.opset < 10 {
		mask.Type = output.Type
	}
	return []Value{output, mask}, nil
}

// inferBroadcast is for element-by-element operators of two inputs, with NumPy's
// broadcasting.
func inferBroadcast(c *call) ([]Value, error) {
	if err := c.requireSameType(); err != nil {
		return nil, err
	}
	a, b := c.inputs[0], c.inputs[1]
	output := Value{Type: a.Type}
	if output.Type == onnxpb.TensorProto_UNDEFINED {
		output.Type = b.Type
	}
	if !a.HasShape || !b.HasShape {
		return []Value{output}, nil
	}
	dims, err := broadcast(a.Dims, b.Dims)
	if err != nil {
		return nil, fmt.Errorf("its inputs %v and %v do not broadcast: %w", a, b, err)
	}
	output.HasShape, output.Dims = true, dims
	return []Value{output}, nil
}

func broadcast(a, b []Dim) ([]Dim, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	dims := append([]Dim(nil), a...)
	for i, other := range b {
		at := len(a) - len(b) + i
		switch {
		case dims[at] == other || other.Size == 1:
		case dims[at].Size == 1:
			dims[at] = other
		case differ(dims[at], other):
			return nil, fmt.Errorf("%v and %v are neither equal nor 1", dims[at], other)
		case other.Known():
			dims[at] = other // the unknown one is it or 1
		case !dims[at].Known():
			dims[at] = unknownDim
		}
	}
	return dims, nil
}

func inferFlatten(c *call) ([]Value, error) {
	input := c.inputs[0]
	output := Value{Type: input.Type}
	if !input.HasShape {
		return []Value{output}, nil
	}
	axis, err := c.axis(1, len(input.Dims), len(input.Dims))
	if err != nil {
		return nil, err
	}
	rows, err := product(input.Dims[:axis])
	if err != nil {
		return nil, err
	}
	columns, err := product(input.Dims[axis:])
	if err != nil {
		return nil, err
	}
	output.HasShape, output.Dims = true, []Dim{rows, columns}
	return []Value{output}, nil
}

// product multiplies dimensions; a single one keeps its name.
func product(dims []Dim) (Dim, error) {
	if len(dims) == 1 {
		return dims[0], nil
	}
	sizes := make([]int64, len(dims))
	for i, dim := range dims {
		if !dim.Known() {
			return unknownDim, nil
		}
		sizes[i] = dim.Size
	}
	elements, err := message.Elements(sizes)
	return fixed(elements), err
}

func inferGemm(c *call) ([]Value, error) {
	if err := c.requireSameType(); err != nil {
		return nil, err
	}
	if c.opset < 11 && !c.present(2) {
		return nil, errors.New("it has no third input, which Gemm needs before opset 11")
	}
	a, b, bias := c.inputs[0], c.inputs[1], c.inputs[2]
	output := Value{Type: a.Type, HasShape: true, Dims: []Dim{unknownDim, unknownDim}}
	// Any number but 0 transposes; it is only harmless as 0 or 1.
	transA, err := c.flag("transA")
	if err != nil {
		return nil, err
	}
	transB, err := c.flag("transB")
	if err != nil {
		return nil, err
	}
	matrix := func(value Value, transposed bool, what string) (rows, columns Dim, err error) {
		if !value.HasShape {
			return unknownDim, unknownDim, nil
		}
		if len(value.Dims) != 2 {
			return Dim{}, Dim{}, fmt.Errorf("its %s is %v; it must be a matrix (put Flatten before it)",
				what, value)
		}
		if transposed {
			return value.Dims[1], value.Dims[0], nil
		}
		return value.Dims[0], value.Dims[1], nil
	}
	rows, inner, err := matrix(a, transA, "input 0")
	if err != nil {
		return nil, err
	}
	other, columns, err := matrix(b, transB, "input 1")
	if err != nil {
		return nil, err
	}
	if differ(inner, other) {
		return nil, fmt.Errorf(
			"it multiplies %v by %v (transA %v, transB %v): the inner dimensions %v and %v differ", a, b,
			transA, transB, inner, other)
	}
	output.Dims = []Dim{rows, columns}
	if bias.HasShape {
		dims, err := broadcast(output.Dims, bias.Dims)
		if err != nil || len(dims) != 2 || rows.Size == 1 && dims[0].Size > 1 || columns.Size == 1 &&
			dims[1].Size > 1 {
			return nil, fmt.Errorf("its input 2 is %v, which does not broadcast to the product %v", bias,
				output)
		}
	}
	return []Value{output}, nil
}

func inferMatMul(c *call) ([]Value, error) {
	if err := c.requireSameType(); err != nil {
		return nil, err
	}
	a, b := c.inputs[0], c.inputs[1]
	output := Value{Type: a.Type}
	if !a.HasShape || !b.HasShape {
		return []Value{output}, nil
	}
	if len(a.Dims) == 0 || len(b.Dims) == 0 {
		return nil, fmt.Errorf("it multiplies %v by %v; neither may be a scalar", a, b)
	}
	left, right := a.Dims, b.Dims
	if len(left) == 1 {
		left = []Dim{fixed(1), left[0]}
	}
	if len(right) == 1 {
		right = []Dim{right[0], fixed(1)}
	}
	if differ(left[len(left)-1], right[len(right)-2]) {
		return nil, fmt.Errorf("it multiplies %v by %v: the inner dimensions differ", a, b)
	}
	dims, err := broadcast(left[:len(left)-2], right[:len(right)-2])
	if err != nil {
		return nil, fmt.Errorf("it multiplies %v by %v, which do not broadcast: %w", a, b, err)
	}
	if len(a.Dims) > 1 {
		dims = append(dims, left[len(left)-2])
	}
	if len(b.Dims) > 1 {
		dims = append(dims, right[len(right)-1])
	}
	output.HasShape, output.Dims = true, dims
	return []Value{output}, nil
}

func inferSoftmax(c *call) ([]Value, error) {
	otherwise := int64(-1)
	if c.opset < 13 {
		otherwise = 1
	}
	if input := c.inputs[0]; input.HasShape && len(input.Dims) > 0 {
		if _, err := c.axis(otherwise, len(input.Dims), len(input.Dims)-1); err != nil {
			return nil, err
		}
	}
	return []Value{c.inputs[0]}, nil
}

func inferCast(c *call) ([]Value, error) {
	to := c.integer("to", 0)
	if to < 0 || to > 1<<20 || !message.IsElementType(onnxpb.TensorProto_DataType(to)) {
		return nil, fmt.Errorf("to is %d, which is no element type", to)
	}
	output := c.inputs[0]
	output.Type = onnxpb.TensorProto_DataType(to)
	return []Value{output}, nil
}

func inferReshape(c *call) ([]Value, error) {
	input := c.inputs[0]
	output := Value{Type: input.Type}
	if c.inputs[1].Type != onnxpb.TensorProto_UNDEFINED &&
		c.inputs[1].Type != onnxpb.TensorProto_INT64 {
		return nil, fmt.Errorf("its shape is a tensor of %s; it must be int64",
			message.TypeName(c.inputs[1].Type))
	}
	tensor := c.names.constant(c.node.GetInput()[1])
	if tensor == nil {
		return []Value{output}, nil
	}
	if elements, err := message.Elements(tensor.GetDims()); err != nil || elements > message.MaxRank ||
		len(tensor.GetDims()) != 1 {
		return nil, fmt.Errorf("its shape is %v; it must be a vector of at most %d dimensions",
			tensorValue(tensor), message.MaxRank)
	}
	shape, err := Int64s(tensor)
	if err != nil {
		return nil, err
	}
	allowZero, err := c.flag("allowzero")
	if err != nil {
		return nil, err
	}
	free, allKnown := -1, true
	output.HasShape = true
	for i, size := range shape {
		dim := fixed(size)
		switch {
		case size < -1 || size > message.MaxElements:
			return nil, fmt.Errorf("its shape %v holds %d; use -1 for one that is free", shape, size)
		case size == -1 && free >= 0:
			return nil, fmt.Errorf("its shape %v has more than one -1", shape)
		case size == -1:
			free, dim = i, unknownDim
		case size == 0 && !allowZero && input.HasShape && i >= len(input.Dims):
			return nil, fmt.Errorf("its shape %v copies dimension %d, which the input %v does not have",
				shape, i, input)
		case size == 0 && !allowZero && input.HasShape:
			dim = input.Dims[i]
		case size == 0 && !allowZero:
			dim = unknownDim
		}
		allKnown = allKnown && (dim.Known() || i == free)
		output.Dims = append(output.Dims, dim)
	}
	if !input.HasShape || !allKnown {
		return []Value{output}, nil
	}
	have, err := product(input.Dims)
	if err != nil {
		return nil, err
	}
	if !have.Known() {
		return []Value{output}, nil
	}
	rest := append([]Dim(nil), output.Dims...)
	if free >= 0 {
		rest[free] = fixed(1)
	}
	want, err := product(rest)
	if err != nil {
		return nil, err
	}
	switch {
	case free >= 0 && want.Size > 0 && have.Size%want.Size == 0:
		output.Dims[free] = fixed(have.Size / want.Size)
	case want.Size != have.Size:
		return nil, fmt.Errorf("its input %v of %d elements does not fit the shape %v", input, have.Size,
			shape)
	}
	return []Value{output}, nil
}

func inferTranspose(c *call) ([]Value, error) {
	input := c.inputs[0]
	output := Value{Type: input.Type}
	attribute := message.Attribute(c.node, "perm")
	rank := len(input.Dims)
	if attribute != nil {
		perm := attribute.GetInts()
		if input.HasShape && len(perm) != rank || len(perm) > message.MaxRank {
			return nil, fmt.Errorf("perm has %d entries, its input %v", len(perm), input)
		}
		seen := make([]bool, len(perm))
		for _, axis := range perm {
			if axis < 0 || axis >= int64(len(perm)) || seen[axis] {
				return nil, fmt.Errorf("perm %v is no permutation of 0…%d", perm, len(perm)-1)
			}
			seen[axis] = true
		}
	}
	if !input.HasShape {
		return []Value{output}, nil
	}
	output.HasShape = true
	for i := range rank {
		from := int64(rank - 1 - i)
		if attribute != nil {
			from = attribute.GetInts()[i]
		}
		output.Dims = append(output.Dims, input.Dims[from])
	}
	return []Value{output}, nil
}

func inferConcat(c *call) ([]Value, error) {
	if err := c.requireSameType(); err != nil {
		return nil, err
	}
	output := Value{Type: c.inputs[0].Type}
	for _, input := range c.inputs {
		if !input.HasShape {
			return []Value{output}, nil
		}
	}
	rank := len(c.inputs[0].Dims)
	axis, err := c.axis(0, rank, rank-1)
	if err != nil {
		return nil, err
	}
	dims := append([]Dim(nil), c.inputs[0].Dims...)
	for i, input := range c.inputs[1:] {
		if len(input.Dims) != rank {
			return nil, fmt.Errorf("its inputs %v and %v have different numbers of dimensions", c.inputs[0],
				input)
		}
		for j, dim := range input.Dims {
			switch {
			case j == axis && dims[j].Known() && dim.Known() && dims[j].Size+dim.Size <= message.MaxElements:
				dims[j] = fixed(dims[j].Size + dim.Size)
			case j == axis:
				dims[j] = unknownDim
			case differ(dims[j], dim):
				return nil, fmt.Errorf("its inputs 0 and %d, %v and %v, differ outside of axis %d", i+1,
					c.inputs[0], input, axis)
			case !dims[j].Known():
				dims[j] = dim
			}
		}
	}
	output.HasShape, output.Dims = true, dims
	return []Value{output}, nil
}

func inferBatchNormalization(c *call) ([]Value, error) {
	input := c.inputs[0]
	if input.HasShape && len(input.Dims) < 2 {
		return nil, fmt.Errorf("its input is %v; it needs at least N×C", input)
	}
	for i, parameter := range c.inputs[1:] {
		if !parameter.HasShape || !input.HasShape || c.integer("spatial", 1) == 0 {
			continue
		}
		if len(parameter.Dims) != 1 || differ(parameter.Dims[0], input.Dims[1]) {
			return nil, fmt.Errorf("its input %d is %v; it must have one value for each of the %v channels",
				i+1, parameter, input.Dims[1])
		}
	}
	outputs := []Value{input}
	for range c.node.GetOutput()[1:] {
		outputs = append(outputs, Value{})
	}
	return outputs, nil
}

func inferConstant(c *call) ([]Value, error) {
	if len(c.node.GetAttribute()) != 1 {
		return nil, fmt.Errorf("it has %d attributes; Constant has exactly one",
			len(c.node.GetAttribute()))
	}
	attribute := c.node.GetAttribute()[0]
	vector := func(elementType onnxpb.TensorProto_DataType, length int) Value {
		return Value{Type: elementType, HasShape: true, Dims: []Dim{fixed(int64(length))}}
	}
	scalar := func(elementType onnxpb.TensorProto_DataType) Value {
		return Value{Type: elementType, HasShape: true}
	}
	var output Value
	switch attribute.GetName() {
	case "value":
		output = tensorValue(attribute.GetT())
	case "value_float":
		output = scalar(onnxpb.TensorProto_FLOAT)
	case "value_floats":
		output = vector(onnxpb.TensorProto_FLOAT, len(attribute.GetFloats()))
	case "value_int":
		output = scalar(onnxpb.TensorProto_INT64)
	case "value_ints":
		output = vector(onnxpb.TensorProto_INT64, len(attribute.GetInts()))
	case "value_string":
		output = scalar(onnxpb.TensorProto_STRING)
	case "value_strings":
		output = vector(onnxpb.TensorProto_STRING, len(attribute.GetStrings()))
	}
	output.Name = ""
	return []Value{output}, nil
}
