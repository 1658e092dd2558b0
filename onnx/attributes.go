package onnx

import (
	"errors"
	"fmt"
	"math"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// attributes checks a node's attributes by the rules that hold for every
// operator. refers is true if one takes its value from a function's call.
func (c *checker) attributes(node *onnxpb.NodeProto) (refers bool, err error) {
	seen := make(map[string]bool, len(node.GetAttribute()))
	for _, attribute := range node.GetAttribute() {
		name := attribute.GetName()
		if seen[name] {
			return false, fmt.Errorf("the attribute %q is given twice", message.Shorten(name))
		}
		seen[name] = true
		if attribute.GetRefAttrName() != "" {
			if !c.inFunction {
				return false, fmt.Errorf(
					"the attribute %q refers to a function's attribute, but the node is in no function",
					message.Shorten(name))
			}
			refers = true
		}
		if err := checkAttribute(attribute); err != nil {
			return false, fmt.Errorf("the attribute %q: %w", message.Shorten(name), err)
		}
		if err := checkLethal(node.GetOpType(), name, attribute); err != nil {
			return false, err
		}
	}
	return refers, nil
}

// checkAttribute verifies that an attribute has a name and one value, of the
// type it says. A number or string that is absent counts as zero or empty:
// writers based on proto3 leave those out.
func checkAttribute(attribute *onnxpb.AttributeProto) error {
	if attribute.GetName() == "" {
		return errors.New("it has no name")
	}
	held := []struct {
		kind onnxpb.AttributeProto_AttributeType
		set  bool
	}{
		{onnxpb.AttributeProto_FLOAT, attribute.F != nil},
		{onnxpb.AttributeProto_INT, attribute.I != nil},
		{onnxpb.AttributeProto_STRING, attribute.S != nil},
		{onnxpb.AttributeProto_TENSOR, attribute.T != nil},
		{onnxpb.AttributeProto_GRAPH, attribute.G != nil},
		{onnxpb.AttributeProto_SPARSE_TENSOR, attribute.SparseTensor != nil},
		{onnxpb.AttributeProto_TYPE_PROTO, attribute.Tp != nil},
		{onnxpb.AttributeProto_FLOATS, len(attribute.Floats) > 0},
		{onnxpb.AttributeProto_INTS, len(attribute.Ints) > 0},
		{onnxpb.AttributeProto_STRINGS, len(attribute.Strings) > 0},
		{onnxpb.AttributeProto_TENSORS, len(attribute.Tensors) > 0},
		{onnxpb.AttributeProto_GRAPHS, len(attribute.Graphs) > 0},
		{onnxpb.AttributeProto_SPARSE_TENSORS, len(attribute.SparseTensors) > 0},
		{onnxpb.AttributeProto_TYPE_PROTOS, len(attribute.TypeProtos) > 0},
	}
	kind := attribute.GetType()
	if _, exists := onnxpb.AttributeProto_AttributeType_name[int32(kind)]; !exists ||
		kind == onnxpb.AttributeProto_UNDEFINED {
		return errors.New("it does not say of which type it is")
	}
	reference := attribute.GetRefAttrName() != ""
	for _, field := range held {
		if field.set && (field.kind != kind || reference) {
			return fmt.Errorf("it is said to be %v, but holds %v", kind, field.kind)
		}
		if field.kind != kind || field.set || reference {
			continue
		}
		switch kind {
		case onnxpb.AttributeProto_TENSOR, onnxpb.AttributeProto_GRAPH,
			onnxpb.AttributeProto_SPARSE_TENSOR, onnxpb.AttributeProto_TYPE_PROTO:
			return fmt.Errorf("it is said to be %v, but holds nothing", kind)
		}
	}
	return nil
}

// minimumOf returns the least value of an attribute of which a lower one is
// known to end a runtime's process (a division by zero, a read outside of a
// buffer), whatever the operator. Pad's pads may be negative: they crop.
func minimumOf(operator, attribute string) (least int64, lethal bool) {
	switch attribute {
	case "strides", "dilations", "kernel_shape", "group", "blocksize":
		return 1, true
	case "pads":
		return 0, operator != "Pad"
	case "output_padding":
		return 0, true
	}
	return 0, false
}

// checkLethal verifies the attributes of minimumOf. It holds for operators that
// are not otherwise known, too; name is the attribute's in the operator that
// uses it at last, which differs from attribute's in a call of a function.
func checkLethal(operator, name string, attribute *onnxpb.AttributeProto) error {
	least, lethal := minimumOf(operator, name)
	if !lethal || attribute.GetRefAttrName() != "" {
		return nil
	}
	values := attribute.GetInts()
	if attribute.GetType() == onnxpb.AttributeProto_INT {
		values = []int64{attribute.GetI()}
	}
	for _, value := range values {
		if value < least {
			return fmt.Errorf("%s holds %d; each must be at least %d, and some runtimes crash on less", name,
				value, least)
		}
		if value > math.MaxInt32 {
			return fmt.Errorf("%s holds %d; more than %d cannot be meant", name, value, math.MaxInt32)
		}
	}
	return nil
}

// Attribute returns a node's attribute of that name, nil if it has none.
func Attribute(node *onnxpb.NodeProto, name string) *onnxpb.AttributeProto {
	return message.Attribute(node, name)
}

// Integers returns an attribute's numbers, of type INT or INTS, none if it is absent.
func Integers(node *onnxpb.NodeProto, name string) []int64 {
	attribute := message.Attribute(node, name)
	if attribute == nil {
		return nil
	}
	if attribute.GetType() == onnxpb.AttributeProto_INT {
		return []int64{attribute.GetI()}
	}
	return attribute.GetInts()
}
