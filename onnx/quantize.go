package onnx

import (
	"fmt"
	"math"
)

// A Range is the least and the largest value that something was seen to take.
type Range struct{ Min, Max float32 }

// Include widens the range to hold the values.
func (r *Range) Include(values []float32) {
	for _, value := range values {
		r.Min, r.Max = min(r.Min, value), max(r.Max, value)
	}
}

// quantization maps numbers to integers and back by ONNX's definitions of
// QuantizeLinear and DequantizeLinear (opset 13):
//
//	q = saturate(round(x / Scale) + ZeroPoint)    rounding halves to even
//	x ≈ (q − ZeroPoint) · Scale
type quantization struct {
	Scale     float32 // larger than 0
	ZeroPoint int32   // the integer of 0, within the integers' range
}

// Integers that tensors are quantized to. Weights use 7 of int8's 8 bits: x86
// processors without VNNI add two products of a uint8 and an int8 in int16, which
// 2·255·64 fits and 2·255·127 does not, so that onnxruntime, OpenVINO and others
// answer wrong there, silently. With 7 bits the file answers the same everywhere.
const (
	activationMin, activationMax = 0, math.MaxUint8
	weightMax                    = 64 // and −64 the least: the zero point is 0
	biasMax                      = math.MaxInt32
)

// quantizeRange returns how activations of a range become uint8: the range, widened
// to hold 0, which must have an integer of its own, is spread over 0…255. Where it
// is 0 alone the scale is 1. It is the asymmetric scheme of Jacob et al. 2018
// (arXiv:1712.05877, 2.1), and that of ONNX's DynamicQuantizeLinear.
func quantizeRange(r Range) (quantization, error) {
	low, high := math.Min(float64(r.Min), 0), math.Max(float64(r.Max), 0)
	if !(high-low <= math.MaxFloat64) {
		return quantization{}, fmt.Errorf("the range %v…%v is not finite", r.Min, r.Max)
	}
	scale := (high - low) / (activationMax - activationMin)
	if scale < smallestNormal {
		return quantization{Scale: 1}, nil
	}
	return quantization{Scale: float32(scale),
		ZeroPoint: int32(math.RoundToEven(activationMin - low/scale))}, nil
}

// smallestNormal is the smallest float32 of full precision. No scale is smaller: a
// division by it would overflow.
const smallestNormal = 0x1p-126

// quantizeWeights returns how one channel's weights become integers of −64…64, and
// its bias one of 32 bits. The bias' scale is input·scale, as that of the products
// that it is added to. Where a channel is so small that the bias would not fit, the
// scale is larger than the weights need.
func quantizeWeights(weights []float32, bias, input float32) float32 {
	largest := 0.0
	for _, w := range weights {
		largest = math.Max(largest, math.Abs(float64(w)))
	}
	scale := largest / weightMax
	if scale < smallestNormal {
		scale = 1
	}
	// A little more than the bias needs, for the roundings of scale and product.
	if least := math.Abs(float64(bias)) / float64(input) / biasMax * 1.0001; scale < least {
		scale = least
	}
	return float32(scale)
}

// Quantize returns x's integer, saturated to least…most.
func (q quantization) Quantize(x float32, least, most int32) int32 {
	// The division is float32's, as the operator has it; the sum cannot overflow in
	// float64. NaN becomes the least, which the definition leaves open.
	rounded := math.RoundToEven(float64(x/q.Scale)) + float64(q.ZeroPoint)
	if !(rounded > float64(least)) {
		return least
	}
	return int32(math.Min(rounded, float64(most)))
}

// Dequantize returns the number that an integer stands for.
func (q quantization) Dequantize(integer int32) float32 {
	return float32(int64(integer)-int64(q.ZeroPoint)) * q.Scale
}
