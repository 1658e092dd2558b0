package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// poolPlan is a pooling kernel.
type poolPlan interface {
	Forward(y, x []float32) error
	Backward(dx, dy []float32) error
	Output() (height, width int)
}

// NativeMaxPool2D is MaxPool2D on N×H×W×C.
func NativeMaxPool2D(kernels kernel.Engine, x *gorgonia.Node, window Window) (*gorgonia.Node,
	error) {
	config, err := window.channelsLast(x.Shape())
	if err != nil {
		return nil, err
	}
	plan, err := kernel.NewMaxPool2D(kernels, config)
	if err != nil {
		return nil, err
	}
	return nativePool("MaxPool2D", plan, x)
}

// NativeAvgPool2D is AvgPool2D on N×H×W×C.
func NativeAvgPool2D(kernels kernel.Engine, x *gorgonia.Node, window Window) (*gorgonia.Node,
	error) {
	config, err := window.channelsLast(x.Shape())
	if err != nil {
		return nil, err
	}
	plan, err := kernel.NewAvgPool2D(kernels, config)
	if err != nil {
		return nil, err
	}
	return nativePool("AvgPool2D", plan, x)
}

func (w Window) channelsLast(input tensor.Shape) (kernel.Pool2DConfig, error) {
	if input.Dims() != 4 {
		return kernel.Pool2DConfig{}, fmt.Errorf("pooling takes N×H×W×C, not %v", input)
	}
	return kernel.Pool2DConfig{Batch: input[0], Height: input[1], Width: input[2], Channels: input[3],
		Window: w.kernel()}, nil
}

func nativePool(name string, plan poolPlan, x *gorgonia.Node) (*gorgonia.Node, error) {
	in := x.Shape()
	height, width := plan.Output()
	return Apply(Computation{
		Name: name, Output: tensor.Shape{in[0], height, width, in[3]},
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0]) },
		Gradients: []Gradient{{
			Of: []int{0},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				return plan.Backward(d[0], dy)
			},
		}},
	}, x)
}
