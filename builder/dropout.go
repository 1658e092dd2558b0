package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Dropout zeroes each value with probability P while training and multiplies
// the others by 1/(1−P) (Srivastava et al., JMLR 15, 2014, in the inverted form
// that PyTorch uses). When evaluating, and in an exported graph, it is absent.
type Dropout struct {
	Name string  `json:"name"` // dropout1, … if empty
	P    float64 `json:"p"`    // probability of being zeroed, 0 ≤ P < 1
}

// Kind implements Layer.
func (Dropout) Kind() string { return "Dropout" }

// Describe says the probability.
func (l Dropout) Describe() string { return fmt.Sprintf("p=%v", l.P) }

// Infer implements Layer.
func (l Dropout) Infer(inputs []Shape) (Inferred, error) {
	if err := checkProbability(l.P); err != nil {
		return Inferred{}, err
	}
	return unchanged(l, inputs)
}

func checkProbability(p float64) error {
	if !(p >= 0 && p < 1) {
		return fmt.Errorf("probability %v is outside 0 ≤ p < 1", p)
	}
	return nil
}

// Compute implements Layer.
func (l Dropout) Compute(call Call) (Computation, error) {
	if !call.Training {
		return copied(), nil
	}
	return masked(call, l.P, call.Output.Elements()), nil
}

// masked multiplies by factors of 0, with probability p, and 1/(1−p): so many for each image, each
// for as many values after another.
func masked(call Call, p float64, perImage int) Computation {
	factors := make([]float32, call.Batch*perImage)
	each := call.Output.Elements() / perImage
	multiply := func(y, x []float32) {
		for i := range y {
			y[i] = x[i] * factors[i/each]
		}
	}
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			call.Random.Fill(factors, call.Batch, p)
			multiply(y, in[0])
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			multiply(d[0], dy)
			return nil
		},
	}
}

// dropSetsForm describes masked for so many values in a row with one factor; an executor draws the
// masks again.
func dropSetsForm(call Call, p float64, each int) ops.Description {
	masks, ok := call.Random.(*ops.Masks)
	if !ok {
		return ops.Description{}
	}
	return ops.Description{Kind: ops.DropSetsForward, P: p, Masks: masks, Each: each}
}

func (l Dropout) lower(p *place, layout ops.Layout) (*gorgonia.Node, error) {
	if !p.options.Training || l.P == 0 {
		return p.in[0], nil
	}
	return ops.Dropout(p.in[0], l.P, p.masks(), layout)
}

func (l Dropout) plain(p *place) (*gorgonia.Node, error)  { return l.lower(p, ops.ChannelsFirst) }
func (l Dropout) native(p *place) (*gorgonia.Node, error) { return l.lower(p, ops.ChannelsLast) }

// Export implements Exporter. It is the identity when a network is evaluated, and no operator.
func (Dropout) Export(e *Export) (string, error) { return e.Input(0), nil }

func (Dropout) cases() []Case {
	return []Case{
		{Dropout{P: 0.4}, []Shape{{2, 5, 6}}},
		{Dropout{P: 0.25}, []Shape{{9}}},
	}
}
