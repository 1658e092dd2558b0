package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// ReLU is the rectifier max(x, 0), element by element, on any shape. NaN stays
// NaN. Its gradient is 0 where x ≤ 0.
type ReLU struct {
	Name string `json:"name"` // relu1, relu2, … if empty
}

// Kind implements Layer.
func (ReLU) Kind() string { return "ReLU" }

// Infer implements Layer.
func (l ReLU) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (ReLU) Compute(Call) (Computation, error) {
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			copy(y, reference.ReLUForward(in[0]))
			return nil
		},
		Backward: func(d [][]float32, dy, y []float32, _ [][]float32) error {
			copy(d[0], reference.ReLUBackward(dy, y))
			return nil
		},
	}, nil
}

func (ReLU) plain(p *place) (*gorgonia.Node, error)  { return ops.ReLU(p.in[0]) }
func (ReLU) native(p *place) (*gorgonia.Node, error) { return ops.NativeReLU(p.kernels, p.in[0]) }

// Export implements Exporter.
func (ReLU) Export(e *Export) (string, error) { return e.Add("Relu", []string{e.Input(0)}), nil }

// Operator implements Importer.
func (ReLU) Operator() string { return "Relu" }

// Import implements Importer.
func (ReLU) Import(Attributes) (Layer, error) { return ReLU{}, nil }

func (ReLU) cases() []Case {
	return []Case{
		{ReLU{}, []Shape{{2, 5, 6}}},
		{ReLU{}, []Shape{{9}}},
	}
}
