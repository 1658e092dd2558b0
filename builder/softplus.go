package builder

import (
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// Softplus is y = ln(1 + eˣ), element by element, on any shape (PyTorch's and ONNX's Softplus). Its
// gradient is dy·σ(x) with the logistic function σ.
type Softplus struct {
	Name string `json:"name"` // softplus1, … if empty
}

// Kind implements Layer.
func (Softplus) Kind() string { return "Softplus" }

// Infer implements Layer.
func (l Softplus) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer. ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|)) does not overflow.
func (Softplus) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
		slope: logistic,
	}.computation(), nil
}

func (Softplus) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.Softplus()) }

func (Softplus) form(Call) ops.Description { return activationForm(ops.FunctionSoftplus) }

// Export implements Exporter.
func (Softplus) Export(e *Export) (string, error) {
	return e.Add("Softplus", []string{e.Input(0)}), nil
}

// Operator implements Importer.
func (Softplus) Operator() string { return "Softplus" }

// Import implements Importer.
func (Softplus) Import(Attributes) (Layer, error) { return Softplus{}, nil }

func (Softplus) cases() []Case { return elementwiseCases(Softplus{}) }
