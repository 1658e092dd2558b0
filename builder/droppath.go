package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// DropPath zeroes the whole value of an image with probability P while training and multiplies
// those of the other images by 1/(1−P): stochastic depth (Huang et al., 2016; torchvision's
// StochasticDepth in mode row), at the end of a residual branch. The gradient is dy times the same
// factors. When evaluating, and in an exported graph, it is absent.
type DropPath struct {
	Name string  `json:"name"` // droppath1, … if empty
	P    float64 `json:"p"`    // probability of being zeroed, 0 ≤ P < 1
}

// Kind implements Layer.
func (DropPath) Kind() string { return "DropPath" }

// Describe says the probability.
func (l DropPath) Describe() string { return fmt.Sprintf("p=%v", l.P) }

// Infer implements Layer.
func (l DropPath) Infer(inputs []Shape) (Inferred, error) {
	if err := checkProbability(l.P); err != nil {
		return Inferred{}, err
	}
	return unchanged(l, inputs)
}

// Compute implements Layer. One factor is drawn for each image.
func (l DropPath) Compute(call Call) (Computation, error) {
	if !call.Training {
		return copied(), nil
	}
	return masked(call, l.P, 1), nil
}

func (l DropPath) plain(p *place) (*gorgonia.Node, error) {
	if p.keeps(l.P) {
		return p.in[0], nil
	}
	return p.compute()
}

func (l DropPath) native(p *place) (*gorgonia.Node, error) {
	if p.keeps(l.P) {
		return p.in[0], nil
	}
	return ops.NativeDropChannels(p.kernels, l.Kind(), p.in[0], l.P, p.masks(), true)
}

// keeps reports whether nothing is dropped here.
func (p *place) keeps(probability float64) bool { return !p.options.Training || probability == 0 }

func (l DropPath) form(call Call) ops.Description {
	return dropSetsForm(call, l.P, call.Output.Elements())
}

// Export implements Exporter. It is the identity when a network is evaluated, and no operator.
func (DropPath) Export(e *Export) (string, error) { return e.Input(0), nil }

func (DropPath) cases() []Case {
	return []Case{
		{DropPath{P: 0.4}, []Shape{{3, 5, 6}}},
		{DropPath{P: 0.5}, []Shape{{9}}},
	}
}
