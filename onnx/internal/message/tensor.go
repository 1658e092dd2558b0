package message

import (
	"errors"
	"fmt"

	"slipway/onnx/onnxpb"
)

// BitsOf returns the width of one element in raw_data, 0 for strings and for
// types that do not exist.
func BitsOf(elementType onnxpb.TensorProto_DataType) int64 {
	switch elementType {
	case onnxpb.TensorProto_UINT2, onnxpb.TensorProto_INT2:
		return 2
	case onnxpb.TensorProto_UINT4, onnxpb.TensorProto_INT4, onnxpb.TensorProto_FLOAT4E2M1:
		return 4
	case onnxpb.TensorProto_UINT8, onnxpb.TensorProto_INT8, onnxpb.TensorProto_BOOL,
		onnxpb.TensorProto_FLOAT8E4M3FN, onnxpb.TensorProto_FLOAT8E4M3FNUZ, onnxpb.TensorProto_FLOAT8E5M2,
		onnxpb.TensorProto_FLOAT8E5M2FNUZ, onnxpb.TensorProto_FLOAT8E8M0:
		return 8
	case onnxpb.TensorProto_UINT16, onnxpb.TensorProto_INT16, onnxpb.TensorProto_FLOAT16,
		onnxpb.TensorProto_BFLOAT16:
		return 16
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_INT32, onnxpb.TensorProto_UINT32:
		return 32
	case onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT64, onnxpb.TensorProto_UINT64,
		onnxpb.TensorProto_COMPLEX64:
		return 64
	case onnxpb.TensorProto_COMPLEX128:
		return 128
	}
	return 0
}

func IsElementType(elementType onnxpb.TensorProto_DataType) bool {
	return elementType == onnxpb.TensorProto_STRING || BitsOf(elementType) > 0
}

// MaxRank bounds the dimensions of a tensor; NumPy's limit is 64 as well.
const MaxRank = 64

// MaxElements bounds the elements of one tensor, so that byte counts cannot
// overflow.
const MaxElements = 1 << 40

// Elements multiplies dimensions.
func Elements(dims []int64) (int64, error) {
	elements := int64(1)
	for i, dim := range dims {
		if dim < 0 {
			return 0, fmt.Errorf("dimension %d is %d; none may be negative", i, dim)
		}
		if dim == 0 {
			elements = 0
		}
	}
	if elements == 0 {
		return 0, nil
	}
	for _, dim := range dims {
		if dim > MaxElements/elements {
			return 0, fmt.Errorf("the dimensions %s multiply to more than 2^40 elements",
				Shorten(fmt.Sprint(dims)))
		}
		elements *= dim
	}
	return elements, nil
}

// ByteLength returns the number of bytes that the tensor's elements take in
// raw_data or in an external file.
func ByteLength(tensor *onnxpb.TensorProto) (int64, error) {
	elementType := onnxpb.TensorProto_DataType(tensor.GetDataType())
	bits := BitsOf(elementType)
	if bits == 0 {
		return 0, fmt.Errorf("its element type is %s, which has no raw bytes",
			TypeLabel(tensor.GetDataType()))
	}
	elements, err := Elements(tensor.GetDims())
	if err != nil {
		return 0, err
	}
	return (elements*bits + 7) / 8, nil
}

func TypeLabel(number int32) string {
	if IsElementType(onnxpb.TensorProto_DataType(number)) {
		return TypeName(onnxpb.TensorProto_DataType(number))
	}
	return fmt.Sprintf("number %d (unknown)", number)
}

// CheckTensor reports the first way in which a tensor contradicts itself: its
// data must lie in one field, the right one for its type, and fill its shape.
func CheckTensor(tensor *onnxpb.TensorProto) error {
	elementType := onnxpb.TensorProto_DataType(tensor.GetDataType())
	if !IsElementType(elementType) {
		return fmt.Errorf("its element type is %s", TypeLabel(tensor.GetDataType()))
	}
	elements, err := Elements(tensor.GetDims())
	if err != nil {
		return err
	}
	if tensor.Segment != nil {
		return errors.New("it is one segment of a larger tensor, which no runtime reads; store it whole")
	}
	if tensor.GetDataLocation() != onnxpb.TensorProto_DEFAULT {
		return errors.New(
			"its data lies in an external file, and the model's folder is not known; read the model by its path")
	}
	if len(tensor.ExternalData) > 0 {
		return errors.New("it has external_data, but its data_location is not EXTERNAL")
	}

	stored := []struct {
		field  string
		length int64
		want   int64 // -1 where the type does not go into the field
	}{
		{"raw_data", int64(len(tensor.RawData)), -1},
		{"float_data", int64(len(tensor.FloatData)), -1},
		{"int32_data", int64(len(tensor.Int32Data)), -1},
		{"int64_data", int64(len(tensor.Int64Data)), -1},
		{"double_data", int64(len(tensor.DoubleData)), -1},
		{"uint64_data", int64(len(tensor.Uint64Data)), -1},
		{"string_data", int64(len(tensor.StringData)), -1},
	}
	const raw, floats, int32s, int64s, doubles, uint64s, texts = 0, 1, 2, 3, 4, 5, 6
	if bits := BitsOf(elementType); bits > 0 {
		stored[raw].want = (elements*bits + 7) / 8
	}
	switch elementType {
	case onnxpb.TensorProto_FLOAT:
		stored[floats].want = elements
	case onnxpb.TensorProto_COMPLEX64:
		stored[floats].want = 2 * elements
	case onnxpb.TensorProto_INT64:
		stored[int64s].want = elements
	case onnxpb.TensorProto_DOUBLE:
		stored[doubles].want = elements
	case onnxpb.TensorProto_COMPLEX128:
		stored[doubles].want = 2 * elements
	case onnxpb.TensorProto_UINT32, onnxpb.TensorProto_UINT64:
		stored[uint64s].want = elements
	case onnxpb.TensorProto_STRING:
		stored[texts].want = elements
	default:
		// Elements below 8 bits share a byte, and each byte takes one int32.
		perNumber := max(1, 8/BitsOf(elementType))
		stored[int32s].want = (elements + perNumber - 1) / perNumber
	}

	used := ""
	for i, data := range stored {
		given := data.length > 0 || i == raw && tensor.RawData != nil && elements > 0
		if !given {
			continue
		}
		if used != "" {
			return fmt.Errorf("its data is given twice, in %s and in %s; keep one", used, data.field)
		}
		used = data.field
		if data.want < 0 {
			return fmt.Errorf("a tensor of %s does not store its data in %s", TypeName(elementType),
				data.field)
		}
		if data.length != data.want {
			return fmt.Errorf(
				"its shape %s of %s needs %d entries in %s, but there are %d; the file is damaged",
				Shorten(fmt.Sprint(tensor.GetDims())), TypeName(elementType), data.want, data.field,
				data.length)
		}
	}
	if used == "" && elements > 0 {
		return fmt.Errorf("its shape %s claims %d elements, but it holds no data",
			Shorten(fmt.Sprint(tensor.GetDims())), elements)
	}
	return nil
}
