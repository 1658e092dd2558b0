package builder

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// GELU is y = x·Φ(x), element by element, on any shape, where Φ is the normal distribution function
// (Hendrycks and Gimpel, 2016; PyTorch's GELU):
//
//	Φ(x) = (1 + erf(x/√2))/2
//
// Its gradient is dy·(Φ(x) + x·φ(x)) with the density φ(x) = e^(−x²/2)/√(2π). With Tanh, Φ is
// approximated by (1 + tanh(u))/2, u = √(2/π)·(x + 0.044715·x³), and φ is that function's
// derivative, (1 − tanh²(u))/2·√(2/π)·(1 + 3·0.044715·x²).
type GELU struct {
	Name string `json:"name"`           // gelu1, gelu2, … if empty
	Tanh bool   `json:"tanh,omitempty"` // the approximation
}

// The numbers of the approximation.
const (
	geluCubic = 0.044715
	geluRoot  = 2 / (math.Sqrt2 * math.SqrtPi) // √(2/π)
)

// Kind implements Layer.
func (GELU) Kind() string { return "GELU" }

// Describe says which of the two it is.
func (l GELU) Describe() string {
	if l.Tanh {
		return "tanh"
	}
	return ""
}

// Infer implements Layer.
func (l GELU) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (l GELU) Compute(Call) (Computation, error) {
	// Φ(x) = erfc(−x/√2)/2 does not cancel where x is far below 0.
	share := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	density := func(x float64) float64 { return math.Exp(-x*x/2) * geluRoot / 2 }
	if l.Tanh {
		// (1 + tanh(u))/2 = σ(2u), which does not cancel either.
		share = func(x float64) float64 { return logistic(2 * geluRoot * (x + geluCubic*x*x*x)) }
		density = func(x float64) float64 {
			return 2 * share(x) * share(-x) * geluRoot * (1 + 3*geluCubic*x*x)
		}
	}
	return curve{
		value: func(x float64) float64 { return x * share(x) },
		slope: func(x float64) float64 { return share(x) + x*density(x) },
	}.computation(), nil
}

func (l GELU) native(p *place) (*gorgonia.Node, error) {
	if l.Tanh {
		return p.activation(kernel.GELUTanh())
	}
	return p.activation(kernel.GELU())
}

func (l GELU) form(Call) ops.Description {
	if l.Tanh {
		return activationForm(ops.FunctionGELUTanh)
	}
	return activationForm(ops.FunctionGELU)
}

// Export implements Exporter. ONNX has the operator itself since opset 20; the steps are those of
// PyTorch's exporter, which runtimes know to fuse.
func (l GELU) Export(e *Export) (string, error) {
	x := e.Input(0)
	number := func(name string, value float64) string {
		return e.Floats(name, []float32{float32(value)})
	}
	if !l.Tanh {
		scaled := e.Step("scale", "Div", []string{x, number("sqrt2", math.Sqrt2)})
		erf := e.Step("erf", "Erf", []string{scaled})
		share := e.Step("share", "Add", []string{erf, number("one", 1)})
		product := e.Step("product", "Mul", []string{x, share})
		return e.Add("Mul", []string{product, number("half", 0.5)}), nil
	}
	square := e.Step("square", "Mul", []string{x, x})
	cube := e.Step("cube", "Mul", []string{x, square})
	cubic := e.Step("cubic", "Mul", []string{number("coefficient", geluCubic), cube})
	sum := e.Step("sum", "Add", []string{x, cubic})
	scaled := e.Step("scale", "Mul", []string{number("root", geluRoot), sum})
	tanh := e.Step("tanh", "Tanh", []string{scaled})
	share := e.Step("share", "Add", []string{number("one", 1), tanh})
	half := e.Step("half", "Mul", []string{number("factor", 0.5), x})
	return e.Add("Mul", []string{half, share}), nil
}

// Operator implements Importer.
func (GELU) Operator() string { return "Gelu" }

// Import implements Importer.
func (GELU) Import(attributes Attributes) (Layer, error) {
	switch approximate := attributes.String("approximate"); approximate {
	case "", "none":
		return GELU{}, nil
	case "tanh":
		return GELU{Tanh: true}, nil
	default:
		return nil, fmt.Errorf("approximate is %.40q; it must be none or tanh", approximate)
	}
}

func (GELU) cases() []Case {
	return append(elementwiseCases(GELU{}), elementwiseCases(GELU{Tanh: true})...)
}
