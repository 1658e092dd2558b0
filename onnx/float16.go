package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Float16 is a number of IEEE 754's binary16, as ONNX's FLOAT16 stores it: a sign,
// 5 bits of exponent, 10 of fraction.
type Float16 uint16

// MaxFloat16 is the largest finite Float16.
const MaxFloat16 = 65504

// NewFloat16 rounds to the nearest Float16, to the even one of two equally near
// (IEEE 754-2019, 4.3.1). What rounds to more than MaxFloat16 is infinite, NaN
// stays NaN.
func NewFloat16(x float32) Float16 {
	bits := math.Float32bits(x)
	sign := Float16(bits >> 16 & 0x8000)
	magnitude := bits & 0x7fffffff
	const (
		infinity = 0x7c00
		quiet    = 0x7e00
		// overflow is halfway from MaxFloat16 to the next number if there were one,
		// and normal the least number with a leading one, 2⁻¹⁴; both as float32.
		overflow = 0x477ff000
		normal   = 0x38800000
	)
	switch {
	case magnitude > 0x7f800000:
		return sign | quiet
	case magnitude >= overflow:
		return sign | infinity
	case magnitude >= normal:
		// The exponent's bias is 127 there and 15 here; 13 bits of fraction go, and a
		// carry of the rounding rightly runs into the exponent.
		rebased := magnitude - (127-15)<<23
		return sign | Float16((rebased+0xfff+rebased>>13&1)>>13)
	}
	// Below 2⁻¹⁴ the numbers are multiples of 2⁻²⁴. The product is exact in float64,
	// and so is what RoundToEven returns in 10 bits and a carry.
	return sign | Float16(math.RoundToEven(math.Ldexp(float64(math.Float32frombits(magnitude)), 24)))
}

// Float32 returns the same number, exactly.
func (h Float16) Float32() float32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0:
		value := math.Float32bits(float32(math.Ldexp(float64(fraction), -24)))
		return math.Float32frombits(sign | value)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// minHalvedElements is how many elements a tensor must have for float16 to save
// more than the Cast node adds.
const minHalvedElements = 64

// ToFloat16 returns the model with its weights stored as float16, each rounded to
// the nearest, and a Cast to float32 before its use; input, output and all that is
// computed stay float32. This is what TensorFlow Lite calls float16 quantization
// and does on CPUs, too. Half the size is kept, and what would be lost by computing
// in float16 is not: sums of unscaled pixels may pass 65504, and runtimes round
// sums of float16 in different places, so that they would no longer agree. One that
// is fast in float16 may fold the Casts.
//
// Initializers of less than 64 elements stay float32, as do those with a number
// that float16 does not have, above 65504 in size or NaN. The model is one that
// passes Check; it shares nothing with the new one that either may change.
func ToFloat16(m *Model) (*Model, error) {
	fail := func(err error) (*Model, error) {
		return nil, fmt.Errorf("%s: float16: %w", m.label(), err)
	}
	result := &Model{Proto: proto.CloneOf(m.Proto)}
	graph := result.Proto.GetGraph()
	if result.Opset("") < 6 {
		return fail(
			fmt.Errorf("its opset is %d; Cast is as it is used here since 6: export it with opset 13",
				m.Opset("")))
	}
	names := namesOf(graph)
	defaults := make(map[string]bool)
	for _, input := range graph.GetInput() {
		defaults[input.GetName()] = true
	}
	var casts []*onnxpb.NodeProto
	for i, tensor := range graph.GetInitializer() {
		if onnxpb.TensorProto_DataType(tensor.GetDataType()) != onnxpb.TensorProto_FLOAT ||
			defaults[tensor.GetName()] {
			continue
		}
		values, err := Floats(tensor)
		if err != nil {
			return fail(err)
		}
		half, ok := halved(values)
		if !ok {
			continue
		}
		stored := names.fresh(tensor.GetName() + ".float16")
		graph.Initializer[i] = rawTensor(stored, onnxpb.TensorProto_FLOAT16, tensor.GetDims(), half)
		casts = append(casts, message.NewNode(names.fresh(tensor.GetName()+".cast"), "Cast",
			[]string{stored}, tensor.GetName(),
			message.NewInteger("to", int64(onnxpb.TensorProto_FLOAT))))
	}
	if len(casts) == 0 {
		return fail(
			fmt.Errorf("none of its initializers is of %d float32 or more; there is nothing to make smaller",
				minHalvedElements))
	}
	graph.Node = append(casts, graph.Node...)
	if err := result.Check(); err != nil {
		return fail(err)
	}
	return result, nil
}

// halved returns the values as raw float16; ok is false where that gains nothing or
// loses a value.
func halved(values []float32) (raw []byte, ok bool) {
	if len(values) < minHalvedElements {
		return nil, false
	}
	raw = make([]byte, 0, 2*len(values))
	for _, value := range values {
		half := NewFloat16(value)
		if half&0x7c00 == 0x7c00 {
			return nil, false
		}
		raw = binary.LittleEndian.AppendUint16(raw, uint16(half))
	}
	return raw, true
}
