package native

import (
	"errors"
	"fmt"
	"math"

	"slipway/onnx/onnxpb"
)

// quantization is the attributes of QuantizeLinear or DequantizeLinear.
type quantization struct {
	axis int64
	// zeroType is the type of the integers where no zero point says it.
	zeroType onnxpb.TensorProto_DataType
}

func quantizationOf(n *node) (quantization, error) {
	if n.integer("block_size", 0) != 0 {
		return quantization{}, errors.New(
			"attribute block_size is not supported: one scale is for the tensor or for an index of an axis")
	}
	if err := n.only("precision", 0, 0, int64(onnxpb.TensorProto_FLOAT)); err != nil {
		return quantization{}, err
	}
	q := quantization{axis: n.integer("axis", 1), zeroType: onnxpb.TensorProto_UINT8}
	if to := n.integer("output_dtype", 0); to != 0 {
		q.zeroType = onnxpb.TensorProto_DataType(to)
	}
	return q, nil
}

// scales are the parameters of one run: for each of channels, a scale and a zero
// point. Channel c's elements are inner neighbours at (o·channels + c)·inner.
type scales struct {
	scale           []float32
	zero            []float64
	channels, inner int
}

func (q quantization) scalesOf(x, scale, zeroPoint *Tensor) (scales, error) {
	values, err := floats32(scale, "scale")
	if err != nil {
		return scales{}, err
	}
	s := scales{scale: values, zero: make([]float64, len(values)), channels: len(values),
		inner: max(1, x.size())}
	if len(scale.Shape) > 1 || len(values) == 0 {
		return s, fmt.Errorf("its scale is %v; one number or a vector is supported", scale)
	}
	if zeroPoint != nil {
		if zeroPoint.elements() != len(values) {
			return s, fmt.Errorf("its scale is %v, its zero point %v; they must be of one shape", scale,
				zeroPoint)
		}
		if s.zero, err = wholeNumbers(zeroPoint); err != nil {
			return s, err
		}
	}
	if len(values) == 1 {
		return s, nil
	}
	axis, err := axisOf(q.axis, len(x.Shape))
	if err != nil {
		return s, err
	}
	if x.Shape[axis] != len(values) {
		return s, fmt.Errorf("its input is %v; along axis %d its scale %v must have as many numbers", x,
			axis, scale)
	}
	s.inner = product(x.Shape[axis+1:])
	return s, nil
}

// wholeNumbers returns the elements of a tensor of integers of 32 bits or less.
func wholeNumbers(t *Tensor) ([]float64, error) {
	switch d := t.Data.(type) {
	case []int8:
		return widened(d), nil
	case []uint8:
		return widened(d), nil
	case []int16:
		return widened(d), nil
	case []uint16:
		return widened(d), nil
	case []int32:
		return widened(d), nil
	}
	return nil, fmt.Errorf(
		"%v is not a tensor of int8, uint8, int16, uint16 or int32, which are supported", t)
}

func widened[T integer](values []T) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}

// each calls compute for spans of elements that share a scale.
func (s scales) each(r *run, n int, compute func(channel, first, last int)) error {
	if s.channels == 1 {
		return r.split(n, elementCost, func(first, last int) { compute(0, first, last) })
	}
	return r.split(n/max(1, s.inner), elementCost*s.inner, func(first, last int) {
		for row := first; row < last; row++ {
			compute(row%s.channels, row*s.inner, (row+1)*s.inner)
		}
	})
}

// makeQuantizeLinear makes saturate(round(x/scale) + zero point), by the definition of
// opset 13: the division is float32's, halves go to the even integer. NaN, which the
// definition leaves open, becomes the least.
func makeQuantizeLinear(n *node) (operation, error) {
	q, err := quantizationOf(n)
	if err != nil {
		return nil, err
	}
	if n.dequantize != nil {
		return makeRequantize(n)
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x, zeroPoint, to := in[0], optional(in, 2), q.zeroType
		if zeroPoint != nil {
			to = zeroPoint.Type()
		}
		s, err := q.scalesOf(x, in[1], zeroPoint)
		if err != nil {
			return nil, err
		}
		least, most, err := limitsOf(to)
		if err != nil {
			return nil, err
		}
		src, ok := x.Data.([]float32)
		if whole, isWhole := x.Data.([]int32); isWhole {
			src, ok = make([]float32, len(whole)), true
			for i, v := range whole {
				src[i] = float32(v)
			}
		}
		if !ok {
			return nil, errElementType(x)
		}
		y, err := r.tensor(to, x.Shape)
		if err != nil {
			return nil, err
		}
		switch d := y.Data.(type) {
		case []int8:
			err = quantizeTo(r, d, src, s, least, most)
		case []uint8:
			err = quantizeTo(r, d, src, s, least, most)
		case []int16:
			err = quantizeTo(r, d, src, s, least, most)
		case []uint16:
			err = quantizeTo(r, d, src, s, least, most)
		}
		return r.result(y, err)
	}), nil
}

func optional(in []*Tensor, i int) *Tensor {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// limitsOf returns the least and the largest integer of a type that floats can be
// quantized to.
func limitsOf(t onnxpb.TensorProto_DataType) (least, most float64, err error) {
	switch t {
	case onnxpb.TensorProto_INT8:
		return math.MinInt8, math.MaxInt8, nil
	case onnxpb.TensorProto_UINT8:
		return 0, math.MaxUint8, nil
	case onnxpb.TensorProto_INT16:
		return math.MinInt16, math.MaxInt16, nil
	case onnxpb.TensorProto_UINT16:
		return 0, math.MaxUint16, nil
	}
	return 0, 0, fmt.Errorf("it quantizes to %s; int8, uint8, int16 and uint16 are supported",
		typeName(t))
}

func quantizeTo[T integer](r *run, dst []T, src []float32, s scales, least, most float64) error {
	return s.each(r, len(src), func(channel, first, last int) {
		scale, zero := s.scale[channel], s.zero[channel]
		for i, x := range src[first:last] {
			dst[first+i] = T(quantized(x, scale, zero, least, most))
		}
	})
}

// quantized returns the integer of x.
func quantized(x, scale float32, zero, least, most float64) float64 {
	v := math.RoundToEven(float64(x/scale)) + zero
	if !(v > least) {
		return least
	}
	return min(v, most)
}

// dequantizationOf is quantizationOf of a DequantizeLinear, whose result is float32.
func dequantizationOf(n *node) (quantization, error) {
	if err := n.only("output_dtype", 0, 0, int64(onnxpb.TensorProto_FLOAT)); err != nil {
		return quantization{}, err
	}
	return quantizationOf(n)
}

// makeDequantizeLinear makes (x − zero point)·scale, float32.
func makeDequantizeLinear(n *node) (operation, error) {
	q, err := dequantizationOf(n)
	if err != nil {
		return nil, err
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		zeroPoint := optional(in, 2)
		if zeroPoint != nil && zeroPoint.Type() != x.Type() {
			return nil, fmt.Errorf("its input is %v, its zero point %v; they must be of one type", x,
				zeroPoint)
		}
		s, err := q.scalesOf(x, in[1], zeroPoint)
		if err != nil {
			return nil, err
		}
		y, err := r.tensor(onnxpb.TensorProto_FLOAT, x.Shape)
		if err != nil {
			return nil, err
		}
		dst := y.Data.([]float32)
		switch d := x.Data.(type) {
		case []int8:
			err = dequantizeFrom(r, dst, d, s)
		case []uint8:
			err = dequantizeFrom(r, dst, d, s)
		case []int16:
			err = dequantizeFrom(r, dst, d, s)
		case []uint16:
			err = dequantizeFrom(r, dst, d, s)
		case []int32:
			err = dequantizeFrom(r, dst, d, s)
		default:
			err = errElementType(x)
		}
		return r.result(y, err)
	}), nil
}

func dequantizeFrom[T integer](r *run, dst []float32, src []T, s scales) error {
	return s.each(r, len(src), func(channel, first, last int) {
		scale, zero := s.scale[channel], s.zero[channel]
		for i, v := range src[first:last] {
			dst[first+i] = dequantized(float64(v), scale, zero)
		}
	})
}

// dequantized returns what an integer of 32 bits stands for: the difference is exact
// in float64, the product float32's.
func dequantized(v float64, scale float32, zero float64) float32 { return float32(v-zero) * scale }

// makeRequantize makes QuantizeLinear and the DequantizeLinear behind it in one pass
// over float32: what is left of each value once it was an integer. It keeps the
// order that images are in.
func makeRequantize(n *node) (operation, error) {
	if _, err := dequantizationOf(n.dequantize); err != nil {
		return nil, err
	}
	to, from := n.constant(2), n.dequantize.constant(2)
	if to == nil || from == nil || to.Type() != from.Type() {
		return nil, errors.New(
			"its zero point and that of the DequantizeLinear behind it are not of one type")
	}
	least, most, err := limitsOf(to.Type())
	if err != nil {
		return nil, err
	}
	plain := &Tensor{Data: []float32{0}}
	forth, err := quantization{}.scalesOf(plain, n.constant(1), to)
	if err != nil {
		return nil, err
	}
	back, err := quantization{}.scalesOf(plain, n.dequantize.constant(1), from)
	if err != nil {
		return nil, err
	}
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		if x.Type() == onnxpb.TensorProto_INT32 {
			wide, err := r.cast(x, onnxpb.TensorProto_FLOAT)
			if err != nil {
				return nil, err
			}
			defer r.release(wide)
			x = wide
		}
		src, err := floats32(x, "input")
		if err != nil {
			return nil, err
		}
		y, err := r.like(x)
		if err != nil {
			return nil, err
		}
		dst := y.Data.([]float32)
		return r.result(y, r.split(len(src), elementCost, func(first, last int) {
			for i, x := range src[first:last] {
				dst[first+i] = dequantized(quantized(x, forth.scale[0], forth.zero[0], least, most),
					back.scale[0], back.zero[0])
			}
		}))
	}, nil
}
