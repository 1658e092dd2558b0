package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// NativeReLU is ReLU on any layout.
func NativeReLU(kernels kernel.Engine, x *gorgonia.Node) (*gorgonia.Node, error) {
	plan, err := kernel.NewElementwise(kernels)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "ReLU", Output: x.Shape(),
		Forward: func(y []float32, in [][]float32) error { return plan.ReLU(y, in[0]) },
		Gradients: []Gradient{{
			Of: []int{0}, ReadsOutput: true,
			Run: func(d [][]float32, dy, y []float32, _ [][]float32) error {
				return plan.ReLUGradient(d[0], dy, y)
			},
		}},
	}, x)
}
