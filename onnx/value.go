package onnx

import (
	"strconv"
	"strings"

	"slipway/internal/display"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Dim is one dimension of a value: a number, a name for one that is free (the
// batch, "N"), or neither where nothing is known.
type Dim struct {
	Size int64  // -1 unless the dimension is a number
	Name string // empty unless the dimension has a name
}

// Known reports whether the dimension is a number.
func (d Dim) Known() bool { return d.Size >= 0 }

// String writes the number, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.Known():
		return strconv.FormatInt(d.Size, 10)
	case d.Name != "":
		return message.Shorten(display.Printable(d.Name))
	}
	return "?"
}

func fixed(size int64) Dim { return Dim{Size: size} }

var unknownDim = Dim{Size: -1}

// Value is the name, element type and shape of an input, an output or a value
// in between.
type Value struct {
	Name string
	// Type is the element type; UNDEFINED if it is unknown or the value is no
	// tensor.
	Type onnxpb.TensorProto_DataType
	// Dims is the shape; it means nothing unless HasShape.
	Dims []Dim
	// HasShape is false where not even the number of dimensions is known. A
	// scalar has a shape of no dimensions.
	HasShape bool
}

// String writes the value as float[N×1×28×28].
func (v Value) String() string {
	return message.TypeName(v.Type) + "[" + v.ShapeString() + "]"
}

// TypeString writes the element type as ONNX calls it, float for float32; ? where it
// is not known.
func (v Value) TypeString() string { return message.TypeName(v.Type) }

// ShapeString writes the shape as N×1×28×28, … where it is not known.
func (v Value) ShapeString() string {
	if !v.HasShape {
		return "…"
	}
	parts := make([]string, len(v.Dims))
	for i, dim := range v.Dims {
		parts[i] = dim.String()
	}
	return strings.Join(parts, "×")
}

func valueOf(info *onnxpb.ValueInfoProto) Value {
	value := Value{Name: info.GetName()}
	tensor := info.GetType().GetTensorType()
	if tensor == nil {
		return value
	}
	value.Type = onnxpb.TensorProto_DataType(tensor.GetElemType())
	if tensor.Shape == nil {
		return value
	}
	value.HasShape = true
	for _, dim := range tensor.GetShape().GetDim() {
		switch d := dim.GetValue().(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			// Some old exporters wrote 0 or -1 for "any"; Check refuses -1 and less.
			if d.DimValue >= 0 {
				value.Dims = append(value.Dims, fixed(d.DimValue))
				continue
			}
			value.Dims = append(value.Dims, unknownDim)
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			value.Dims = append(value.Dims, Dim{Size: -1, Name: d.DimParam})
		default:
			value.Dims = append(value.Dims, unknownDim)
		}
	}
	return value
}
