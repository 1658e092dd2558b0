package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// HardSwish is y = x·min(max(x/6 + 1/2, 0), 1), element by element, on any shape (Howard et al.,
// 2019, MobileNetV3; PyTorch's Hardswish). Its gradient is 0 where x ≤ −3, dy where x ≥ 3 and
// dy·(x/3 + 1/2) between.
type HardSwish struct {
	Name string `json:"name"` // hardswish1, … if empty
}

// Kind implements Layer.
func (HardSwish) Kind() string { return "HardSwish" }

// Infer implements Layer.
func (l HardSwish) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (HardSwish) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 { return x * hardGate(x) },
		slope: func(x float64) float64 {
			switch {
			case x <= -3:
				return 0
			case x >= 3:
				return 1
			}
			return x/3 + 0.5
		},
	}.computation(), nil
}

func (HardSwish) native(p *place) (*gorgonia.Node, error) {
	return p.activation(kernel.HardSwish())
}

func (HardSwish) form(Call) ops.Description { return activationForm(ops.FunctionHardSwish) }

// Export implements Exporter. ONNX has the operator itself since opset 14.
func (HardSwish) Export(e *Export) (string, error) {
	gate := e.Step("gate", "HardSigmoid", []string{e.Input(0)}, hardGateAttributes()...)
	return e.Add("Mul", []string{e.Input(0), gate}), nil
}

// Operator implements Importer.
func (HardSwish) Operator() string { return "HardSwish" }

// Import implements Importer.
func (HardSwish) Import(Attributes) (Layer, error) { return HardSwish{}, nil }

func (HardSwish) cases() []Case { return elementwiseCases(HardSwish{}) }
