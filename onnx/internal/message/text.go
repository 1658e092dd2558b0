package message

import (
	"fmt"
	"strings"

	"slipway/internal/display"
	"slipway/internal/onnxgraph"
	"slipway/onnx/onnxpb"
)

// Shorten keeps an error readable when a name is a megabyte long.
func Shorten(text string) string {
	const longest = 80
	if len(text) <= longest {
		return text
	}
	cut := longest
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}

func TypeName(elementType onnxpb.TensorProto_DataType) string {
	if elementType == onnxpb.TensorProto_UNDEFINED {
		return "?"
	}
	return strings.ToLower(elementType.String())
}

// DescribeNode names a node for an error: its place, operator and name.
func DescribeNode(index int, node *onnxpb.NodeProto) string {
	operator := node.GetOpType()
	if domain := onnxgraph.Domain(node.GetDomain()); domain != "" {
		operator = domain + "." + operator
	}
	if node.GetName() == "" {
		return fmt.Sprintf("node %d (%s)", index, display.Printable(operator))
	}
	return fmt.Sprintf("node %d (%s %q)", index, display.Printable(operator), Shorten(node.GetName()))
}
