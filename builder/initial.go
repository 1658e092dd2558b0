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
// standard deviation, as in normal=0.01. fan_in is the number of inputs that an output sums over,
// fan_out the number of outputs that an input goes into.
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
)

// Normal is N(0, deviation²).
func Normal(deviation float64) Initial { return Initial(normal + format(deviation)) }

// TruncatedNormal is N(0, deviation²), drawn again beyond ±2·deviation.
func TruncatedNormal(deviation float64) Initial { return Initial(truncatedNormal + format(deviation)) }

func format(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// named lists the ways without a number.
func (Initial) named() []Initial {
	return []Initial{KaimingNormal, KaimingNormalFanIn, KaimingUniform, XavierUniform, XavierNormal, Zeros, Ones}
}

// deviation returns the number of normal= and truncated_normal=.
func (i Initial) deviation() (deviation float64, truncated bool, err error) {
	text, ok := strings.CutPrefix(string(i), normal)
	if !ok {
		if text, truncated = strings.CutPrefix(string(i), truncatedNormal); !truncated {
			return 0, false, fmt.Errorf("init %q; there are %v, %sσ and %sσ", string(i), i.named(), normal, truncatedNormal)
		}
	}
	deviation, err = strconv.ParseFloat(text, 64)
	if err != nil || !(deviation > 0) || math.IsInf(deviation, 0) {
		return 0, truncated, fmt.Errorf("init %q: the standard deviation must be a number above 0", string(i))
	}
	return deviation, truncated, nil
}

func (i Initial) check() error {
	if i == "" || slices.Contains(i.named(), i) {
		return nil
	}
	_, _, err := i.deviation()
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
	uniform := func(bound float64) {
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
		uniform(1 / math.Sqrt(fanIn))
	case KaimingNormal:
		gaussian(math.Sqrt(2/fanOut), false)
	case KaimingNormalFanIn:
		gaussian(math.Sqrt(2/fanIn), false)
	case KaimingUniform:
		uniform(math.Sqrt(6 / fanIn))
	case XavierUniform:
		uniform(math.Sqrt(6 / (fanIn + fanOut)))
	case XavierNormal:
		gaussian(math.Sqrt(2/(fanIn+fanOut)), false)
	case Zeros:
	case Ones:
		for i := range data {
			data[i] = 1
		}
	default:
		if deviation, truncated, err := t.Initial.deviation(); err == nil {
			gaussian(deviation, truncated)
		} else if value, err := strconv.ParseFloat(string(t.Initial), 64); err == nil {
			for i := range data {
				data[i] = float32(value)
			}
		}
	}
	return data
}
