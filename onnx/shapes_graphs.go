package onnx

import "slipway/onnx/internal/message"

// inferPad is for Pad, whose padding is an attribute before opset 11 and an input since, and whose
// axes are an input since 18. What it does not know it leaves open.
func inferPad(c *call) ([]Value, error) {
	input := c.inputs[0]
	output := Value{Type: input.Type}
	if !input.HasShape {
		return []Value{output}, nil
	}
	output.HasShape = true
	for range input.Dims {
		output.Dims = append(output.Dims, unknownDim)
	}
	pads, known := c.listOf("pads", 1)
	rank := len(input.Dims)
	if !known || c.present(3) || len(pads) != 2*rank {
		return []Value{output}, nil
	}
	for i, dim := range input.Dims {
		size := dim.Size + pads[i] + pads[rank+i]
		switch {
		case pads[i] == 0 && pads[rank+i] == 0:
			output.Dims[i] = dim
		case dim.Known() && padFits(pads[i]) && padFits(pads[rank+i]) && size >= 0:
			output.Dims[i] = fixed(size)
		}
	}
	return []Value{output}, nil
}

func padFits(pad int64) bool { return pad >= -message.MaxElements && pad <= message.MaxElements }

// inferReduce is for operators that sum up axes, which are an attribute before opset 18 and an
// input since.
func inferReduce(c *call) ([]Value, error) {
	input := c.inputs[0]
	output := Value{Type: input.Type}
	keep, err := c.flagOr("keepdims", true)
	if err != nil {
		return nil, err
	}
	axes, known := c.listOf("axes", 1)
	if !input.HasShape || !known {
		return []Value{output}, nil
	}
	rank := int64(len(input.Dims))
	reduced := make([]bool, rank)
	for _, axis := range axes {
		if axis < -rank || axis >= rank {
			return []Value{output}, nil
		}
		reduced[(axis+rank)%rank] = true
	}
	if len(axes) == 0 && c.integer("noop_with_empty_axes", 0) == 0 {
		for i := range reduced {
			reduced[i] = true
		}
	}
	output.HasShape = true
	for i, dim := range input.Dims {
		switch {
		case !reduced[i]:
			output.Dims = append(output.Dims, dim)
		case keep:
			output.Dims = append(output.Dims, fixed(1))
		}
	}
	return []Value{output}, nil
}

// flagOr returns an attribute that is 0 or 1.
func (c *call) flagOr(name string, otherwise bool) (bool, error) {
	if message.Attribute(c.node, name) == nil {
		return otherwise, nil
	}
	return c.flag(name)
}

// listOf returns the integers of an attribute, or those of the constant that input i is. known is
// false where neither tells; where both are left out there are none.
func (c *call) listOf(attribute string, i int) (values []int64, known bool) {
	if a := message.Attribute(c.node, attribute); a != nil {
		return a.GetInts(), true
	}
	if !c.present(i) {
		return nil, true
	}
	tensor := c.names.constant(c.node.GetInput()[i])
	if tensor == nil {
		return nil, false
	}
	elements, err := message.Elements(tensor.GetDims())
	if err != nil || elements > 2*message.MaxRank || len(tensor.GetDims()) != 1 {
		return nil, false
	}
	values, err = Int64s(tensor)
	return values, err == nil
}
