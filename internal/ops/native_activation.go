package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// NativeActivation applies y = f(x), element by element, on any layout. Its gradient is dy·f′(x),
// which reads the output or the input, as the function says.
func NativeActivation(kernels kernel.Engine, name string, x *gorgonia.Node,
	f kernel.Function) (*gorgonia.Node, error) {
	plan, err := kernel.NewActivation(kernels, f)
	if err != nil {
		return nil, err
	}
	gradient := Gradient{
		Of: []int{0}, Reads: []int{0},
		Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			return plan.Backward(d[0], dy, in[0])
		},
	}
	if f.FromOutput {
		gradient = Gradient{
			Of: []int{0}, ReadsOutput: true,
			Run: func(d [][]float32, dy, y []float32, _ [][]float32) error {
				return plan.Backward(d[0], dy, y)
			},
		}
	}
	return Apply(Computation{
		Name: name, Output: x.Shape(), Gradients: []Gradient{gradient},
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0]) },
	}, x)
}

// NativePReLU applies y = x where x > 0 and w·x elsewhere: x N×H×W×C or N×C, and w C numbers or a
// single one. kernel.PReLU has the gradients.
func NativePReLU(kernels kernel.Engine, x, w *gorgonia.Node) (*gorgonia.Node, error) {
	config, err := channelsOf(x)
	if err != nil {
		return nil, fmt.Errorf("PReLU: %w", err)
	}
	shared := w.Shape().TotalSize() == 1
	plan, err := kernel.NewPReLU(kernels, config.Batch*config.Area, config.Channels, shared)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "PReLU", Output: x.Shape(),
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0], in[1]) },
		Gradients: []Gradient{{
			Of: []int{0, 1}, Reads: []int{0, 1},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Backward(d[0], d[1], dy, in[0], in[1])
			},
		}},
	}, x, w)
}
