package builder

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Concat joins the channels of maps of one size, or the features of vectors, in the order of its
// inputs (PyTorch's cat and ONNX's Concat along axis 1): of C₁×H×W, C₂×H×W, … it makes
// (C₁+C₂+…)×H×W. The gradient of each input is its share of dy.
type Concat struct {
	Name string `json:"name"` // concat1, … if empty
}

// Kind implements Layer.
func (Concat) Kind() string { return "Concat" }

// Infer implements Layer.
func (l Concat) Infer(inputs []Shape) (Inferred, error) {
	if len(inputs) == 0 {
		return Inferred{}, errors.New("takes one or more inputs")
	}
	first := inputs[0]
	output := append(Shape{0}, first[1:]...)
	for _, shape := range inputs {
		if shape[1:].String() != first[1:].String() {
			return Inferred{}, fmt.Errorf("joins %v and %v; all maps must have one size", first, shape)
		}
		output[0] += shape[0]
		if err := output.checkPositive(); err != nil {
			return Inferred{}, err
		}
	}
	return Inferred{Layer: l, Output: output}, nil
}

// Compute implements Layer.
func (Concat) Compute(call Call) (Computation, error) {
	// each calls f with an input's values of an example and their place in the output.
	each := func(f func(input, from, to, count int)) {
		at := 0
		for n := range call.Batch {
			for i, shape := range call.Inputs {
				count := shape.Elements()
				f(i, n*count, at, count)
				at += count
			}
		}
	}
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			each(func(i, from, to, count int) { copy(y[to:to+count], in[i][from:]) })
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			each(func(i, from, to, count int) {
				if d[i] != nil {
					copy(d[i][from:from+count], dy[to:])
				}
			})
			return nil
		},
	}, nil
}

func (Concat) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeConcat(p.kernels, p.in...)
}

func (Concat) form(Call) ops.Description { return ops.Description{Kind: ops.ConcatForward} }

// Export implements Exporter.
func (Concat) Export(e *Export) (string, error) {
	var inputs []string
	for i := range e.Call.Inputs {
		inputs = append(inputs, e.Input(i))
	}
	return e.Add("Concat", inputs, Integer("axis", 1)), nil
}

func (Concat) cases() []Case {
	return []Case{
		{Concat{}, []Shape{{2, 5, 6}, {3, 5, 6}}},
		{Concat{}, []Shape{{7}, {3}, {5}}},
		{Concat{}, []Shape{{17, 2, 3}, {1, 2, 3}, {4, 2, 3}}},
	}
}
