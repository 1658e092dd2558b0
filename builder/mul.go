package builder

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Mul is the product of two values, element by element: y = a∘b (ONNX's Mul). Either may be one
// number for each channel of a map, C×1×1, which then multiplies the whole channel, as in
// squeeze-and-excitation (Hu et al., 2018). The gradients are da = dy∘b and db = dy∘a, summed over
// the map for one that is C×1×1.
type Mul struct {
	Name string `json:"name"` // mul1, mul2, … if empty
}

// Kind implements Layer.
func (Mul) Kind() string { return "Mul" }

// Infer implements Layer.
func (l Mul) Infer(inputs []Shape) (Inferred, error) {
	if len(inputs) != 2 {
		return Inferred{}, fmt.Errorf("takes two inputs, not %d", len(inputs))
	}
	a, b := inputs[0], inputs[1]
	switch {
	case slices.Equal(a, b), perChannel(b) && len(a) == 3 && a[0] == b[0]:
		return Inferred{Layer: l, Output: a}, nil
	case perChannel(a) && len(b) == 3 && a[0] == b[0]:
		return Inferred{Layer: l, Output: b}, nil
	}
	return Inferred{}, fmt.Errorf("multiplies %v and %v; both must have one shape, or one be C×1×1", a,
		b)
}

// perChannel reports whether a shape is C×1×1.
func perChannel(s Shape) bool { return len(s) == 3 && s[1] == 1 && s[2] == 1 }

// Compute implements Layer.
func (Mul) Compute(call Call) (Computation, error) {
	// each is how many values of the output take one of the input, one after another.
	var each [2]int
	for i, shape := range call.Inputs {
		each[i] = call.Output.Elements() / shape.Elements()
	}
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i := range y {
				y[i] = in[0][i/each[0]] * in[1][i/each[1]]
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			for k := range d {
				if d[k] == nil {
					continue
				}
				other, step := in[1-k], each[1-k]
				for at := range d[k] {
					sum := 0.0
					for i := at * each[k]; i < (at+1)*each[k]; i++ {
						sum += float64(dy[i]) * float64(other[i/step])
					}
					d[k][at] = float32(sum)
				}
			}
			return nil
		},
	}, nil
}

func (Mul) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeMul(p.kernels, p.in[0], p.in[1])
}

func (Mul) form(Call) ops.Description { return ops.Description{Kind: ops.ProductForward} }

// Export implements Exporter.
func (Mul) Export(e *Export) (string, error) {
	return e.Add("Mul", []string{e.Input(0), e.Input(1)}), nil
}

func (Mul) cases() []Case {
	return []Case{
		{Mul{}, []Shape{{3, 5, 6}, {3, 5, 6}}},
		{Mul{}, []Shape{{3, 5, 6}, {3, 1, 1}}},
		{Mul{}, []Shape{{17, 1, 1}, {17, 2, 3}}},
		{Mul{}, []Shape{{7}, {7}}},
	}
}
