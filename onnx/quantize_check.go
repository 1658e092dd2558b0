package onnx

import (
	"fmt"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// inferQuantizeLinear is for both directions. One scale serves the whole tensor, or
// each index of an axis has its own; since opset 21 each block of one may, which is
// checked by the types alone.
func inferQuantizeLinear(c *call) ([]Value, error) {
	input, scale, zeroPoint := c.inputs[0], c.inputs[1], c.inputs[2]
	output := input
	quantizes := c.node.GetOpType() == "QuantizeLinear"
	switch {
	case !quantizes:
		output.Type = scale.Type
		if dtype := c.integer("output_dtype", 0); dtype != 0 {
			output.Type = onnxpb.TensorProto_DataType(dtype)
		}
		if zeroPoint.Type != onnxpb.TensorProto_UNDEFINED && input.Type != onnxpb.TensorProto_UNDEFINED &&
			zeroPoint.Type != input.Type {
			return nil, fmt.Errorf("its input is of %s, its zero point of %s; they must be the same",
				message.TypeName(input.Type), message.TypeName(zeroPoint.Type))
		}
	case c.present(2):
		output.Type = zeroPoint.Type
	default:
		output.Type = onnxpb.TensorProto_UINT8
		if dtype := c.integer("output_dtype", 0); dtype != 0 {
			output.Type = onnxpb.TensorProto_DataType(dtype)
		}
	}
	if c.integer("block_size", 0) != 0 || !scale.HasShape || len(scale.Dims) > 1 && c.opset >= 21 {
		return []Value{output}, nil
	}
	if len(scale.Dims) > 1 {
		return nil, fmt.Errorf("its scale is %v; it must be one number, or a vector for an axis", scale)
	}
	if zeroPoint.HasShape &&
		(len(zeroPoint.Dims) > 1 || differ(vectorLength(zeroPoint), vectorLength(scale))) {
		return nil, fmt.Errorf("its scale is %v, its zero point %v; they must be of one shape", scale,
			zeroPoint)
	}
	if vectorLength(scale).Size == 1 || !input.HasShape {
		return []Value{output}, nil
	}
	if c.opset < 13 {
		return nil, fmt.Errorf("its scale is %v; before opset 13 it must be one number", scale)
	}
	axis, err := c.axis(1, len(input.Dims), len(input.Dims)-1)
	if err != nil {
		return nil, err
	}
	if differ(input.Dims[axis], scale.Dims[0]) {
		return nil, fmt.Errorf("its input is %v; along axis %d its scale %v must have as many numbers",
			input, axis, scale)
	}
	return []Value{output}, nil
}

// vectorLength is that of a vector. A scalar counts as a vector of one, which ONNX's
// own tests take for the same here.
func vectorLength(value Value) Dim {
	if len(value.Dims) == 0 {
		return fixed(1)
	}
	return value.Dims[0]
}
