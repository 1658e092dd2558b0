package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// Conv2D is a two-dimensional convolution (cross-correlation, as in PyTorch's
// Conv2d and ONNX's Conv) with a bias. It takes C×H×W and gives
// Filters×H'×W' with H' = ⌊(H + 2·padding − kernel) / stride⌋ + 1:
//
//	y[o,i,j] = b[o] + Σ_{c,u,v} x[c, i·stride+u−padding, j·stride+v−padding] · w[o,c,u,v]
type Conv2D struct {
	Name    string `json:"name"`    // conv1, conv2, … if empty
	Filters int    `json:"filters"` // number of output channels, at least 1
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // 1×1 if zero
	Padding Size   `json:"padding"` // zeros added on each side
	// NoBias leaves the bias out, as before a BatchNorm.
	NoBias bool `json:"no_bias,omitempty"`
	// Init is how the weight is drawn; the bias is zeros unless it is empty.
	Init Initial `json:"init,omitempty"`
}

// Kind implements Layer.
func (Conv2D) Kind() string   { return "Conv2D" }
func (Conv2D) prefix() string { return "conv" }

// Describe says the kernel's size, and strides and padding where they are not 1 and 0.
func (l Conv2D) Describe() string { return describeWindow(l.Kernel, l.Stride, l.Padding, Square(1)) }

// Infer implements Layer.
func (l Conv2D) Infer(inputs []Shape) (Inferred, error) {
	in, err := image(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Filters < 1 {
		return Inferred{}, fmt.Errorf("%d filters; at least 1 is needed", l.Filters)
	}
	if l.Stride.isZero() {
		l.Stride = Square(1)
	}
	out, err := windowed(Size{in[1], in[2]}, l.Kernel, l.Stride, l.Padding)
	if err != nil {
		return Inferred{}, err
	}
	area := l.Kernel.Height * l.Kernel.Width
	weight := TensorSpec{Name: "weight", Shape: Shape{l.Filters, in[0], l.Kernel.Height, l.Kernel.Width}, FanIn: in[0] * area, FanOut: l.Filters * area, Initial: l.Init}
	return l.Init.affine(Inferred{Layer: l, Output: Shape{l.Filters, out.Height, out.Width}}, weight, !l.NoBias)
}

// Compute implements Layer.
func (l Conv2D) Compute(call Call) (Computation, error) {
	in := call.Inputs[0]
	conv := reference.Conv2D{
		Batch: call.Batch, Channels: in[0], Height: in[1], Width: in[2], Filters: l.Filters,
		KernelHeight: l.Kernel.Height, KernelWidth: l.Kernel.Width,
		StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
		PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
	}
	return affineComputation(call,
		func(x, w, b []float32) []float32 { return reference.Conv2DForward(conv, x, w, b) },
		func(dy, x, w []float32) (dx, dw, db []float32) { return reference.Conv2DBackward(conv, dy, x, w) }), nil
}

// affineComputation is that of y = x ∗ w + b, of which b may be missing.
func affineComputation(call Call, forward func(x, w, b []float32) []float32, backward func(dy, x, w []float32) (dx, dw, db []float32)) Computation {
	zeros := make([]float32, call.Output[0])
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			bias := zeros
			if len(in) == 3 {
				bias = in[2]
			}
			copy(y, forward(in[0], in[1], bias))
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			dx, dw, db := backward(dy, in[0], in[1])
			for i, gradient := range [][]float32{dx, dw, db}[:len(d)] {
				copy(d[i], gradient)
			}
			return nil
		},
	}
}

func (l Conv2D) plain(p *place) (*gorgonia.Node, error) {
	if p.engine == EnginePlain {
		return ops.Conv2D(p.in[0], p.tensors[0], p.bias(), ops.Conv2DOptions{
			StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
			PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
		})
	}
	return ops.Stock(l.stock, append(gorgonia.Nodes{p.in[0]}, p.tensors...)...)
}

// stock is Gorgonia's own convolution (im2col and a matrix product), and its broadcast addition.
func (l Conv2D) stock(in gorgonia.Nodes) (*gorgonia.Node, error) {
	y, err := gorgonia.Conv2d(in[0], in[1], tensor.Shape{l.Kernel.Height, l.Kernel.Width},
		[]int{l.Padding.Height, l.Padding.Width}, []int{l.Stride.Height, l.Stride.Width}, []int{1, 1})
	if err != nil || l.NoBias {
		return y, err
	}
	row, err := ops.Reshape(in[2], 1, l.Filters, 1, 1)
	if err != nil {
		return nil, err
	}
	return gorgonia.BroadcastAdd(y, row, nil, []byte{0, 2, 3})
}

func (l Conv2D) native(p *place) (*gorgonia.Node, error) {
	options := ops.Conv2DOptions{
		StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
		PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
		Direct: !p.options.Training,
	}
	if _, ok := p.fuse(ReLU{}.Kind()); ok {
		options.ReLU = true
	}
	if next, ok := p.fuse(MaxPool2D{}.Kind()); ok {
		pool := next.(MaxPool2D)
		window := window(pool.Kernel, pool.Stride, pool.Padding)
		options.MaxPool = &window
	}
	return ops.NativeConv2D(p.kernels, p.in[0], p.tensors[0], p.bias(), options)
}

// arrange is that of the native engine: O×KH×KW×I.
func (Conv2D) arrange(t TensorSpec) arrangement {
	if len(t.Shape) == 4 {
		return channelsLastFilters(t.Shape)
	}
	return arrangement{shape: t.Shape}
}

// Export implements Exporter.
func (l Conv2D) Export(e *Export) (string, error) {
	return e.Add("Conv", e.parameters(), append(windowAttributes(l.Kernel, l.Stride, l.Padding),
		Integers("dilations", 1, 1), Integer("group", 1))...), nil
}

func (Conv2D) cases() []Case {
	return []Case{
		{Conv2D{Filters: 3, Kernel: Square(3)}, []Shape{{2, 7, 6}}},
		{Conv2D{Filters: 5, Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 2}, NoBias: true}, []Shape{{2, 7, 6}}},
		{Conv2D{Filters: 17, Kernel: Square(1)}, []Shape{{3, 4, 5}}},
	}
}
