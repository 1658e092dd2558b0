package native

import (
	"fmt"
	"math"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// unaryOperators are those that compute each element of floats from one, in
// float64.
func unaryOperators() map[string]operator {
	all, vectors := make(map[string]operator), vectorFunctions()
	for name, f := range map[string]func(float64) float64{
		"Sigmoid": sigmoid, "Tanh": math.Tanh, "Exp": math.Exp, "Log": math.Log, "Sqrt": math.Sqrt,
		"Erf":   math.Erf,
		"Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven,
		"Abs": math.Abs, "Neg": func(x float64) float64 { return -x },
		"Reciprocal": func(x float64) float64 { return 1 / x },
		"Sin":        math.Sin, "Cos": math.Cos, "Tan": math.Tan, "Sinh": math.Sinh, "Cosh": math.Cosh,
		"Asin": math.Asin, "Acos": math.Acos, "Atan": math.Atan, "Asinh": math.Asinh, "Acosh": math.Acosh,
		"Atanh":     math.Atanh,
		"Softplus":  func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
		"Softsign":  func(x float64) float64 { return x / (1 + math.Abs(x)) },
		"HardSwish": func(x float64) float64 { return x * min(1, max(0, x/6+0.5)) },
		"Mish": func(x float64) float64 {
			return x * math.Tanh(max(x, 0)+math.Log1p(math.Exp(-math.Abs(x))))
		},
		"Sign": sign,
	} {
		since := int64(6)
		if name == "Round" {
			since = 11
		}
		all[name] = operator{since, 1, 1, nil, func(n *node) (operation, error) {
			if function, ok := vectors[name]; ok {
				return vectorised(loopOf(function), f), nil
			}
			return elementwise(f, integerUnary(name)), nil
		}}
	}
	// loop is a function's for float32, nil for none.
	parameters := func(since int64, names string, f func(alpha, beta float64) func(float64) float64,
		alpha, beta float32, loop func(alpha, beta float64) vectorLoop) operator {
		a := attributes{}
		for _, name := range map[string][]string{"alpha": {"alpha"}, "alpha beta": {"alpha", "beta"},
			"alpha gamma": {"alpha", "gamma"}}[names] {
			a[name] = numberKind
		}
		return operator{since, 1, 1, a, func(n *node) (operation, error) {
			first, second := float64(n.number("alpha", alpha)), float64(n.number("beta",
				n.number("gamma", beta)))
			if loop != nil {
				return vectorised(loop(first, second), f(first, second)), nil
			}
			return elementwise(f(first, second), nil), nil
		}}
	}
	all["LeakyRelu"] = parameters(6, "alpha", func(alpha, _ float64) func(float64) float64 {
		return func(x float64) float64 {
			if x < 0 {
				return alpha * x
			}
			return x
		}
	}, 0.01, 0, func(alpha, _ float64) vectorLoop { return loopOf(kernel.LeakyReLU(float32(alpha))) })
	all["ThresholdedRelu"] = parameters(10, "alpha", func(alpha, _ float64) func(float64) float64 {
		return func(x float64) float64 {
			if x <= alpha {
				return 0
			}
			return x
		}
	}, 1, 0, nil)
	all["Elu"] = parameters(6, "alpha", func(alpha, _ float64) func(float64) float64 {
		return func(x float64) float64 {
			if x < 0 {
				return alpha * math.Expm1(x)
			}
			return x
		}
	}, 1, 0, func(alpha, _ float64) vectorLoop { return loopOf(kernel.ELU(alpha)) })
	all["Selu"] = parameters(6, "alpha gamma", func(alpha, gamma float64) func(float64) float64 {
		return func(x float64) float64 {
			if x <= 0 {
				return gamma * alpha * math.Expm1(x)
			}
			return gamma * x
		}
	}, 1.67326319217681884765625, 1.05070102214813232421875, nil)
	all["HardSigmoid"] = parameters(6, "alpha beta", func(alpha, beta float64) func(float64) float64 {
		return func(x float64) float64 { return max(0, min(1, alpha*x+beta)) }
	}, 0.2, 0.5, func(alpha, beta float64) vectorLoop {
		return func(e kernel.Engine, y, x []float32) {
			e.Clamp(y, x, float32(alpha), float32(beta), 0, 1)
		}
	})
	all["Gelu"] = operator{20, 1, 1, attributes{"approximate": textKind}, makeGelu}
	return all
}

// makeGelu makes x·Φ(x), Φ the normal distribution's function or its approximation
// by tanh.
func makeGelu(n *node) (operation, error) {
	switch approximate := n.text("approximate", "none"); approximate {
	case "none":
		return vectorised(loopOf(kernel.GELU()), gelu), nil
	case "tanh":
		return vectorised(loopOf(kernel.GELUTanh()), func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}), nil
	default:
		return nil, fmt.Errorf("attribute approximate = %s is not supported", shorten(approximate))
	}
}

func gelu(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

// integerUnary is what an operator does to signed integers, nil if it takes none.
func integerUnary(name string) func(int64) int64 {
	switch name {
	case "Abs":
		return func(x int64) int64 { return max(x, -x) }
	case "Neg":
		return func(x int64) int64 { return -x }
	case "Sign":
		return func(x int64) int64 { return min(1, max(-1, x)) }
	}
	return nil
}

// elementwise makes the operation that applies f to each element, or g if they
// are signed integers. Unsigned ones are not supported.
func elementwise(f func(float64) float64, g func(int64) int64) operation {
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		y, err := r.like(x)
		if err != nil {
			return nil, err
		}
		switch d := x.Data.(type) {
		case []float32:
			j := &r.jobs.apply
			*j = mapping{dst: y.Data.([]float32), src: d, f: f}
			err = r.share(len(d), elementCost, j)
		case []float64:
			err = apply(r, y, d, f)
		case []int8:
			err = applyInteger(r, y, d, g)
		case []int16:
			err = applyInteger(r, y, d, g)
		case []int32:
			err = applyInteger(r, y, d, g)
		case []int64:
			err = applyInteger(r, y, d, g)
		default:
			err = errElementType(x)
		}
		return r.result(y, err)
	}
}

// mapping applies a function to elements of float32.
type mapping struct {
	dst, src []float32
	f        func(float64) float64
}

func (j *mapping) compute(_, first, last int) {
	for i, v := range j.src[first:last] {
		j.dst[first+i] = float32(j.f(float64(v)))
	}
}

func errElementType(t *Tensor) error {
	return fmt.Errorf("its input %v is of an element type that is not supported", t)
}

// elementCost is about how many additions an element of a transcendental function
// takes.
const elementCost = 16

func apply[T, U any](r *run, y *Tensor, src []T, f func(T) U) error {
	dst := y.Data.([]U)
	return r.split(len(src), elementCost, func(first, last int) {
		for i, v := range src[first:last] {
			dst[first+i] = f(v)
		}
	})
}

func applyInteger[T integer](r *run, y *Tensor, src []T, g func(int64) int64) error {
	if g == nil {
		return fmt.Errorf("its input is of %s; the operator takes floats", typeName(y.Type()))
	}
	return apply(r, y, src, func(v T) T { return T(g(int64(v))) })
}

func makeRelu(*node) (operation, error) {
	other := elementwise(func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x
	}, func(x int64) int64 { return max(x, 0) })
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x, ok := in[0].Data.([]float32)
		if !ok {
			return other(r, in)
		}
		y, err := r.inPlace(in, 0)
		if err != nil {
			return nil, err
		}
		return r.list(y), r.elements.ReLU(y.Data.([]float32), x)
	}, nil
}

func makeNot(*node) (operation, error) {
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x, ok := in[0].Data.([]bool)
		if !ok {
			return nil, errElementType(in[0])
		}
		y, err := r.like(in[0])
		if err != nil {
			return nil, err
		}
		return []*Tensor{y}, apply(r, y, x, func(v bool) bool { return !v })
	}, nil
}

// makeClip makes min(max(x, least), most); NaN stays. The bounds are attributes
// before opset 11.
func makeClip(n *node) (operation, error) {
	if n.opset >= 11 && len(n.proto.GetAttribute()) > 0 {
		return nil, fmt.Errorf("attribute %s is an input since opset 11",
			n.proto.GetAttribute()[0].GetName())
	}
	if n.opset < 11 && len(n.proto.GetInput()) > 1 {
		return nil, fmt.Errorf("it has %d inputs; its bounds are attributes before opset 11",
			len(n.proto.GetInput()))
	}
	bound := func(name string) *Tensor {
		if a := n.attribute(name); a != nil {
			return &Tensor{Data: []float32{a.GetF()}}
		}
		return nil
	}
	least, most := bound("min"), bound("max")
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		lo, hi := least, most
		if len(in) > 1 && in[1] != nil {
			lo = in[1]
		}
		if len(in) > 2 && in[2] != nil {
			hi = in[2]
		}
		y := r.same(in[0])
		for _, step := range []struct {
			bound *Tensor
			o     arithmetic
		}{{lo, maximum}, {hi, minimum}} {
			if step.bound == nil {
				continue
			}
			if step.bound.elements() != 1 {
				r.release(y)
				return nil, fmt.Errorf("its bound %v is not a single number", step.bound)
			}
			clipped, err := r.binaryScalar(y, step.bound, step.o)
			r.release(y)
			if err != nil {
				return nil, err
			}
			y = clipped
		}
		return r.list(y), nil
	}, nil
}

// binaryScalar computes x∘s with a single number, in whatever order x is.
func (r *run) binaryScalar(x, s *Tensor, o arithmetic) (*Tensor, error) {
	flat := r.view(x, []int{x.elements()})
	defer r.release(flat)
	y, err := r.binary(flat, &Tensor{Data: s.Data}, o)
	if err != nil {
		return nil, err
	}
	y.Shape, y.channelsLast = x.Shape, x.channelsLast
	return y, nil
}

// makeCast converts element types as C does: floats are cut to integers.
func makeCast(n *node) (operation, error) {
	to := onnxpb.TensorProto_DataType(n.integer("to", 0))
	if widthOf(to) == 0 {
		return nil, fmt.Errorf("attribute to = %s is not supported", typeName(to))
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		y, err := r.cast(in[0], to)
		return r.list(y), err
	}), nil
}
