package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// affinePlan is a kernel of y = f(x ∗ w + b), where ∗ is a convolution or a
// matrix product and f what is fused behind it.
type affinePlan interface {
	Forward(y, x, w, b []float32) error
	BackwardParameters(dw, db, dy, y, x []float32) error
	BackwardInput(dx, dy, y, w []float32) error
}

// affine applies a plan to x, w and b of that many outputs; b may be nil: zeros then. One node computes dw
// and, in the same pass, db; another one dx. readsOutput says whether they need y: where ReLU or a pooling
// is fused. Otherwise they get nil, and y's memory is free for other things.
func affine(name string, plan affinePlan, output tensor.Shape, outputs int, readsOutput bool,
	x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	var noBias, unwantedWeight []float32
	inputs, parameters := gorgonia.Nodes{x, w}, []int{1}
	if b != nil {
		inputs, parameters = append(inputs, b), append(parameters, 2)
	} else {
		noBias = make([]float32, outputs)
	}
	return Apply(Computation{
		Name: name, Output: output,
		Forward: func(y []float32, in [][]float32) error {
			bias := noBias
			if b != nil {
				bias = in[2]
			}
			return plan.Forward(y, in[0], in[1], bias)
		},
		Gradients: []Gradient{{
			Of: parameters, ReadsOutput: readsOutput, Reads: []int{0},
			Run: func(d [][]float32, dy, y []float32, in [][]float32) error {
				var db []float32
				if b != nil {
					db = d[2]
				}
				dw := d[1]
				if dw == nil { // nobody asks for it
					if unwantedWeight == nil {
						unwantedWeight = make([]float32, w.Shape().TotalSize())
					}
					dw = unwantedWeight
				}
				return plan.BackwardParameters(dw, db, dy, y, in[0])
			},
		}, {
			Of: []int{0}, ReadsOutput: readsOutput, Reads: []int{1},
			Run: func(d [][]float32, dy, y []float32, in [][]float32) error {
				return plan.BackwardInput(d[0], dy, y, in[1])
			},
		}},
	}, inputs...)
}
