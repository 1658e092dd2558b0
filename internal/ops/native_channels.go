package ops

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// channelsOf describes a batch of maps N×H×W×C, or of vectors N×C, as rows of channels.
func channelsOf(x *gorgonia.Node) (kernel.ChannelsConfig, error) {
	shape := x.Shape()
	if shape.Dims() != 2 && shape.Dims() != 4 {
		return kernel.ChannelsConfig{}, fmt.Errorf("rows of channels: %v; want N×H×W×C or N×C", shape)
	}
	batch, channels := shape[0], shape[shape.Dims()-1]
	return kernel.ChannelsConfig{Batch: batch, Area: shape.TotalSize() / (batch * channels),
		Channels: channels}, nil
}

// NativeScale applies y = s∘x: x N×H×W×C or N×C, and s C numbers, or N×1×1×C of which each image
// has its own. The gradients are dx = s∘dy, and ds the sum of x∘dy over what each number
// multiplies.
func NativeScale(kernels kernel.Engine, name string, x, s *gorgonia.Node) (*gorgonia.Node, error) {
	config, err := channelsOf(x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	perImage := s.Dims() == 4
	plan, err := kernel.NewScale(kernels, config, perImage)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: name, Output: x.Shape(),
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0], in[1]) },
		Gradients: []Gradient{{
			Of: []int{0}, Reads: []int{1},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Forward(d[0], dy, in[1])
			},
		}, {
			Of: []int{1}, Reads: []int{0},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.BackwardScale(d[1], dy, in[0])
			},
		}},
	}, x, s)
}

// NativeMul applies y = a∘b, of one shape, or of which one is N×1×1×C and multiplies whole maps.
func NativeMul(kernels kernel.Engine, a, b *gorgonia.Node) (*gorgonia.Node, error) {
	switch {
	case a.Shape().Eq(b.Shape()):
		return nativeProduct(kernels, a, b)
	case a.Dims() == 4 && a.Shape()[1]*a.Shape()[2] == 1:
		return NativeScale(kernels, "Mul", b, a)
	}
	return NativeScale(kernels, "Mul", a, b)
}

func nativeProduct(kernels kernel.Engine, a, b *gorgonia.Node) (*gorgonia.Node, error) {
	plan, err := kernel.NewElementwise(kernels)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "Mul", Output: a.Shape(),
		Forward: func(y []float32, in [][]float32) error { return plan.Multiply(y, in[0], in[1]) },
		Gradients: []Gradient{{
			Of: []int{0}, Reads: []int{1},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Multiply(d[0], dy, in[1])
			},
		}, {
			Of: []int{1}, Reads: []int{0},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Multiply(d[1], dy, in[0])
			},
		}},
	}, a, b)
}

// NativeDropChannels multiplies x, N×H×W×C or N×C, by factors that are 0 with probability p and
// 1/(1−p) otherwise: one for each channel of each image, or, with whole, one for each image. Its
// gradient is dy times the same factors.
func NativeDropChannels(kernels kernel.Engine, name string, x *gorgonia.Node, p float64,
	masks *Masks, whole bool) (*gorgonia.Node, error) {
	config, err := channelsOf(x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	plan, err := kernel.NewScale(kernels, config, true)
	if err != nil {
		return nil, err
	}
	factors := make([]float32, config.Batch*config.Channels)
	drawn := factors
	if whole {
		drawn = make([]float32, config.Batch)
	}
	return Apply(Computation{
		Name: fmt.Sprintf("%s(p=%v)", name, p), Output: x.Shape(),
		Forward: func(y []float32, in [][]float32) error {
			masks.Fill(drawn, config.Batch, p)
			for i := 0; whole && i < len(factors); i++ {
				factors[i] = drawn[i/config.Channels]
			}
			return plan.Forward(y, in[0], factors)
		},
		Gradients: []Gradient{{
			Of: []int{0},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				return plan.Forward(d[0], dy, factors)
			},
		}},
	}, x)
}

// NativeConcat joins the channels of N×H×W×C maps of one size, or the features of N×C, in the order
// of the inputs. The gradient of each is its share of dy.
func NativeConcat(kernels kernel.Engine, inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	output := inputs[0].Shape().Clone()
	last := output.Dims() - 1
	var channels, all []int
	total := 0
	for i, input := range inputs {
		shape := input.Shape()
		if shape.Dims() != output.Dims() || !slices.Equal(shape[:last], output[:last]) {
			return nil, fmt.Errorf("concatenation: maps of %v and %v", inputs[0].Shape(), shape)
		}
		channels, all = append(channels, shape[last]), append(all, i)
		total += shape[last]
	}
	output[last] = total
	plan, err := kernel.NewConcat(kernels, tensor.Shape(output[:last]).TotalSize(), channels)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "Concat", Output: output, Forward: plan.Join,
		Gradients: []Gradient{{
			Of:  all,
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error { return plan.Cut(d, dy) },
		}},
	}, inputs...)
}

// NativeLayerNorm normalises x, N×H×W×C or N×C, over the channels of each position: y = w∘x̂ + b
// with C numbers each, x̂ = (x − μ)/√(σ² + ε). kernel.LayerNorm has the gradients.
func NativeLayerNorm(kernels kernel.Engine, x, w, b *gorgonia.Node,
	epsilon float64) (*gorgonia.Node, error) {
	config, err := channelsOf(x)
	if err != nil {
		return nil, fmt.Errorf("layer normalisation: %w", err)
	}
	plan, err := kernel.NewLayerNorm(kernels, config.Batch*config.Area, config.Channels, epsilon)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "LayerNorm", Output: x.Shape(),
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0], in[1], in[2]) },
		Gradients: []Gradient{{
			Of: []int{0, 1, 2}, Reads: []int{0, 1},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Backward(d[0], d[1], d[2], dy, in[0], in[1])
			},
		}},
	}, x, w, b)
}

// NativePad makes N×OH×OW×C of N×H×W×C: row i of the output is row rows[i] of the input, and column
// j its column columns[j]; −1 stands for zeros. The gradient of a value is the sum of those of its
// copies.
func NativePad(kernels kernel.Engine, x *gorgonia.Node, rows, columns []int) (*gorgonia.Node,
	error) {
	shape := x.Shape()
	if shape.Dims() != 4 {
		return nil, fmt.Errorf("padding takes N×H×W×C, not %v", shape)
	}
	plan, err := kernel.NewPad(kernels, shape[0], shape[1], shape[2], shape[3], rows, columns)
	if err != nil {
		return nil, err
	}
	return Apply(Computation{
		Name: "Pad", Output: tensor.Shape{shape[0], len(rows), len(columns), shape[3]},
		Forward: func(y []float32, in [][]float32) error { return plan.Forward(y, in[0]) },
		Gradients: []Gradient{{
			Of: []int{0},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				return plan.Backward(d[0], dy)
			},
		}},
	}, x)
}
