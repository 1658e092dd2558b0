package ops

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// NativePenalty is ParameterPenalty on the kernels. Its gradient is not a node
// that Gorgonia adds to the loss's, but a pass over the loss's own gradient:
// see Penalise.
type NativePenalty struct {
	// Value is the node of λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂.
	Value *gorgonia.Node

	penalty Penalty
	plan    *kernel.Elementwise
	squares map[*gorgonia.Node]*float64 // Σp² of each parameter at this step
}

// NewNativePenalty adds the penalty of the parameters to their graph.
func NewNativePenalty(kernels kernel.Engine, penalty Penalty, parameters ...*gorgonia.Node) (*NativePenalty, error) {
	plan, err := kernel.NewElementwise(kernels)
	if err != nil {
		return nil, err
	}
	p := &NativePenalty{penalty: penalty, plan: plan, squares: make(map[*gorgonia.Node]*float64)}
	squares := make([]float64, len(parameters))
	for i, parameter := range parameters {
		p.squares[parameter] = &squares[i]
	}
	value := gorgonia.NewF32(0)
	op := &operator{
		name: fmt.Sprintf("ParameterPenalty(λ1=%v, λ2=%v)", penalty.L1, penalty.L2), output: tensorType(0), shape: tensor.ScalarShape(),
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			total := 0.0
			for i := range inputs {
				values, err := float32s(inputs[i])
				if err != nil {
					return nil, err
				}
				var absolute float64
				absolute, squares[i] = plan.Sums(values)
				total += penalty.L1*absolute + penalty.L2*math.Sqrt(squares[i])
			}
			*value = gorgonia.F32(total)
			return value, nil
		},
	}
	p.Value, err = op.apply(parameters...)
	return p, err
}

// Penalise returns the node of grad + λ1·sign(p) + λ2·p/‖p‖₂, where grad is the
// gradient of the loss without the penalty with respect to the parameter p. It
// is computed in grad's own memory.
func (p *NativePenalty) Penalise(grad, parameter *gorgonia.Node) (*gorgonia.Node, error) {
	squares, ok := p.squares[parameter]
	if !ok {
		return nil, fmt.Errorf("penalty: %s is not one of its parameters", parameter.Name())
	}
	shape := parameter.Shape().Clone()
	op := &operator{
		name: "PenalisedGradient", output: tensorType(shape.Dims()), shape: shape,
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var values [2][]float32
			if err := allFloat32s(values[:], inputs[:2]); err != nil {
				return nil, err
			}
			scale := float32(0)
			if *squares > 0 {
				scale = float32(p.penalty.L2 / math.Sqrt(*squares))
			}
			return inputs[0], p.plan.Penalty(values[0], values[1], float32(p.penalty.L1), scale)
		},
	}
	// The penalty's value is an input, so that the norms are this step's.
	return op.apply(grad, parameter, p.Value)
}
