package ops_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

func TestGradientsAreTheFiniteDifferences(t *testing.T) {
	square := func(kernel, stride, padding int) ops.Window {
		return ops.Window{
			KernelHeight: kernel, KernelWidth: kernel, StrideHeight: stride, StrideWidth: stride,
			PaddingHeight: padding, PaddingWidth: padding,
		}
	}
	dropout := func(layout ops.Layout) build {
		return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			masks := ops.NewMasks(3, "dropout")
			masks.SetStep(11, 0)
			return ops.Dropout(in[0], 0.3, masks, layout)
		}
	}
	parameterPenalty := func(penalty ops.Penalty) build {
		return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.ParameterPenalty(penalty, in...)
		}
	}
	activationPenalty := func(penalty ops.Penalty) build {
		return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.ActivationPenalty(penalty, in[0])
		}
	}
	for _, test := range []struct {
		name   string
		apply  build
		inputs []array
	}{
		{"ReLU", relu, []array{spaced(2, 3, 4, 3)}},
		{"ReLU of a vector", relu, []array{spaced(7)}},
		{"MaxPool2D", maxPool(square(2, 2, 0)), []array{spaced(2, 2, 4, 6)}},
		{"MaxPool2D, overlap and padding", maxPool(square(3, 2, 1)), []array{spaced(1, 2, 5, 6)}},
		{"AvgPool2D", avgPool(square(2, 2, 0)), []array{spaced(2, 2, 4, 6)}},
		{"AvgPool2D, overlap and padding", avgPool(square(3, 1, 1)), []array{spaced(1, 2, 5, 4)}},
		{"Flatten", flatten, []array{spaced(2, 3, 2, 3)}},
		{"Reshape", func(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.Reshape(in[0], 3, 4) },
			[]array{spaced(2, 6)}},
		{"Dropout, N×F", dropout(ops.ChannelsFirst), []array{spaced(4, 9)}},
		{"Dropout, N×C×H×W", dropout(ops.ChannelsFirst), []array{spaced(2, 3, 2, 4)}},
		{"Dropout, N×H×W×C", dropout(ops.ChannelsLast), []array{spaced(2, 3, 2, 4)}},
		{"SoftmaxCrossEntropy", crossEntropy(0, 3, 1), []array{spaced(3, 4)}},
		{"ParameterPenalty", parameterPenalty(ops.Penalty{L1: 0.5, L2: 2}),
			[]array{spaced(3, 1, 2, 2), spaced(9), spaced(2, 5)}},
		{"ActivationPenalty", activationPenalty(ops.Penalty{L1: 0.5, L2: 2}), []array{spaced(3, 6)}},
		{"stock convolution", stockConv2D(square(3, 1, 0)),
			[]array{spaced(2, 2, 5, 4), spaced(3, 2, 3, 3), spaced(3)}},
		{"stock convolution, stride and padding", stockConv2D(square(3, 2, 1)),
			[]array{spaced(1, 2, 6, 5), spaced(3, 2, 3, 3), spaced(3)}},
		{"stock convolution, 1×1", stockConv2D(square(1, 1, 0)),
			[]array{spaced(2, 3, 2, 3), spaced(2, 3, 1, 1), spaced(2)}},
		{"stock convolution, kernel = input", stockConv2D(square(4, 1, 0)),
			[]array{spaced(2, 2, 4, 4), spaced(3, 2, 4, 4), spaced(3)}},
		{"stock dense", stockDense, []array{spaced(4, 5), spaced(3, 5), spaced(3)}},
		{"a chain", func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			// What follows an operator must not write over the output that its
			// gradient reads.
			y, err := relu(in)
			for _, next := range []build{
				maxPool(square(2, 1, 0)),
				func(y gorgonia.Nodes) (*gorgonia.Node, error) {
					return stockConv2D(square(3, 1, 1))(gorgonia.Nodes{y[0], in[1], in[2]})
				},
				avgPool(square(2, 2, 0)), flatten,
				func(y gorgonia.Nodes) (*gorgonia.Node, error) {
					return stockDense(gorgonia.Nodes{y[0], in[3], in[4]})
				},
			} {
				if err == nil {
					y, err = next(gorgonia.Nodes{y})
				}
			}
			return y, err
		}, []array{spaced(2, 1, 5, 5), spaced(2, 1, 3, 3), spaced(2), spaced(3, 8), spaced(3)}},
	} {
		t.Run(test.name, func(t *testing.T) { checkFiniteDifferences(t, test.apply, test.inputs...) })
	}
}
