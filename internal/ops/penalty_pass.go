package ops

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// PenaltyPass is ParameterPenalty with a gradient that is not a node that
// Gorgonia adds to the loss's, but a pass over the loss's own gradient: see
// Penalise.
type PenaltyPass struct {
	// Value is the node of λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂.
	Value *gorgonia.Node

	penalty Penalty
	plan    penaltyPlan
	// gradient describes Penalise's nodes.
	gradient Description
	squares  map[*gorgonia.Node]*float64 // Σp² of each parameter at this step
}

// penaltyPlan is the loops of a penalty: Sums returns Σ|x| and Σx², Penalty adds
// λ1·sign(x) + factor·x to grad.
type penaltyPlan interface {
	Sums(x []float32) (absolute, squares float64)
	Penalty(grad, x []float32, lambda1, factor float32) error
}

// plainPenalty is the loops as they are written.
type plainPenalty struct{}

func (plainPenalty) Sums(x []float32) (absolute, squares float64) { return norms(x) }

func (plainPenalty) Penalty(grad, x []float32, lambda1, factor float32) error {
	for i, value := range x {
		grad[i] += lambda1*sign(value) + factor*value
	}
	return nil
}

// NewNativePenalty adds the penalty of the parameters to their graph, on the
// kernels.
func NewNativePenalty(kernels kernel.Engine, penalty Penalty,
	parameters ...*gorgonia.Node) (*PenaltyPass, error) {
	plan, err := kernel.NewElementwise(kernels)
	if err != nil {
		return nil, err
	}
	return newPenaltyPass(&PenaltyPass{penalty: penalty, plan: plan}, Description{}, parameters)
}

// NewPenalty adds the penalty of the parameters to their graph, as plain loops.
func NewPenalty(penalty Penalty, parameters ...*gorgonia.Node) (*PenaltyPass, error) {
	p := &PenaltyPass{penalty: penalty, plan: plainPenalty{},
		gradient: Description{Kind: PenalisedGradient, Penalty: penalty}}
	return newPenaltyPass(p, Description{Kind: ParameterPenaltyForward, Penalty: penalty}, parameters)
}

// newPenaltyPass adds the node of the pass's value, of that description.
func newPenaltyPass(p *PenaltyPass, description Description,
	parameters gorgonia.Nodes) (*PenaltyPass, error) {
	p.squares = make(map[*gorgonia.Node]*float64)
	squares := make([]float64, len(parameters))
	for i, parameter := range parameters {
		p.squares[parameter] = &squares[i]
	}
	op, err := parameterPenaltyValue(p.penalty, p.plan, squares)
	if err != nil {
		return nil, err
	}
	op.description = description
	p.Value, err = op.apply(parameters...)
	return p, err
}

// parameterPenaltyValue is the operator of λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂ over as many
// parameters as squares has places, where it leaves Σp² of each.
func parameterPenaltyValue(penalty Penalty, plan penaltyPlan, squares []float64) (*operator,
	error) {
	if len(squares) == 0 {
		return nil, errors.New("parameter penalty: there are no parameters")
	}
	value := gorgonia.NewF32(0)
	return &operator{
		name:   fmt.Sprintf("ParameterPenalty(λ1=%v, λ2=%v)", penalty.L1, penalty.L2),
		output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
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
	}, nil
}

// Penalise returns the node of grad + λ1·sign(p) + λ2·p/‖p‖₂, where grad is the
// gradient of the loss without the penalty with respect to the parameter p. It
// is computed in grad's own memory.
func (p *PenaltyPass) Penalise(grad, parameter *gorgonia.Node) (*gorgonia.Node, error) {
	squares, ok := p.squares[parameter]
	if !ok {
		return nil, fmt.Errorf("penalty: %s is not one of its parameters", parameter.Name())
	}
	shape := parameter.Shape().Clone()
	op := &operator{
		description: p.gradient,
		name:        "PenalisedGradient", output: tensorType(shape.Dims()), shape: shape, inside: 0,
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
