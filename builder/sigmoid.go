package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// Sigmoid is the logistic function σ(x) = 1/(1 + e⁻ˣ), element by element, on any shape (PyTorch's
// and ONNX's Sigmoid). Its gradient is dy·σ(x)·(1 − σ(x)).
type Sigmoid struct {
	Name string `json:"name"` // sigmoid1, … if empty
}

// Kind implements Layer.
func (Sigmoid) Kind() string { return "Sigmoid" }

// Infer implements Layer.
func (l Sigmoid) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (Sigmoid) Compute(Call) (Computation, error) {
	return curve{logistic, func(x float64) float64 { return logistic(x) * logistic(-x) }}.computation(), nil
}

func (Sigmoid) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.Sigmoid()) }

func (Sigmoid) form(Call) ops.Description { return activationForm(ops.FunctionSigmoid) }

// Export implements Exporter.
func (Sigmoid) Export(e *Export) (string, error) {
	return e.Add("Sigmoid", []string{e.Input(0)}), nil
}

// Operator implements Importer.
func (Sigmoid) Operator() string { return "Sigmoid" }

// Import implements Importer.
func (Sigmoid) Import(Attributes) (Layer, error) { return Sigmoid{}, nil }

func (Sigmoid) cases() []Case { return elementwiseCases(Sigmoid{}) }
