package infer

import (
	"encoding/binary"
	"fmt"

	"slipway/onnx"
)

// toFloat16 rounds pixels to the nearest float16, to the even one of two equally near.
func toFloat16(pixels []float32) []onnx.Float16 {
	halves := make([]onnx.Float16, len(pixels))
	for i, v := range pixels {
		halves[i] = onnx.NewFloat16(v)
	}
	return halves
}

func toFloat64(pixels []float32) []float64 {
	wide := make([]float64, len(pixels))
	for i, v := range pixels {
		wide[i] = float64(v)
	}
	return wide
}

// scoresFrom returns the values of a score output as float32: float16 exactly,
// float64 rounded.
func scoresFrom(data any) ([]float32, error) {
	switch values := data.(type) {
	case []float32:
		return values, nil
	case []float64:
		scores := make([]float32, len(values))
		for i, v := range values {
			scores[i] = float32(v)
		}
		return scores, nil
	case []onnx.Float16:
		scores := make([]float32, len(values))
		for i, v := range values {
			scores[i] = v.Float32()
		}
		return scores, nil
	}
	return nil, fmt.Errorf("its values are %T, not floats", data)
}

// float16Bytes and float16From are float16s in the machine's memory.
func float16Bytes(values []onnx.Float16) []byte {
	raw := make([]byte, 0, 2*len(values))
	for _, v := range values {
		raw = binary.NativeEndian.AppendUint16(raw, uint16(v))
	}
	return raw
}

func float16From(raw []byte) []onnx.Float16 {
	values := make([]onnx.Float16, len(raw)/2)
	for i := range values {
		values[i] = onnx.Float16(binary.NativeEndian.Uint16(raw[2*i:]))
	}
	return values
}
