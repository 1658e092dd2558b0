package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Dropout2D zeroes each channel of a map with probability P while training and multiplies the
// others by 1/(1−P) (Tompson et al., 2015; PyTorch's Dropout2d). The gradient is dy times the same
// factors. When evaluating, and in an exported graph, it is absent.
type Dropout2D struct {
	Name string  `json:"name"` // dropout2d1, … if empty
	P    float64 `json:"p"`    // probability of being zeroed, 0 ≤ P < 1
}

// Kind implements Layer.
func (Dropout2D) Kind() string { return "Dropout2D" }

// Describe says the probability.
func (l Dropout2D) Describe() string { return fmt.Sprintf("p=%v", l.P) }

// Infer implements Layer.
func (l Dropout2D) Infer(inputs []Shape) (Inferred, error) {
	if err := checkProbability(l.P); err != nil {
		return Inferred{}, err
	}
	in, err := image(inputs)
	return Inferred{Layer: l, Output: in}, err
}

// Compute implements Layer. One factor is drawn for each channel of each image.
func (l Dropout2D) Compute(call Call) (Computation, error) {
	if !call.Training {
		return copied(), nil
	}
	return masked(call, l.P, call.Output[0]), nil
}

func (l Dropout2D) plain(p *place) (*gorgonia.Node, error) {
	if p.keeps(l.P) {
		return p.in[0], nil
	}
	return p.compute()
}

func (l Dropout2D) native(p *place) (*gorgonia.Node, error) {
	if p.keeps(l.P) {
		return p.in[0], nil
	}
	return ops.NativeDropChannels(p.kernels, l.Kind(), p.in[0], l.P, p.masks(), false)
}

func (l Dropout2D) form(call Call) ops.Description {
	return dropSetsForm(call, l.P, call.Output.Elements()/call.Output[0])
}

// Export implements Exporter. It is the identity when a network is evaluated, and no operator.
func (Dropout2D) Export(e *Export) (string, error) { return e.Input(0), nil }

func (Dropout2D) cases() []Case {
	return []Case{
		{Dropout2D{P: 0.4}, []Shape{{7, 2, 3}}},
		{Dropout2D{P: 0.25}, []Shape{{3, 5, 6}}},
	}
}
