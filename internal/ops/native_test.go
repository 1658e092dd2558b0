package ops_test

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// eachKernelSet runs the test with every set of kernels that this CPU has, on
// two threads.
func eachKernelSet(t *testing.T, test func(t *testing.T, kernels kernel.Engine)) {
	t.Helper()
	for _, name := range kernel.Available() {
		t.Run(name, func(t *testing.T) {
			kernels, err := kernel.NewEngine(name, 2)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(kernels.Pool.Close)
			test(t, kernels)
		})
	}
}

// channelsLast reads four-dimensional golden tensors as N×H×W×C, and a
// convolution's weight as O×KH×KW×I.
func channelsLast(t *testing.T, c goldentest.Case) reader {
	return func(name string) array {
		public := array{c.Shape(t, name), c.Floats(t, name)}
		if len(public.shape) != 4 {
			return public
		}
		s := public.shape
		last := array{[]int{s[0], s[2], s[3], s[1]}, make([]float32, len(public.values))}
		ops.ToChannelsLast(last.values, public.values, last.shape)
		return last
	}
}

// inner makes a node of an operator's output of the first input and zeros:
// native operators compute no gradient of a graph's input, nor of a view of it.
func inner(apply build) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		shape := in[0].Shape().Clone()
		zeros := gorgonia.NewTensor(in[0].Graph(), tensor.Float32, shape.Dims(),
			gorgonia.WithShape(shape...), gorgonia.WithName("zeros"),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.Of(tensor.Float32))))
		x, err := gorgonia.Add(in[0], zeros)
		if err != nil {
			return nil, err
		}
		return apply(append(gorgonia.Nodes{x}, in[1:]...))
	}
}

func TestNativeOperatorsAgreeWithPyTorch(t *testing.T) {
	affine, affineGradients := []string{"x", "weight", "bias"}, []string{"dx", "dweight", "dbias"}
	for _, operator := range []struct {
		file              string
		apply             func(kernel.Engine, goldentest.Case) build
		inputs, gradients []string
		tolerance         goldentest.Tolerance
	}{
		{"conv2d", func(kernels kernel.Engine, c goldentest.Case) build {
			return nativeConv2D(kernels, ops.Conv2DOptions{
				StrideHeight: c.Stride[0], StrideWidth: c.Stride[1], PaddingHeight: c.Padding[0],
				PaddingWidth: c.Padding[1],
			})
		}, affine, affineGradients, summed},
		{"dense", func(kernels kernel.Engine, _ goldentest.Case) build {
			return nativeDense(kernels, false)
		}, affine, affineGradients, summed},
		{"relu", func(kernels kernel.Engine, _ goldentest.Case) build {
			return func(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.NativeReLU(kernels, in[0]) }
		}, []string{"x"}, []string{"dx"}, exact},
		{"maxpool2d", func(kernels kernel.Engine, c goldentest.Case) build {
			return nativeMaxPool(kernels, window(c))
		}, []string{"x"}, []string{"dx"}, rounded},
		{"avgpool2d", func(kernels kernel.Engine, c goldentest.Case) build {
			return nativeAvgPool(kernels, window(c))
		}, []string{"x"}, []string{"dx"}, summed},
	} {
		t.Run(operator.file, func(t *testing.T) {
			eachCase(t, operator.file, func(t *testing.T, c goldentest.Case) {
				eachKernelSet(t, func(t *testing.T, kernels kernel.Engine) {
					checkGolden(t, channelsLast(t, c), inner(operator.apply(kernels, c)), operator.inputs,
						operator.gradients, operator.tolerance)
				})
			})
		})
	}
}

func nativeConv2D(kernels kernel.Engine, options ops.Conv2DOptions) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		return ops.NativeConv2D(kernels, in[0], in[1], in[2], options)
	}
}

func nativeDense(kernels kernel.Engine, relu bool) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		return ops.NativeDense(kernels, in[0], in[1], in[2], relu, 1, true)
	}
}

func nativeMaxPool(kernels kernel.Engine, w ops.Window) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		return ops.NativeMaxPool2D(kernels, in[0], w)
	}
}

func nativeAvgPool(kernels kernel.Engine, w ops.Window) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		return ops.NativeAvgPool2D(kernels, in[0], w)
	}
}

func TestNativeSoftmaxCrossEntropyAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "crossentropy", func(t *testing.T, c goldentest.Case) {
		eachKernelSet(t, func(t *testing.T, kernels kernel.Engine) {
			labels := c.Ints(t, "labels")
			checkGolden(t, channelsLast(t, c), func(in gorgonia.Nodes) (*gorgonia.Node, error) {
				node, values := ops.NewLabels(in[0].Graph(), len(labels))
				copy(values, labels)
				return ops.NativeSoftmaxCrossEntropy(kernels, in[0], node, 1)
			}, []string{"x"}, []string{"dx"}, summed)
		})
	})
}

func TestNativePenaltyAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "parameterpenalty", func(t *testing.T, c goldentest.Case) {
		eachKernelSet(t, func(t *testing.T, kernels kernel.Engine) {
			g := gorgonia.NewGraph()
			node := func(name string, shape []int, values []float32) *gorgonia.Node {
				return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...),
					gorgonia.WithName(name),
					gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
			}
			var parameters, gradients gorgonia.Nodes
			var data [][]float32 // the gradients without the penalty, written over
			for i := range c.Parameters {
				name := fmt.Sprint("p", i)
				values := c.Floats(t, name)
				data = append(data, make([]float32, len(values)))
				parameters = append(parameters, node(name, c.Shape(t, name), values))
				gradients = append(gradients, node("d"+name, c.Shape(t, name), data[i]))
			}
			penalty, err := ops.NewNativePenalty(kernels, ops.Penalty{L1: c.L1, L2: c.L2}, parameters...)
			if err != nil {
				t.Fatal(err)
			}
			var penalised gorgonia.Nodes
			for i, parameter := range parameters {
				sum, err := penalty.Penalise(gradients[i], parameter)
				if err != nil {
					t.Fatal(err)
				}
				penalised = append(penalised, sum)
			}
			machine := gorgonia.NewTapeMachine(g)
			defer machine.Close()
			scale := c.Floats(t, "dy")[0] // the golden gradients are those of dy·y
			for range 3 {
				for _, values := range data {
					fill(values, 0.25, 0)
				}
				machine.Reset()
				if err := machine.RunAll(); err != nil {
					t.Fatal(err)
				}
				goldentest.Compare(t, "penalty", floats(t, penalty.Value.Value()), c.Floats(t, "y"), summed)
				for i, sum := range penalised {
					want := c.Floats(t, fmt.Sprint("dp", i))
					for k := range want {
						want[k] = want[k]/scale + 0.25
					}
					goldentest.Compare(t, fmt.Sprint("gradient ", i), floats(t, sum.Value()), want, summed)
				}
			}
			if _, err := penalty.Penalise(gradients[0], gradients[0]); err == nil {
				t.Error("a tensor that is no parameter of the penalty is taken")
			}
		})
	})
}

func TestNativeGradientsAreTheFiniteDifferences(t *testing.T) {
	pool := ops.Window{KernelHeight: 2, KernelWidth: 2, StrideHeight: 2, StrideWidth: 2}
	overlapping := ops.Window{KernelHeight: 3, KernelWidth: 3, StrideHeight: 2, StrideWidth: 2,
		PaddingHeight: 1, PaddingWidth: 1}
	// With a weight of one 1 in each filter, what a rectifier and a pooling behind
	// the convolution see is spaced too, and no step crosses a kink.
	selecting := func(filters, size, channels int) array {
		weight := array{[]int{filters, size, size, channels}, make([]float32, filters*size*size*channels)}
		for o := range filters {
			weight.values[(o+1)*size*size*channels-1-o] = 1
		}
		return weight
	}
	none := func(n int) array { return array{[]int{n}, make([]float32, n)} }
	for _, test := range []struct {
		name   string
		apply  func(kernel.Engine) build
		inputs []array
	}{
		{"convolution", func(k kernel.Engine) build {
			return nativeConv2D(k, ops.Conv2DOptions{StrideHeight: 1, StrideWidth: 1})
		}, []array{spaced(2, 5, 4, 2), spaced(3, 3, 3, 2), spaced(3)}},
		{"convolution, stride and padding", func(k kernel.Engine) build {
			return nativeConv2D(k, ops.Conv2DOptions{StrideHeight: 2, StrideWidth: 1, PaddingHeight: 1,
				PaddingWidth: 2})
		}, []array{spaced(1, 6, 5, 2), spaced(17, 3, 3, 2), spaced(17)}},
		{"MaxPool2D, overlap and padding", func(k kernel.Engine) build {
			return nativeMaxPool(k, overlapping)
		}, []array{spaced(1, 5, 6, 3)}},
		{"AvgPool2D, overlap and padding", func(k kernel.Engine) build {
			return nativeAvgPool(k, overlapping)
		}, []array{spaced(1, 5, 6, 3)}},
		{"dense", func(k kernel.Engine) build { return nativeDense(k, false) },
			[]array{spaced(4, 5), spaced(19, 5), spaced(19)}},
		{"FlattenChannelsLast", func(kernel.Engine) build {
			return func(in gorgonia.Nodes) (*gorgonia.Node, error) { return ops.FlattenChannelsLast(in[0]) }
		}, []array{spaced(2, 3, 2, 3)}},
		{"convolution, ReLU", func(k kernel.Engine) build {
			return frozen(nativeConv2D(k, ops.Conv2DOptions{StrideHeight: 1, StrideWidth: 1, ReLU: true}),
				selecting(2, 2, 2), none(2))
		}, []array{spaced(2, 5, 4, 2)}},
		{"convolution, ReLU, MaxPool2D", func(k kernel.Engine) build {
			return frozen(nativeConv2D(k, ops.Conv2DOptions{StrideHeight: 1, StrideWidth: 1, ReLU: true,
				MaxPool: &pool}), selecting(2, 2, 2), none(2))
		}, []array{spaced(2, 5, 6, 2)}},
		{"convolution, MaxPool2D with overlap", func(k kernel.Engine) build {
			return frozen(nativeConv2D(k, ops.Conv2DOptions{StrideHeight: 1, StrideWidth: 1,
				MaxPool: &overlapping}), selecting(3, 1, 3), none(3))
		}, []array{spaced(1, 5, 6, 3)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachKernelSet(t, func(t *testing.T, kernels kernel.Engine) {
				checkFiniteDifferences(t, inner(test.apply(kernels)), test.inputs...)
			})
		})
	}
}

// frozen applies an operator with parameters that are not varied.
func frozen(apply build, parameters ...array) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		for i, p := range parameters {
			in = append(in, gorgonia.NewTensor(in[0].Graph(), tensor.Float32, len(p.shape),
				gorgonia.WithShape(p.shape...),
				gorgonia.WithName(fmt.Sprint("frozen", i)),
				gorgonia.WithValue(tensor.New(tensor.WithShape(p.shape...), tensor.WithBacking(p.values)))))
		}
		return apply(in)
	}
}
