package infer

import (
	"fmt"
	"slices"

	"slipway/onnx"
)

// maxExactInteger is the largest integer up to which float32 holds every one.
const maxExactInteger = 1 << 24

// tensorFrom is the Tensor of a value that a runtime holds as data, a slice of Go
// numbers in row-major order. Types that float32 holds exactly are shown: float32,
// float16, bool, integers of 8 and 16 bits, and wider ones up to ±2²⁴. What is
// larger or another type is Missing, since two values rounded to float32 could be
// called equal when they are not. The shape is kept, data is not.
func tensorFrom(shape []int, data any) Tensor {
	values, err := exactFloats(data)
	if err != nil {
		return Tensor{Missing: err}
	}
	return Tensor{Shape: shape, Values: values}
}

func exactFloats(data any) ([]float32, error) {
	switch values := data.(type) {
	case []float32:
		return slices.Clone(values), nil
	case []int8:
		return exactIntegers(values)
	case []uint8:
		return exactIntegers(values)
	case []int16:
		return exactIntegers(values)
	case []uint16:
		return exactIntegers(values)
	case []int32:
		return exactIntegers(values)
	case []uint32:
		return exactIntegers(values)
	case []int64:
		return exactIntegers(values)
	case []uint64:
		return exactIntegers(values)
	case []onnx.Float16:
		floats := make([]float32, len(values))
		for i, v := range values {
			floats[i] = v.Float32()
		}
		return floats, nil
	case []bool:
		floats := make([]float32, len(values))
		for i, v := range values {
			if v {
				floats[i] = 1
			}
		}
		return floats, nil
	}
	return nil, fmt.Errorf("values of %T are not shown: float32 does not hold them exactly", data)
}

func exactIntegers[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](values []T) (
	[]float32, error) {
	floats := make([]float32, len(values))
	for i, v := range values {
		// The conversion back would wrap around at the type's own end.
		if wide := float64(v); wide > maxExactInteger || wide < -maxExactInteger {
			return nil, fmt.Errorf("it holds the integer %d, which float32 does not hold exactly", v)
		}
		floats[i] = float32(v)
	}
	return floats, nil
}
