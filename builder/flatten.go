package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Flatten makes a vector of features of a C×H×W map, channel by channel and
// row by row (ONNX Flatten, axis 1).
type Flatten struct {
	Name string `json:"name"` // flatten1, … if empty
}

// Kind implements Layer.
func (Flatten) Kind() string { return "Flatten" }

// Infer implements Layer.
func (l Flatten) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	return Inferred{Layer: l, Output: Shape{in.Elements()}}, nil
}

// Compute implements Layer.
func (Flatten) Compute(Call) (Computation, error) { return copied(), nil }

// copied is the computation of a layer that moves no values.
func copied() Computation {
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			copy(y, in[0])
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			copy(d[0], dy)
			return nil
		},
	}
}

func (Flatten) plain(p *place) (*gorgonia.Node, error) { return ops.Flatten(p.in[0]) }

// native leaves a map channels last where a dense layer can have its columns in that order.
func (Flatten) native(p *place) (*gorgonia.Node, error) {
	_, keep := p.network.flattensChannelsLast(p.at)
	if shape := p.in[0].Shape(); keep || shape.Dims() != 4 || shape[3] == 1 || shape[1]*shape[2] == 1 {
		return ops.Flatten(p.in[0])
	}
	return ops.FlattenChannelsLast(p.in[0])
}

// Export implements Exporter.
func (Flatten) Export(e *Export) (string, error) {
	return e.Add("Flatten", []string{e.Input(0)}, Integer("axis", 1)), nil
}

func (Flatten) cases() []Case {
	return []Case{
		{Flatten{}, []Shape{{2, 3, 4}}},
		{Flatten{}, []Shape{{9}}},
	}
}
