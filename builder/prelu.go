package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// PReLU is y = x where x > 0 and a·x elsewhere, with slopes a that are learned: one for each
// channel, or feature of a vector, or a single one (He et al., 2015, Delving Deep into Rectifiers;
// PyTorch's PReLU, ONNX's PRelu). The gradient of x is dy where x > 0 and a·dy elsewhere, that of a
// slope the sum of x·dy over its values where x ≤ 0. Its tensor is weight, 0.25 at first.
type PReLU struct {
	Name   string `json:"name"`             // prelu1, … if empty
	Shared bool   `json:"shared,omitempty"` // one slope for all channels
}

// Kind implements Layer.
func (PReLU) Kind() string { return "PReLU" }

// Describe says whether the slope is shared.
func (l PReLU) Describe() string {
	if l.Shared {
		return "shared"
	}
	return ""
}

// Infer implements Layer.
func (l PReLU) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	slopes := Shape{in[0]}
	if l.Shared {
		slopes = Shape{1}
	}
	// Decay would pull the slopes towards those of ReLU.
	weight := TensorSpec{Name: "weight", Shape: slopes, Initial: "0.25", Plain: true}
	return Inferred{Layer: l, Output: in, Tensors: []TensorSpec{weight}}, nil
}

// Compute implements Layer.
func (l PReLU) Compute(call Call) (Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	slopeOf := func(i int) int {
		if l.Shared {
			return 0
		}
		return i / area % channels
	}
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i, x := range in[0] {
				y[i] = x
				if !(x > 0) {
					y[i] = x * in[1][slopeOf(i)]
				}
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			sums := make([]float64, len(in[1]))
			for i, x := range in[0] {
				g := dy[i]
				if !(x > 0) {
					g *= in[1][slopeOf(i)]
					sums[slopeOf(i)] += float64(x) * float64(dy[i])
				}
				if d[0] != nil {
					d[0][i] = g
				}
			}
			writeSums(d[1], sums)
			return nil
		},
	}, nil
}

// writeSums rounds sums to the gradient that they are, if somebody asks for it.
func writeSums(d []float32, sums []float64) {
	for i := range d {
		d[i] = float32(sums[i])
	}
}

func (PReLU) native(p *place) (*gorgonia.Node, error) {
	return ops.NativePReLU(p.kernels, p.in[0], p.tensors[0])
}

func (PReLU) form(Call) ops.Description { return ops.Description{Kind: ops.PReLUForward} }

// Export implements Exporter.
func (l PReLU) Export(e *Export) (string, error) {
	slopes := e.Tensor(0)
	if !l.Shared {
		slopes = e.perChannel("slopes", slopes)
	}
	return e.Add("PRelu", []string{e.Input(0), slopes}), nil
}

func (PReLU) cases() []Case {
	return append(elementwiseCases(PReLU{}), elementwiseCases(PReLU{Shared: true})...)
}
