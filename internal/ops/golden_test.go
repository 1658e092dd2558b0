package ops_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// exact is for operators that choose values, rounded for those that compute in
// float64 and round once or twice, summed for sums of float32.
var (
	exact   = goldentest.Tolerance{}
	rounded = goldentest.Tolerance{Relative: 3e-7, OfLargest: 1e-8}
	summed  = goldentest.Tolerance{Relative: 1e-6, OfLargest: 1e-6}
)

func eachCase(t *testing.T, file string, try func(*testing.T, goldentest.Case)) {
	t.Helper()
	for _, c := range goldentest.Read(t, filepath.Join("testdata", file+".safetensors")).Cases {
		t.Run(c.Name, func(t *testing.T) { try(t, c) })
	}
}

func window(c goldentest.Case) ops.Window {
	return ops.Window{
		KernelHeight: c.Kernel[0], KernelWidth: c.Kernel[1],
		StrideHeight: c.Stride[0], StrideWidth: c.Stride[1],
		PaddingHeight: c.Padding[0], PaddingWidth: c.Padding[1],
	}
}

func TestReLUAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "relu", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), relu, []string{"x"}, []string{"dx"}, exact)
	})
}

func relu(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.ReLU(in[0]) }

func TestMaxPool2DAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "maxpool2d", func(t *testing.T, c goldentest.Case) {
		// Overlapping windows add their gradients up.
		checkGolden(t, channelsFirst(t, c), maxPool(window(c)), []string{"x"}, []string{"dx"}, rounded)
	})
}

func maxPool(w ops.Window) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.MaxPool2D(in[0], w) }
}

func TestAvgPool2DAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "avgpool2d", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), avgPool(window(c)), []string{"x"}, []string{"dx"}, summed)
	})
}

func avgPool(w ops.Window) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.AvgPool2D(in[0], w) }
}

func TestFlattenAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "flatten", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), flatten, []string{"x"}, []string{"dx"}, exact)
	})
}

func flatten(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.Flatten(in[0]) }

func TestDropoutAgreesWithPyTorchUnderTheSameMask(t *testing.T) {
	eachCase(t, "dropout", func(t *testing.T, c goldentest.Case) {
		masks := ops.NewMasks(c.Seed, c.Layer)
		masks.SetStep(c.Step, 0)
		drawn := make([]float32, len(c.Floats(t, "mask")))
		masks.Fill(drawn, 1, c.P)
		goldentest.Compare(t, "mask", drawn, c.Floats(t, "mask"), exact)
		checkGolden(t, channelsFirst(t, c), func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.Dropout(in[0], c.P, masks, ops.ChannelsFirst)
		}, []string{"x"}, []string{"dx"}, rounded)
	})
}

func TestSoftmaxCrossEntropyAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "crossentropy", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), crossEntropy(c.Ints(t, "labels")...), []string{"x"},
			[]string{"dx"}, rounded)
	})
}

func crossEntropy(labels ...int32) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		node, values := ops.NewLabels(in[0].Graph(), len(labels))
		copy(values, labels)
		return ops.SoftmaxCrossEntropy(in[0], node)
	}
}

func TestParameterPenaltyAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "parameterpenalty", func(t *testing.T, c goldentest.Case) {
		var inputs, gradients []string
		for i := range c.Parameters {
			inputs, gradients = append(inputs, fmt.Sprint("p", i)), append(gradients, fmt.Sprint("dp", i))
		}
		checkGolden(t, channelsFirst(t, c), func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.ParameterPenalty(ops.Penalty{L1: c.L1, L2: c.L2}, in...)
		}, inputs, gradients, rounded)
	})
}

func TestActivationPenaltyAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "activationpenalty", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.ActivationPenalty(ops.Penalty{L1: c.L1, L2: c.L2}, in[0])
		}, []string{"x"}, []string{"dx"}, rounded)
	})
}

// The reference engine's convolution and dense layer are made of Gorgonia's
// operators. These two tests are the reason that they can be.

func TestStockConv2DAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "conv2d", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), stockConv2D(window(c)), []string{"x", "weight", "bias"},
			[]string{"dx", "dweight", "dbias"}, summed)
	})
}

func stockConv2D(w ops.Window) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		y, err := gorgonia.Conv2d(in[0], in[1], tensor.Shape{w.KernelHeight, w.KernelWidth},
			[]int{w.PaddingHeight, w.PaddingWidth}, []int{w.StrideHeight, w.StrideWidth}, []int{1, 1})
		if err != nil {
			return nil, err
		}
		row, err := ops.Reshape(in[2], 1, in[2].Shape()[0], 1, 1)
		if err != nil {
			return nil, err
		}
		return gorgonia.BroadcastAdd(y, row, nil, []byte{0, 2, 3})
	}
}

func TestStockDenseAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "dense", func(t *testing.T, c goldentest.Case) {
		checkGolden(t, channelsFirst(t, c), stockDense, []string{"x", "weight", "bias"},
			[]string{"dx", "dweight", "dbias"}, summed)
	})
}

func stockDense(in gorgonia.Nodes) (*gorgonia.Node, error) {
	transposed, err := gorgonia.Transpose(in[1], 1, 0)
	if err != nil {
		return nil, err
	}
	y, err := gorgonia.Mul(in[0], transposed)
	if err != nil {
		return nil, err
	}
	row, err := ops.Reshape(in[2], 1, in[2].Shape()[0])
	if err != nil {
		return nil, err
	}
	return gorgonia.BroadcastAdd(y, row, nil, []byte{0})
}
