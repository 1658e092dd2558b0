package message

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// Attribute returns a node's attribute of that name, nil if it has none.
func Attribute(node *onnxpb.NodeProto, name string) *onnxpb.AttributeProto {
	for _, attribute := range node.GetAttribute() {
		if attribute.GetName() == name {
			return attribute
		}
	}
	return nil
}

// Integer returns the value of an integer attribute, or what it is where it is left out.
func Integer(node *onnxpb.NodeProto, name string, otherwise int64) int64 {
	if attribute := Attribute(node, name); attribute != nil {
		return attribute.GetI()
	}
	return otherwise
}

// Flag returns the value of an attribute that may be 0 or 1.
func Flag(node *onnxpb.NodeProto, name string) (bool, error) {
	switch value := Integer(node, name, 0); value {
	case 0:
		return false, nil
	case 1:
		return true, nil
	default:
		return false, fmt.Errorf("%s is %d; it must be 0 or 1", name, value)
	}
}

// Axis returns the attribute axis of rank dimensions, counted from the end if negative; last
// is the largest that it may be.
func Axis(node *onnxpb.NodeProto, otherwise int64, rank, last int) (int, error) {
	axis := Integer(node, "axis", otherwise)
	if axis < int64(-rank) || axis > int64(last) {
		return 0, fmt.Errorf("axis is %d; for %d dimensions it must be within %d…%d",
			axis, rank, -rank, last)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// NewIntegers makes an attribute of whole numbers.
func NewIntegers(name string, values ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
		Ints: values}
}

// NewInteger makes an attribute of a whole number.
func NewInteger(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(value)}
}

// NewNumber makes an attribute of a float32.
func NewNumber(name string, value float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(),
		F: proto.Float32(value)}
}

// NewNode makes a node of one output.
func NewNode(name, operator string, inputs []string, output string,
	attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{
		Name: proto.String(name), OpType: proto.String(operator), Input: inputs, Output: []string{output},
		Attribute: attributes,
	}
}

// Input returns the name of an input, empty if it is left out.
func Input(node *onnxpb.NodeProto, i int) string {
	if i >= len(node.GetInput()) {
		return ""
	}
	return node.GetInput()[i]
}
