package builder

import (
	"fmt"
	"math"

	"slipway/internal/ops"
)

// The constants of Klambauer et al. (2017), to as many digits as PyTorch and ONNX give.
const (
	seluAlpha = 1.6732632423543772
	seluScale = 1.0507009873554805
)

// SELU is y = λ·x where x > 0 and λ·α·(eˣ − 1) elsewhere, element by element, on any shape, with
// λ = 1.0507… and α = 1.6732…, by which a network's values keep a mean of 0 and a variance of 1
// (Klambauer et al., Self-Normalizing Neural Networks, 2017; PyTorch's SELU, ONNX's Selu). Its
// gradient is dy·λ where x > 0 and dy·λ·α·eˣ elsewhere.
type SELU struct {
	Name string `json:"name"` // selu1, selu2, … if empty
}

// Kind implements Layer.
func (SELU) Kind() string { return "SELU" }

// Infer implements Layer.
func (l SELU) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (SELU) Compute(Call) (Computation, error) {
	return curve{
		value: func(x float64) float64 {
			if x > 0 {
				return seluScale * x
			}
			return seluScale * seluAlpha * math.Expm1(x)
		},
		slope: func(x float64) float64 {
			if x > 0 {
				return seluScale
			}
			return seluScale * seluAlpha * math.Exp(x)
		},
	}.computation(), nil
}

func (SELU) form(Call) ops.Description { return activationForm(ops.FunctionSELU) }

// Export implements Exporter.
func (SELU) Export(e *Export) (string, error) {
	return e.Add("Selu", []string{e.Input(0)}, Number("alpha", seluAlpha),
		Number("gamma", seluScale)), nil
}

// Operator implements Importer.
func (SELU) Operator() string { return "Selu" }

// Import implements Importer.
func (SELU) Import(attributes Attributes) (Layer, error) {
	alpha, scale := attributes.Float("alpha", seluAlpha), attributes.Float("gamma", seluScale)
	if math.Abs(alpha-seluAlpha) > 2e-6 || math.Abs(scale-seluScale) > 2e-6 {
		return nil, fmt.Errorf("alpha is %g and gamma %g; the layer SELU has %.5f and %.5f",
			alpha, scale, seluAlpha, seluScale)
	}
	return SELU{}, nil
}

func (SELU) cases() []Case { return elementwiseCases(SELU{}) }
