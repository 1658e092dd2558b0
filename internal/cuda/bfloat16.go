//go:build gpu && linux && amd64

package cuda

import "math"

// bfloat16 is the upper half of a float32: its 8 bits of exponent, and 8 of mantissa with the one
// that is not written.
type bfloat16 uint16

// toBFloat16 rounds to the nearest, and to an even one of two as near, as the kernels' bf16_of.
func toBFloat16(x float32) bfloat16 {
	bits := math.Float32bits(x)
	if x != x {
		return bfloat16(bits>>16 | 0x40) // NaN, which the lower half alone may have said
	}
	return bfloat16((bits + 0x7fff + bits>>16&1) >> 16)
}

func (b bfloat16) float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// narrowed rounds all values, and widened undoes what of it can be.
func narrowed(values []float32) []bfloat16 {
	all := make([]bfloat16, len(values))
	for i, value := range values {
		all[i] = toBFloat16(value)
	}
	return all
}

func widened(values []bfloat16) []float32 {
	all := make([]float32, len(values))
	for i, value := range values {
		all[i] = value.float32()
	}
	return all
}
