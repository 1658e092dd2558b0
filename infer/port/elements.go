package port

import (
	"fmt"

	"slipway/onnx"
)

// ToFloat16 rounds pixels to the nearest float16, to the even one of two equally near.
func ToFloat16(pixels []float32) []onnx.Float16 {
	halves := make([]onnx.Float16, len(pixels))
	for i, v := range pixels {
		halves[i] = onnx.NewFloat16(v)
	}
	return halves
}

// ToFloat64 widens pixels.
func ToFloat64(pixels []float32) []float64 {
	wide := make([]float64, len(pixels))
	for i, v := range pixels {
		wide[i] = float64(v)
	}
	return wide
}

// ScoresFrom returns the values of a score output as float32: float16 exactly,
// float64 rounded.
func ScoresFrom(data any) ([]float32, error) {
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
