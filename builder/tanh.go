package builder

import (
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// Tanh is the hyperbolic tangent, element by element, on any shape (PyTorch's and ONNX's Tanh). Its
// gradient is dy·(1 − tanh²(x)).
type Tanh struct {
	Name string `json:"name"` // tanh1, tanh2, … if empty
}

// Kind implements Layer.
func (Tanh) Kind() string { return "Tanh" }

// Infer implements Layer.
func (l Tanh) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (Tanh) Compute(Call) (Computation, error) {
	return curve{math.Tanh, func(x float64) float64 {
		return 1 - math.Tanh(x)*math.Tanh(x)
	}}.computation(), nil
}

func (Tanh) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.Tanh()) }

func (Tanh) form(Call) ops.Description { return activationForm(ops.FunctionTanh) }

// Export implements Exporter.
func (Tanh) Export(e *Export) (string, error) { return e.Add("Tanh", []string{e.Input(0)}), nil }

// Operator implements Importer.
func (Tanh) Operator() string { return "Tanh" }

// Import implements Importer.
func (Tanh) Import(Attributes) (Layer, error) { return Tanh{}, nil }

func (Tanh) cases() []Case { return elementwiseCases(Tanh{}) }
