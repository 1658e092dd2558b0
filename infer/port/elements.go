package port

import (
	"fmt"

	"slipway/onnx"
)

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
