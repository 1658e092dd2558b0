package builder

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// curve is an activation that treats each value alone: y = f(x). Its gradient is dy·f′(x).
type curve struct{ value, slope func(x float64) float64 }

// computation computes it in float64, the result rounded.
func (c curve) computation() Computation {
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i, x := range in[0] {
				y[i] = float32(c.value(float64(x)))
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			for i, x := range in[0] {
				d[0][i] = float32(float64(dy[i]) * c.slope(float64(x)))
			}
			return nil
		},
	}
}

// activation lowers a layer to its function on the native engine.
func (p *place) activation(f kernel.Function) (*gorgonia.Node, error) {
	return ops.NativeActivation(p.kernels, p.node.Layer.Kind(), p.in[0], f)
}

// activationForm describes an activation without parameters.
func activationForm(function ops.Function) ops.Description {
	return ops.Description{Kind: ops.ActivationForward, Function: function}
}

// step is the slope of a function that rises by 1 between two kinks and is flat outside.
func step(x, low, high float64) float64 {
	if x <= low || x >= high {
		return 0
	}
	return 1
}

// logistic is σ(x) = 1/(1 + e⁻ˣ), without overflow.
func logistic(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// elementwiseCases are a map and a vector.
func elementwiseCases(layer Layer) []Case {
	return []Case{{layer, []Shape{{3, 5, 6}}}, {layer, []Shape{{11}}}}
}

// checkFinite refuses a setting that is NaN, or infinite as a float32.
func checkFinite(what string, x float64) error {
	if math.IsNaN(x) || math.IsInf(float64(float32(x)), 0) {
		return fmt.Errorf("%s %v; a finite number is needed", what, x)
	}
	return nil
}

// perChannel returns the name of a tensor of C numbers in the shape that ONNX broadcasts over the
// layer's output, C×1×1 for a map.
func (e *Export) perChannel(step, tensor string) string {
	if len(e.Call.Output) == 1 {
		return tensor
	}
	shape := e.Int64s(step+".shape", int64(e.Call.Output[0]), 1, 1)
	return e.Step(step, "Reshape", []string{tensor, shape})
}
