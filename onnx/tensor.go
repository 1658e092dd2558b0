package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// FloatTensor makes a float32 tensor in row-major order.
func FloatTensor(name string, dims []int64, data []float32) (*onnxpb.TensorProto, error) {
	elements, err := message.Elements(dims)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	if int64(len(data)) != elements {
		return nil, fmt.Errorf("tensor %q: the shape %v needs %d values, there are %d", name, dims,
			elements, len(data))
	}
	raw := make([]byte, 4*len(data))
	for i, value := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(value))
	}
	return &onnxpb.TensorProto{
		Name:     proto.String(name),
		Dims:     append([]int64(nil), dims...),
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
		RawData:  raw,
	}, nil
}

// Int64Tensor makes a vector of int64.
func Int64Tensor(name string, values []int64) *onnxpb.TensorProto {
	raw := make([]byte, 8*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(value))
	}
	return rawTensor(name, onnxpb.TensorProto_INT64, []int64{int64(len(values))}, raw)
}

// Floats returns the values of a float32 tensor, in row-major order. The slice is
// the caller's own.
func Floats(tensor *onnxpb.TensorProto) ([]float32, error) {
	if err := message.CheckTensor(tensor); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", message.Shorten(tensor.GetName()), err)
	}
	if elementType := onnxpb.TensorProto_DataType(
		tensor.GetDataType()); elementType != onnxpb.TensorProto_FLOAT {
		return nil, fmt.Errorf("tensor %q holds %s, not float", message.Shorten(tensor.GetName()),
			message.TypeName(elementType))
	}
	if len(tensor.FloatData) > 0 {
		return append([]float32(nil), tensor.FloatData...), nil
	}
	values := make([]float32, len(tensor.RawData)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(tensor.RawData[4*i:]))
	}
	return values, nil
}

// Int64s returns the values of an int64 tensor, as shapes and axes are given.
func Int64s(tensor *onnxpb.TensorProto) ([]int64, error) {
	if err := message.CheckTensor(tensor); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", message.Shorten(tensor.GetName()), err)
	}
	if elementType := onnxpb.TensorProto_DataType(
		tensor.GetDataType()); elementType != onnxpb.TensorProto_INT64 {
		return nil, fmt.Errorf("tensor %q holds %s, not int64", message.Shorten(tensor.GetName()),
			message.TypeName(elementType))
	}
	if len(tensor.Int64Data) > 0 {
		return append([]int64(nil), tensor.Int64Data...), nil
	}
	values := make([]int64, len(tensor.RawData)/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(tensor.RawData[8*i:]))
	}
	return values, nil
}
