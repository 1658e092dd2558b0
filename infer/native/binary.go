package native

import (
	"fmt"
	"math"
	"sync/atomic"

	"slipway/onnx/onnxpb"
)

// arithmetic is an operation of two numbers of one type that gives a third.
type arithmetic int

const (
	addition arithmetic = iota
	subtraction
	multiplication
	division
	minimum
	maximum
	power
)

// comparison is an operation of two numbers that gives a bool.
type comparison int

const (
	equal comparison = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

func binaryOperators() map[string]operator {
	all := map[string]operator{
		"PRelu": {7, 2, 2, nil, makePRelu},
		"Mean":  {8, 1, -1, nil, makeVariadic(addition, true)},
	}
	for name, o := range map[string]arithmetic{"Add": addition, "Sub": subtraction,
		"Mul": multiplication, "Div": division, "Pow": power} {
		all[name] = operator{7, 2, 2, nil, makeArithmetic(o)}
	}
	for name, o := range map[string]arithmetic{"Min": minimum, "Max": maximum, "Sum": addition} {
		all[name] = operator{8, 1, -1, nil, makeVariadic(o, false)}
	}
	for name, o := range map[string]comparison{"Equal": equal, "Less": less,
		"LessOrEqual": lessOrEqual, "Greater": greater, "GreaterOrEqual": greaterOrEqual} {
		all[name] = operator{7, 2, 2, nil, func(*node) (operation, error) {
			return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
				y, err := r.compare(in[0], in[1], o)
				return r.list(y), err
			}), nil
		}}
	}
	for name, o := range map[string]func(a, b bool) bool{
		"And": func(a, b bool) bool { return a && b },
		"Or":  func(a, b bool) bool { return a || b },
		"Xor": func(a, b bool) bool { return a != b },
	} {
		all[name] = operator{7, 2, 2, nil, func(*node) (operation, error) { return logical(o), nil }}
	}
	return all
}

// outputOf returns the tensor for the result of two aligned ones.
func (r *run) outputOf(elementType onnxpb.TensorProto_DataType, a, b *Tensor) (*Tensor, error) {
	shape, err := broadcastShapes(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	y, err := r.tensor(elementType, shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = a.channelsLast && b.channelsLast
	return y, nil
}

// binary computes a∘b with broadcasting.
func (r *run) binary(a, b *Tensor, o arithmetic) (*Tensor, error) {
	if o == power && a.Type() != b.Type() {
		// The exponent may be of another type.
		exponent, err := r.rowMajor(b)
		if err != nil {
			return nil, err
		}
		defer r.release(exponent)
		if b, err = r.cast(exponent, a.Type()); err != nil {
			return nil, err
		}
		defer r.release(b)
	}
	if a.Type() != b.Type() {
		return nil, fmt.Errorf("its inputs are %v and %v; they must be of one type", a, b)
	}
	a, b, err := r.aligned(a, b)
	if err != nil {
		return nil, err
	}
	defer r.release(a)
	defer r.release(b)
	y, err := r.outputOf(a.Type(), a, b)
	if err != nil {
		return nil, err
	}
	switch a.Data.(type) {
	case []float32:
		err = broadcastRows(r, y, a, b, floatRow[float32](o))
	case []float64:
		err = broadcastRows(r, y, a, b, floatRow[float64](o))
	case []int8:
		err = integers[int8](r, y, a, b, o)
	case []int16:
		err = integers[int16](r, y, a, b, o)
	case []int32:
		err = integers[int32](r, y, a, b, o)
	case []int64:
		err = integers[int64](r, y, a, b, o)
	case []uint8:
		err = integers[uint8](r, y, a, b, o)
	case []uint16:
		err = integers[uint16](r, y, a, b, o)
	case []uint32:
		err = integers[uint32](r, y, a, b, o)
	case []uint64:
		err = integers[uint64](r, y, a, b, o)
	default:
		err = fmt.Errorf("its inputs are %v and %v; the element type is not supported", a, b)
	}
	if err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
}

func floatRow[T float](o arithmetic) rowFunc[T, T] {
	switch o {
	case addition, subtraction, multiplication, minimum, maximum:
		return commonRow[T](o)
	case division:
		return func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = a[i*aStep] / b[i*bStep]
			}
		}
	}
	return func(dst, a, b []T, aStep, bStep int) {
		for i := range dst {
			dst[i] = T(math.Pow(float64(a[i*aStep]), float64(b[i*bStep])))
		}
	}
}

// commonRow is what floats and integers do alike. NaN is less and larger than
// every number: min and max keep it.
func commonRow[T number](o arithmetic) rowFunc[T, T] {
	switch o {
	case addition:
		return func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = a[i*aStep] + b[i*bStep]
			}
		}
	case subtraction:
		return func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = a[i*aStep] - b[i*bStep]
			}
		}
	case multiplication:
		return func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = a[i*aStep] * b[i*bStep]
			}
		}
	case minimum:
		return func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = min(a[i*aStep], b[i*bStep])
			}
		}
	}
	return func(dst, a, b []T, aStep, bStep int) {
		for i := range dst {
			dst[i] = max(a[i*aStep], b[i*bStep])
		}
	}
}

// integers computes an operation of integers, which wrap around; a division by
// zero is an error.
func integers[T integer](r *run, y, a, b *Tensor, o arithmetic) error {
	switch o {
	case division:
		var byZero atomic.Bool
		err := broadcastRows(r, y, a, b, func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				if b[i*bStep] == 0 {
					byZero.Store(true)
					continue
				}
				dst[i] = a[i*aStep] / b[i*bStep]
			}
		})
		if err == nil && byZero.Load() {
			err = fmt.Errorf("it divides an integer by zero")
		}
		return err
	case power:
		return broadcastRows(r, y, a, b, func(dst, a, b []T, aStep, bStep int) {
			for i := range dst {
				dst[i] = T(math.Pow(float64(a[i*aStep]), float64(b[i*bStep])))
			}
		})
	}
	return broadcastRows(r, y, a, b, commonRow[T](o))
}

// makeVariadic makes an operation of any number of inputs, from left to right.
func makeVariadic(o arithmetic, mean bool) func(*node) (operation, error) {
	return func(*node) (operation, error) {
		return func(r *run, in []*Tensor) ([]*Tensor, error) {
			total := r.same(in[0])
			for _, t := range in[1:] {
				if t == nil {
					r.release(total)
					return nil, fmt.Errorf("one of its inputs is left out")
				}
				sum, err := r.binary(total, t, o)
				r.release(total)
				if err != nil {
					return nil, err
				}
				total = sum
			}
			if !mean {
				return r.list(total), nil
			}
			defer r.release(total)
			count, err := r.cast(&Tensor{Data: []float32{float32(len(in))}}, total.Type())
			if err != nil {
				return nil, err
			}
			defer r.release(count)
			y, err := r.binary(total, count, division)
			return r.list(y), err
		}, nil
	}
}

// makePRelu makes x where it is not negative, and slope·x where it is.
func makePRelu(*node) (operation, error) {
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x, slope := in[0], in[1]
		if shape, err := broadcastShapes(x.Shape, slope.Shape); err != nil ||
			len(shape) != len(x.Shape) || product(shape) != x.size() {
			return nil, fmt.Errorf("its slope %v does not broadcast to its input %v", slope, x)
		}
		if x.Type() != slope.Type() {
			return nil, fmt.Errorf("its inputs are %v and %v; they must be of one type", x, slope)
		}
		y, err := r.like(x)
		if err != nil {
			return nil, err
		}
		switch x.Data.(type) {
		case []float32:
			err = broadcastRows(r, y, x, slope, preluRow[float32])
		case []float64:
			err = broadcastRows(r, y, x, slope, preluRow[float64])
		default:
			err = fmt.Errorf("its input %v is not of a supported type", x)
		}
		return r.list(y), err
	}), nil
}

func preluRow[T float](dst, a, b []T, aStep, bStep int) {
	for i := range dst {
		v := a[i*aStep]
		if v < 0 {
			v *= b[i*bStep]
		}
		dst[i] = v
	}
}

// compare computes a comparison of row-major tensors with broadcasting.
func (r *run) compare(a, b *Tensor, o comparison) (*Tensor, error) {
	if a.Type() != b.Type() {
		return nil, fmt.Errorf("its inputs are %v and %v; they must be of one type", a, b)
	}
	y, err := r.outputOf(onnxpb.TensorProto_BOOL, a, b)
	if err != nil {
		return nil, err
	}
	switch a.Data.(type) {
	case []float32:
		err = broadcastRows(r, y, a, b, compareRow[float32](o))
	case []float64:
		err = broadcastRows(r, y, a, b, compareRow[float64](o))
	case []int8:
		err = broadcastRows(r, y, a, b, compareRow[int8](o))
	case []int16:
		err = broadcastRows(r, y, a, b, compareRow[int16](o))
	case []int32:
		err = broadcastRows(r, y, a, b, compareRow[int32](o))
	case []int64:
		err = broadcastRows(r, y, a, b, compareRow[int64](o))
	case []uint8:
		err = broadcastRows(r, y, a, b, compareRow[uint8](o))
	case []uint16:
		err = broadcastRows(r, y, a, b, compareRow[uint16](o))
	case []uint32:
		err = broadcastRows(r, y, a, b, compareRow[uint32](o))
	case []uint64:
		err = broadcastRows(r, y, a, b, compareRow[uint64](o))
	case []bool:
		if o != equal {
			return nil, fmt.Errorf("its inputs are %v and %v; bools have no order", a, b)
		}
		err = broadcastRows(r, y, a, b, logicalRow(func(a, b bool) bool { return a == b }))
	default:
		err = errElementType(a)
	}
	return y, err
}

func compareRow[T number](o comparison) rowFunc[T, bool] {
	f := func(a, b T) bool { return a == b }
	switch o {
	case less:
		f = func(a, b T) bool { return a < b }
	case lessOrEqual:
		f = func(a, b T) bool { return a <= b }
	case greater:
		f = func(a, b T) bool { return a > b }
	case greaterOrEqual:
		f = func(a, b T) bool { return a >= b }
	}
	return func(dst []bool, a, b []T, aStep, bStep int) {
		for i := range dst {
			dst[i] = f(a[i*aStep], b[i*bStep])
		}
	}
}

func logicalRow(f func(a, b bool) bool) rowFunc[bool, bool] {
	return func(dst, a, b []bool, aStep, bStep int) {
		for i := range dst {
			dst[i] = f(a[i*aStep], b[i*bStep])
		}
	}
}

func logical(f func(a, b bool) bool) operation {
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		if in[0].Type() != onnxpb.TensorProto_BOOL || in[1].Type() != onnxpb.TensorProto_BOOL {
			return nil, fmt.Errorf("its inputs are %v and %v; they must be bools", in[0], in[1])
		}
		y, err := r.outputOf(onnxpb.TensorProto_BOOL, in[0], in[1])
		if err != nil {
			return nil, err
		}
		return []*Tensor{y}, broadcastRows(r, y, in[0], in[1], logicalRow(f))
	}
}
