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
func NativeMaxPool2D(kernels kernel.Engine, x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
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
func NativeAvgPool2D(kernels kernel.Engine, x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
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
	return kernel.Pool2DConfig{Batch: input[0], Height: input[1], Width: input[2], Channels: input[3], Window: w.kernel()}, nil
}

func nativePool(name string, plan poolPlan, x *gorgonia.Node) (*gorgonia.Node, error) {
	inputShape := x.Shape().Clone()
	height, width := plan.Output()
	outputShape := tensor.Shape{inputShape[0], height, width, inputShape[3]}
	y, yValues := newTensor(outputShape...)
	forward := &operator{
		name: name, output: tensorType(4), shape: outputShape,
		differentiable: []bool{learned(x)},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			return y, plan.Forward(yValues, xValues)
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			if !learned(x) {
				return gorgonia.Nodes{nil}, nil
			}
			dx, dxValues := newTensor(inputShape...)
			backward := &operator{
				name: name + "Gradient", output: tensorType(4), shape: inputShape,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					return dx, plan.Backward(dxValues, dy)
				},
			}
			// The output is an input, so that the plan's state is this step's.
			node, err := backward.apply(grad, output)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
