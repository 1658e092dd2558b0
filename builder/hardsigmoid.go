package builder

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// HardSigmoid is y = min(max(x/6 + 1/2, 0), 1), element by element, on any shape (Howard et al.,
// 2019, MobileNetV3; PyTorch's Hardsigmoid, ONNX's HardSigmoid with alpha = 1/6). Its gradient is
// dy/6 where −3 < x < 3 and 0 elsewhere.
type HardSigmoid struct {
	Name string `json:"name"` // hardsigmoid1, … if empty
}

// Kind implements Layer.
func (HardSigmoid) Kind() string { return "HardSigmoid" }

// Infer implements Layer.
func (l HardSigmoid) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (HardSigmoid) Compute(Call) (Computation, error) {
	return curve{hardGate, func(x float64) float64 { return step(x, -3, 3) / 6 }}.computation(), nil
}

// hardGate is the function of HardSigmoid.
func hardGate(x float64) float64 { return min(max(x+3, 0), 6) / 6 }

func (HardSigmoid) native(p *place) (*gorgonia.Node, error) {
	return p.activation(kernel.HardSigmoid())
}

func (HardSigmoid) form(Call) ops.Description { return activationForm(ops.FunctionHardSigmoid) }

// Export implements Exporter.
func (HardSigmoid) Export(e *Export) (string, error) {
	return e.Add("HardSigmoid", []string{e.Input(0)}, hardGateAttributes()...), nil
}

func hardGateAttributes() []Attribute {
	return []Attribute{Number("alpha", 1.0/6), Number("beta", 0.5)}
}

// Operator implements Importer.
func (HardSigmoid) Operator() string { return "HardSigmoid" }

// Import implements Importer.
func (HardSigmoid) Import(attributes Attributes) (Layer, error) {
	alpha, beta := attributes.Float("alpha", 0.2), attributes.Float("beta", 0.5)
	if math.Abs(alpha-1.0/6) > 2e-6 || math.Abs(beta-0.5) > 2e-6 {
		return nil, fmt.Errorf("alpha is %g and beta %g; the layer HardSigmoid has 1/6 and 0.5",
			alpha, beta)
	}
	return HardSigmoid{}, nil
}

func (HardSigmoid) cases() []Case { return elementwiseCases(HardSigmoid{}) }
