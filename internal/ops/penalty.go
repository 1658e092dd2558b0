package ops

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Penalty holds the factors of an L1 and an L2 term.
type Penalty struct {
	L1 float64 `json:"l1"`
	L2 float64 `json:"l2"`
}

// IsZero reports whether the penalty adds nothing.
func (p Penalty) IsZero() bool { return p == Penalty{} }

// ParameterPenalty applies λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂ over the given parameter tensors,
// a term each, the L2 norm not squared. The gradient with respect to a tensor
// is λ1·sign(p) + λ2·p/‖p‖₂, where sign(0) = 0, and 0 where p = 0.
func ParameterPenalty(penalty Penalty, parameters ...*gorgonia.Node) (*gorgonia.Node, error) {
	forward, err := parameterPenaltyValue(penalty, plainPenalty{}, make([]float64, len(parameters)))
	if err != nil {
		return nil, err
	}
	forward.differentiable = allTrue(len(parameters))
	forward.gradient = func(inputs gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes,
		error) {
		gradients := make(gorgonia.Nodes, len(inputs))
		for i, input := range inputs {
			node, err := parameterPenaltyGradient(penalty, input, grad)
			if err != nil {
				return nil, err
			}
			gradients[i] = node
		}
		return gradients, nil
	}
	return forward.apply(parameters...)
}

func parameterPenaltyGradient(penalty Penalty, parameter, grad *gorgonia.Node) (*gorgonia.Node,
	error) {
	shape := parameter.Shape().Clone()
	dp := newBuffer(shape...)
	backward := &operator{
		name: "ParameterPenaltyGradient", output: tensorType(shape.Dims()), shape: shape, result: dp,
		inside: -1,
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			p, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			outer, err := scalar(inputs[1])
			if err != nil {
				return nil, err
			}
			signFactor := outer * float32(penalty.L1)
			factor := outer * l2Factor(penalty.L2, p)
			dpValues := dp.data()
			for i, value := range p {
				dpValues[i] = signFactor*sign(value) + factor*value
			}
			return dp.value(), nil
		},
	}
	return backward.apply(parameter, grad)
}

// l2Factor is λ2/‖p‖₂, or 0 where p = 0.
func l2Factor(lambda float64, p []float32) float32 {
	_, squares := norms(p)
	if squares == 0 {
		return 0
	}
	return float32(lambda / math.Sqrt(squares))
}

// ActivationPenalty applies (λ1·Σ|a| + λ2·Σa²)/N to the activations a of one
// layer, N examples: the mean over the batch of each example's penalty, as
// Keras's activity_regularizer defines it. Its gradient is
// (λ1·sign(a) + 2·λ2·a)/N.
func ActivationPenalty(penalty Penalty, activations *gorgonia.Node) (*gorgonia.Node, error) {
	shape := activations.Shape().Clone()
	batch := float64(shape[0])
	value := gorgonia.NewF32(0)
	forward := &operator{
		name:        fmt.Sprintf("ActivationPenalty(λ1=%v, λ2=%v)", penalty.L1, penalty.L2),
		description: Description{Kind: ActivationPenaltyForward, Penalty: penalty},
		output:      tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: []bool{true},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			a, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			l1, squares := norms(a)
			*value = gorgonia.F32((penalty.L1*l1 + penalty.L2*squares) / batch)
			return value, nil
		},
		gradient: func(inputs gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			da := newBuffer(shape...)
			backward := &operator{
				name: "ActivationPenaltyGradient", output: tensorType(shape.Dims()), shape: shape, result: da,
				inside:      -1,
				description: Description{Kind: ActivationPenaltyGradient, Penalty: penalty},
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					a, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					outer, err := scalar(inputs[1])
					if err != nil {
						return nil, err
					}
					signFactor := outer * float32(penalty.L1/batch)
					factor := outer * float32(2*penalty.L2/batch)
					daValues := da.data()
					for i, value := range a {
						daValues[i] = signFactor*sign(value) + factor*value
					}
					return da.value(), nil
				},
			}
			node, err := backward.apply(inputs[0], grad)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(activations)
}

// norms returns Σ|x| and Σx².
func norms(values []float32) (l1, squares float64) {
	for _, value := range values {
		l1 += math.Abs(float64(value))
		squares += float64(value) * float64(value)
	}
	return l1, squares
}

func sign(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // keeps 0 and NaN
}

func allTrue(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}
