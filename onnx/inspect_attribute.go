package onnx

import (
	"fmt"
	"strconv"
	"strings"

	"slipway/internal/display"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// AttributeReport is a node's attribute, its value as a short text.
type AttributeReport struct{ Name, Value string }

// attributeText writes a value: numbers as they are, lists in brackets, tensors
// and graphs by their shape.
func attributeText(a *onnxpb.AttributeProto) string {
	if a.GetRefAttrName() != "" {
		return "the function's " + message.Shorten(display.Printable(a.GetRefAttrName()))
	}
	switch a.GetType() {
	case onnxpb.AttributeProto_INT:
		return strconv.FormatInt(a.GetI(), 10)
	case onnxpb.AttributeProto_INTS:
		return list(a.GetInts(), func(v int64) string { return strconv.FormatInt(v, 10) })
	case onnxpb.AttributeProto_FLOAT:
		return float32Text(a.GetF())
	case onnxpb.AttributeProto_FLOATS:
		return list(a.GetFloats(), float32Text)
	case onnxpb.AttributeProto_STRING:
		return strconv.Quote(message.Shorten(display.Printable(string(a.GetS()))))
	case onnxpb.AttributeProto_STRINGS:
		return list(a.GetStrings(), func(v []byte) string {
			return strconv.Quote(message.Shorten(display.Printable(string(v))))
		})
	case onnxpb.AttributeProto_TENSOR:
		return tensorValue(a.GetT()).String()
	case onnxpb.AttributeProto_GRAPH:
		return fmt.Sprintf("a graph of %d nodes", len(a.GetG().GetNode()))
	}
	return strings.ToLower(a.GetType().String())
}

func float32Text(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) }

// list writes the first values, so that a list of a million stays a short text.
func list[T any](values []T, text func(T) string) string {
	const most = 16
	parts := make([]string, 0, min(len(values), most)+1)
	for _, v := range values[:min(len(values), most)] {
		parts = append(parts, text(v))
	}
	if more := len(values) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Title is the operator with what shapes its output, such as Conv 5×5 stride 2:
// kernel, and stride, padding, dilation and groups where they are not the default.
func (n NodeReport) Title() string {
	values := make(map[string]string, len(n.Attributes))
	for _, a := range n.Attributes {
		values[a.Name] = a.Value
	}
	title := message.Shorten(display.Printable(n.Operator))
	if kernel := times(values["kernel_shape"]); kernel != "" {
		title += " " + kernel
	}
	for _, part := range []struct{ name, word, usual string }{
		{"strides", "stride", "1"}, {"pads", "pad", "0"}, {"dilations", "dilation", "1"},
		{"group", "groups", "1"},
	} {
		if text := once(times(values[part.name])); text != "" && text != part.usual {
			title += " " + part.word + " " + text
		}
	}
	if padding := values["auto_pad"]; padding != "" && padding != `"NOTSET"` {
		title += " " + strings.Trim(padding, `"`)
	}
	if n.Operator == "Cast" {
		if number, err := strconv.ParseInt(values["to"], 10, 32); err == nil {
			title += " to " + message.TypeLabel(int32(number))
		}
	}
	return title
}

// times writes [5, 5] as 5×5.
func times(text string) string {
	inner, isList := strings.CutPrefix(text, "[")
	if !isList {
		return text
	}
	return strings.ReplaceAll(strings.TrimSuffix(inner, "]"), ", ", "×")
}

// once writes 2×2 as 2, and leaves alone what is not the same in all dimensions.
func once(text string) string {
	parts := strings.Split(text, "×")
	for _, part := range parts {
		if part != parts[0] {
			return text
		}
	}
	return parts[0]
}
