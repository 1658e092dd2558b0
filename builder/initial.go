package builder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Initial is how a tensor's first values are drawn or set: a name of those below, or empty for the
// layer's default, which is PyTorch's. normal and truncated_normal are followed by = and their
// standard deviation, as in normal=0.01, and uniform by = and its bound. fan_in is the number of
// inputs that an output sums over, fan_out the number of outputs that an input goes into.
type Initial string

// The ways to draw and to set.
const (
	// KaimingNormal is N(0, 2/fan_out) (He et al., 2015, mode fan_out): of ResNet's and MobileNet's
	// convolutions in torchvision.
	KaimingNormal Initial = "kaiming_normal"
	// KaimingNormalFanIn is N(0, 2/fan_in).
	KaimingNormalFanIn Initial = "kaiming_normal_fan_in"
	// KaimingUniform is uniform within ±√(6/fan_in).
	KaimingUniform Initial = "kaiming_uniform"
	// XavierUniform is uniform within ±√(6/(fan_in + fan_out)) (Glorot and Bengio, 2010).
	XavierUniform Initial = "xavier_uniform"
	// XavierNormal is N(0, 2/(fan_in + fan_out)).
	XavierNormal Initial = "xavier_normal"
	// Zeros and Ones are constants.
	Zeros Initial = "zeros"
	Ones  Initial = "ones"

	normal          = "normal="
	truncatedNormal = "truncated_normal="
	uniform         = "uniform="

	// mostDrawn bounds their numbers, so that what is drawn is within float32.
	mostDrawn = 1e30
)

// Normal is N(0, deviation²).
func Normal(deviation float64) Initial { return Initial(normal + format(deviation)) }

// TruncatedNormal is N(0, deviation²), drawn again beyond ±2·deviation.
func TruncatedNormal(deviation float64) Initial {
	return Initial(truncatedNormal + format(deviation))
}

// Uniform is uniform within ±bound.
func Uniform(bound float64) Initial { return Initial(uniform + format(bound)) }

func format(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// named lists the ways without a number.
func (Initial) named() []Initial {
	return []Initial{KaimingNormal, KaimingNormalFanIn, KaimingUniform, XavierUniform, XavierNormal,
		Zeros, Ones}
}

// parameter returns the number of normal=, truncated_normal= and uniform=, and which of them it is.
func (i Initial) parameter() (kind string, x float64, err error) {
	for _, kind = range []string{normal, truncatedNormal, uniform} {
		text, ok := strings.CutPrefix(string(i), kind)
		if !ok {
			continue
		}
		x, err = strconv.ParseFloat(text, 64)
		if err != nil || !(float32(x) > 0) || math.IsInf(x, 0) {
			return kind, 0, fmt.Errorf("init %q: the number must be one above 0", string(i))
		}
		if x > mostDrawn {
			return kind, 0, fmt.Errorf("init %q: more than %v is a slip", string(i), mostDrawn)
		}
		return kind, x, nil
	}
	return "", 0, fmt.Errorf("init %q; there are %v, %sσ, %sσ and %sBOUND", string(i), i.named(),
		normal, truncatedNormal, uniform)
}

func (i Initial) check() error {
	if i == "" || slices.Contains(i.named(), i) {
		return nil
	}
	_, _, err := i.parameter()
	return err
}

// affine adds a weight that is drawn so, and a bias where there is one: zeros, unless the
// weight is drawn by default.
func (i Initial) affine(inferred Inferred, weight TensorSpec, bias bool) (Inferred, error) {
	if err := i.check(); err != nil {
		return Inferred{}, err
	}
	inferred.Tensors = []TensorSpec{weight}
	if bias {
		spec := TensorSpec{Name: "bias", Shape: Shape{weight.Shape[0]}, FanIn: weight.FanIn, Plain: true}
		if i != "" {
			spec.Initial = Zeros
		}
		inferred.Tensors = append(inferred.Tensors, spec)
	}
	return inferred, nil
}

// draw returns the tensor's first values. The default's are one draw a value.
func (t TensorSpec) draw(source *rand.Rand) []float32 {
	data := make([]float32, t.Shape.Elements())
	fanIn, fanOut := float64(t.FanIn), float64(t.FanOut)
	within := func(bound float64) {
		for i := range data {
			data[i] = float32((2*source.Float64() - 1) * bound)
		}
	}
	gaussian := func(deviation float64, truncated bool) {
		for i := range data {
			x := source.NormFloat64()
			for truncated && math.Abs(x) > 2 {
				x = source.NormFloat64()
			}
			data[i] = float32(x * deviation)
		}
	}
	switch t.Initial {
	case "":
		within(1 / math.Sqrt(fanIn))
	case KaimingNormal:
		gaussian(math.Sqrt(2/fanOut), false)
	case KaimingNormalFanIn:
		gaussian(math.Sqrt(2/fanIn), false)
	case KaimingUniform:
		within(math.Sqrt(6 / fanIn))
	case XavierUniform:
		within(math.Sqrt(6 / (fanIn + fanOut)))
	case XavierNormal:
		gaussian(math.Sqrt(2/(fanIn+fanOut)), false)
	case Zeros:
	case Ones:
		for i := range data {
			data[i] = 1
		}
	default:
		if kind, x, err := t.Initial.parameter(); err == nil && kind == uniform {
			within(x)
		} else if err == nil {
			gaussian(x, kind == truncatedNormal)
		} else if value, err := strconv.ParseFloat(string(t.Initial), 64); err == nil {
			for i := range data {
				data[i] = float32(value)
			}
		}
	}
	return data
}
