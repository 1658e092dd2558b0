package builder

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Add is the sum of two or more values of one shape, as at the end of a residual block (He et al.,
// 2016): y = x₁ + x₂ + …, added in this order. The gradient of each is that of y.
type Add struct {
	Name string `json:"name"` // add1, add2, … if empty
}

// Kind implements Layer.
func (Add) Kind() string { return "Add" }

// Infer implements Layer.
func (l Add) Infer(inputs []Shape) (Inferred, error) {
	if len(inputs) < 2 {
		return Inferred{}, fmt.Errorf("takes two or more inputs, not %d", len(inputs))
	}
	for _, shape := range inputs[1:] {
		if !slices.Equal(shape, inputs[0]) {
			return Inferred{}, fmt.Errorf("adds %v and %v; all must have one shape", inputs[0], shape)
		}
	}
	return Inferred{Layer: l, Output: inputs[0]}, nil
}

// Compute implements Layer.
func (Add) Compute(Call) (Computation, error) {
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i := range y {
				sum := in[0][i]
				for _, x := range in[1:] {
					sum += x[i]
				}
				y[i] = sum
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			for i := range d {
				copy(d[i], dy)
			}
			return nil
		},
	}, nil
}

func (Add) plain(p *place) (*gorgonia.Node, error) { return ops.Sum(nil, p.in...) }

func (Add) native(p *place) (*gorgonia.Node, error) {
	if _, ok := p.fuse(ReLU{}.Kind()); ok {
		return ops.NativeSumReLU(p.kernels, p.in...)
	}
	return ops.Sum(&p.kernels, p.in...)
}

// Export implements Exporter. Add takes two values; more are added one after another.
func (l Add) Export(e *Export) (string, error) {
	sum := e.Input(0)
	last := len(e.Call.Inputs) - 1
	for i := 1; i < last; i++ {
		sum = e.Step(fmt.Sprint(i), "Add", []string{sum, e.Input(i)})
	}
	return e.Add("Add", []string{sum, e.Input(last)}), nil
}

func (Add) cases() []Case {
	return []Case{
		{Add{}, []Shape{{2, 5, 6}, {2, 5, 6}}},
		{Add{}, []Shape{{7}, {7}, {7}}},
	}
}
