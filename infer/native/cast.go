package native

import (
	"math"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// cast returns a row-major tensor in another element type. The caller releases it.
func (r *run) cast(t *Tensor, to onnxpb.TensorProto_DataType) (*Tensor, error) {
	if t.Type() == to {
		return r.same(t), nil
	}
	y, err := r.tensor(to, t.Shape)
	if err != nil {
		return nil, err
	}
	switch d := t.Data.(type) {
	case []float32:
		err = castFloats(r, y, d)
	case []float64:
		err = castFloats(r, y, d)
	case []int8:
		err = castIntegers(r, y, d)
	case []int16:
		err = castIntegers(r, y, d)
	case []int32:
		err = castIntegers(r, y, d)
	case []int64:
		err = castIntegers(r, y, d)
	case []uint8:
		err = castIntegers(r, y, d)
	case []uint16:
		err = castIntegers(r, y, d)
	case []uint32:
		err = castIntegers(r, y, d)
	case []uint64:
		err = castIntegers(r, y, d)
	case []bool:
		bytes := make([]uint8, len(d))
		for i, v := range d {
			if v {
				bytes[i] = 1
			}
		}
		err = castIntegers(r, y, bytes)
	case []onnx.Float16:
		wide := make([]float32, len(d))
		for i, h := range d {
			wide[i] = h.Float32()
		}
		err = castFloats(r, y, wide)
	default:
		err = errElementType(t)
	}
	if err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
}

// castFloats converts floats. What does not fit an integer, which ONNX leaves
// open, becomes the nearest that does, and NaN 0: the same on every machine.
func castFloats[S float](r *run, y *Tensor, src []S) error {
	toSigned := func(v S, bits uint) int64 {
		limit := math.Ldexp(1, int(bits)-1)
		switch x := math.Trunc(float64(v)); {
		case x != x:
			return 0
		case x >= limit:
			return 1<<(bits-1) - 1
		case x <= -limit:
			return -1 << (bits - 1)
		default:
			return int64(x)
		}
	}
	toUnsigned := func(v S, bits uint) uint64 {
		switch x := math.Trunc(float64(v)); {
		case x != x || x <= 0:
			return 0
		case x >= math.Ldexp(1, int(bits)):
			return math.MaxUint64 >> (64 - bits)
		default:
			return uint64(x)
		}
	}
	switch y.Data.(type) {
	case []float32:
		return apply(r, y, src, func(v S) float32 { return float32(v) })
	case []float64:
		return apply(r, y, src, func(v S) float64 { return float64(v) })
	case []int8:
		return apply(r, y, src, func(v S) int8 { return int8(toSigned(v, 8)) })
	case []int16:
		return apply(r, y, src, func(v S) int16 { return int16(toSigned(v, 16)) })
	case []int32:
		return apply(r, y, src, func(v S) int32 { return int32(toSigned(v, 32)) })
	case []int64:
		return apply(r, y, src, func(v S) int64 { return toSigned(v, 64) })
	case []uint8:
		return apply(r, y, src, func(v S) uint8 { return uint8(toUnsigned(v, 8)) })
	case []uint16:
		return apply(r, y, src, func(v S) uint16 { return uint16(toUnsigned(v, 16)) })
	case []uint32:
		return apply(r, y, src, func(v S) uint32 { return uint32(toUnsigned(v, 32)) })
	case []uint64:
		return apply(r, y, src, func(v S) uint64 { return toUnsigned(v, 64) })
	case []onnx.Float16:
		return apply(r, y, src, func(v S) onnx.Float16 { return toFloat16(float64(v)) })
	}
	return apply(r, y, src, func(v S) bool { return v != 0 })
}

// toFloat16 rounds once. Float32 in between is rounded to odd, which keeps what the
// second rounding must know (Boldo and Melquiond, IEEE Transactions on Computers
// 57(4), 2008).
func toFloat16(v float64) onnx.Float16 {
	single := float32(v)
	if wide := float64(single); wide != v && v == v && !math.IsInf(wide, 0) {
		bits := math.Float32bits(single)
		if math.Abs(wide) > math.Abs(v) {
			bits--
		}
		single = math.Float32frombits(bits | 1)
	}
	return onnx.NewFloat16(single)
}

func castIntegers[S integer](r *run, y *Tensor, src []S) error {
	switch y.Data.(type) {
	case []float32:
		return apply(r, y, src, func(v S) float32 { return float32(v) })
	case []float64:
		return apply(r, y, src, func(v S) float64 { return float64(v) })
	case []int8:
		return apply(r, y, src, func(v S) int8 { return int8(v) })
	case []int16:
		return apply(r, y, src, func(v S) int16 { return int16(v) })
	case []int32:
		return apply(r, y, src, func(v S) int32 { return int32(v) })
	case []int64:
		return apply(r, y, src, func(v S) int64 { return int64(v) })
	case []uint8:
		return apply(r, y, src, func(v S) uint8 { return uint8(v) })
	case []uint16:
		return apply(r, y, src, func(v S) uint16 { return uint16(v) })
	case []uint32:
		return apply(r, y, src, func(v S) uint32 { return uint32(v) })
	case []uint64:
		return apply(r, y, src, func(v S) uint64 { return uint64(v) })
	case []onnx.Float16:
		return apply(r, y, src, func(v S) onnx.Float16 { return toFloat16(float64(v)) })
	}
	return apply(r, y, src, func(v S) bool { return v != 0 })
}
