package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// SiLU is y = x·σ(x) with the logistic function σ, element by element, on any shape (Elfwing et
// al., 2018; Swish of Ramachandran et al., 2017; PyTorch's SiLU). Its gradient is dy·σ(x)·(1 + x·(1
// − σ(x))).
type SiLU struct {
	Name string `json:"name"` // silu1, silu2, … if empty
}

// Kind implements Layer.
func (SiLU) Kind() string { return "SiLU" }

// Infer implements Layer.
func (l SiLU) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (SiLU) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 { return x * logistic(x) },
		slope: func(x float64) float64 { return logistic(x) * (1 + x*logistic(-x)) },
	}.computation(), nil
}

func (SiLU) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.SiLU()) }

func (SiLU) form(Call) ops.Description { return activationForm(ops.FunctionSiLU) }

// Export implements Exporter. ONNX has the operator as Swish, since opset 24.
func (SiLU) Export(e *Export) (string, error) {
	gate := e.Step("gate", "Sigmoid", []string{e.Input(0)})
	return e.Add("Mul", []string{e.Input(0), gate}), nil
}

func (SiLU) cases() []Case { return elementwiseCases(SiLU{}) }
