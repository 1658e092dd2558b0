package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// ReLU6 is y = min(max(x, 0), 6), element by element, on any shape (Howard et al., 2017,
// MobileNets; PyTorch's ReLU6, ONNX's Clip). NaN stays NaN. Its gradient is dy where 0 < x < 6 and
// 0 elsewhere.
type ReLU6 struct {
	Name string `json:"name"` // relu6_1, relu6_2, … if empty
}

// Kind implements Layer.
func (ReLU6) Kind() string { return "ReLU6" }

// prefix ends in no digit, so that the second is not relu62.
func (ReLU6) prefix() string { return "relu6_" }

// Infer implements Layer.
func (l ReLU6) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (ReLU6) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 { return min(max(x, 0), 6) },
		slope: func(x float64) float64 { return step(x, 0, 6) },
	}.computation(), nil
}

func (ReLU6) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.ReLU6()) }

func (ReLU6) form(Call) ops.Description { return activationForm(ops.FunctionReLU6) }

// Export implements Exporter.
func (ReLU6) Export(e *Export) (string, error) {
	low, high := e.Floats("min", []float32{0}), e.Floats("max", []float32{6})
	return e.Add("Clip", []string{e.Input(0), low, high}), nil
}

func (ReLU6) cases() []Case { return elementwiseCases(ReLU6{}) }
