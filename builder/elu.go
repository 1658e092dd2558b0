package builder

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// ELU is y = x where x > 0 and Alpha·(eˣ − 1) elsewhere, element by element, on any shape (Clevert
// et al., 2016; PyTorch's ELU, ONNX's Elu). Its gradient is dy where x > 0 and dy·Alpha·eˣ
// elsewhere.
type ELU struct {
	Name  string  `json:"name"`            // elu1, elu2, … if empty
	Alpha float64 `json:"alpha,omitempty"` // above 0, 1 if zero
}

// Kind implements Layer.
func (ELU) Kind() string { return "ELU" }

// Describe says alpha.
func (l ELU) Describe() string { return fmt.Sprintf("alpha=%v", l.Alpha) }

// Infer implements Layer.
func (l ELU) Infer(inputs []Shape) (Inferred, error) {
	if l.Alpha == 0 {
		l.Alpha = 1
	}
	if !(float32(l.Alpha) > 0) {
		return Inferred{}, fmt.Errorf("alpha %v; a number above 0 is needed", l.Alpha)
	}
	if err := checkFinite("alpha", l.Alpha); err != nil {
		return Inferred{}, err
	}
	return unchanged(l, inputs)
}

// Compute implements Layer.
func (l ELU) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 {
			if x > 0 {
				return x
			}
			return l.Alpha * math.Expm1(x)
		},
		slope: func(x float64) float64 {
			if x > 0 {
				return 1
			}
			return l.Alpha * math.Exp(x)
		},
	}.computation(), nil
}

func (l ELU) native(p *place) (*gorgonia.Node, error) { return p.activation(kernel.ELU(l.Alpha)) }

func (l ELU) form(Call) ops.Description {
	return ops.Description{Kind: ops.ActivationForward, Function: ops.FunctionELU, Alpha: l.Alpha}
}

// Export implements Exporter.
func (l ELU) Export(e *Export) (string, error) {
	return e.Add("Elu", []string{e.Input(0)}, Number("alpha", float32(l.Alpha))), nil
}

// Operator implements Importer.
func (ELU) Operator() string { return "Elu" }

// Import implements Importer.
func (ELU) Import(attributes Attributes) (Layer, error) {
	return ELU{Alpha: attributes.Float("alpha", 1)}, nil
}

func (ELU) cases() []Case {
	return append(elementwiseCases(ELU{}), elementwiseCases(ELU{Alpha: 0.5})...)
}
