package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// LeakyReLU is y = x where x > 0 and Slope·x elsewhere, element by element, on any shape (Maas et
// al., 2013; PyTorch's LeakyReLU, ONNX's LeakyRelu). Its gradient is dy where x > 0 and
// Slope·dy elsewhere.
type LeakyReLU struct {
	Name  string  `json:"name"`            // leakyrelu1, … if empty
	Slope float64 `json:"slope,omitempty"` // of the negative side, 0.01 if zero
}

// Kind implements Layer.
func (LeakyReLU) Kind() string { return "LeakyReLU" }

// Describe says the slope.
func (l LeakyReLU) Describe() string { return fmt.Sprintf("slope=%v", l.Slope) }

// Infer implements Layer.
func (l LeakyReLU) Infer(inputs []Shape) (Inferred, error) {
	if l.Slope == 0 {
		l.Slope = 0.01
	}
	if err := checkFinite("slope", l.Slope); err != nil {
		return Inferred{}, err
	}
	return unchanged(l, inputs)
}

// Compute implements Layer.
func (l LeakyReLU) Compute(Call) (Computation, error) {
	slope := func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return l.Slope
	}
	return curve{func(x float64) float64 { return x * slope(x) }, slope}.computation(), nil
}

func (l LeakyReLU) native(p *place) (*gorgonia.Node, error) {
	return p.activation(kernel.LeakyReLU(float32(l.Slope)))
}

func (l LeakyReLU) form(Call) ops.Description {
	return ops.Description{Kind: ops.ActivationForward, Function: ops.FunctionLeakyReLU,
		Alpha: l.Slope}
}

// Export implements Exporter.
func (l LeakyReLU) Export(e *Export) (string, error) {
	return e.Add("LeakyRelu", []string{e.Input(0)}, Number("alpha", float32(l.Slope))), nil
}

// Operator implements Importer.
func (LeakyReLU) Operator() string { return "LeakyRelu" }

// Import implements Importer.
func (LeakyReLU) Import(attributes Attributes) (Layer, error) {
	slope := attributes.Float("alpha", 0.01)
	if slope == 0 {
		return ReLU{}, nil
	}
	return LeakyReLU{Slope: slope}, nil
}

func (LeakyReLU) cases() []Case {
	return append(elementwiseCases(LeakyReLU{}), elementwiseCases(LeakyReLU{Slope: 0.2})...)
}
