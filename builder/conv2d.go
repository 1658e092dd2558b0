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
// Filters×H'×W' with H' = ⌊(H + 2·padding + extra − dilation·(kernel − 1) − 1) / stride⌋ + 1:
//
//	y[o,i,j] = b[o] + Σ_{c,u,v} x[g+c, i·stride+u·dilation−padding, j·stride+v·dilation−padding] · w[o,c,u,v]
//
// where c counts the channels of a group, and g is the first channel of the group of o. The weight
// is Filters×(C/Groups)×KH×KW.
type Conv2D struct {
	Name    string `json:"name"`    // conv1, conv2, … if empty
	Filters int    `json:"filters"` // number of output channels, at least 1
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // 1×1 if zero
	Padding Size   `json:"padding"` // zeros added on each side
	// PaddingExtra is how many more zeros are added below and to the right than Padding adds above
	// and to the left, as TensorFlow's "SAME" does where it cannot add as many on both sides.
	PaddingExtra Size `json:"padding_extra,omitzero"`
	// Dilation is the distance of neighbouring taps of the kernel, 1×1 if zero.
	Dilation Size `json:"dilation,omitzero"`
	// Groups is how many groups the channels, and the filters, are divided into: a group's filters see
	// its channels alone. As many groups as channels are a depthwise convolution. 1 if zero.
	Groups int `json:"groups,omitempty"`
	// NoBias leaves the bias out, as before a BatchNorm.
	NoBias bool `json:"no_bias,omitempty"`
	// Init is how the weight is drawn; the bias is zeros unless it is empty.
	Init Initial `json:"init,omitempty"`
}

// Kind implements Layer.
func (Conv2D) Kind() string   { return "Conv2D" }
func (Conv2D) prefix() string { return "conv" }

// Describe says the kernel's size, and its other settings where they are not the usual ones.
func (l Conv2D) Describe() string {
	text := l.sliding().describe(Square(1))
	if l.groups() > 1 {
		text += fmt.Sprintf(" groups %d", l.Groups)
	}
	return text
}

func (l Conv2D) groups() int { return max(1, l.Groups) }

func (l Conv2D) sliding() sliding {
	return sliding{kernel: l.Kernel, stride: l.Stride, padding: l.Padding, extra: l.PaddingExtra,
		dilation: l.Dilation}
}

// usual reports whether the convolution is one that every engine's own operators know.
func (l Conv2D) usual() bool { return l.groups() == 1 && l.sliding().usual() }

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
	// What is not said is not written, so that a network without groups has the JSON of before
	// there were any.
	if l.Groups == 1 {
		l.Groups = 0
	}
	if l.Dilation == Square(1) {
		l.Dilation = Size{}
	}
	groups := l.groups()
	if l.Groups < 0 || in[0]%groups != 0 || l.Filters%groups != 0 {
		return Inferred{}, fmt.Errorf(
			"%d groups; %d channels and %d filters must divide into them evenly", l.Groups, in[0], l.Filters)
	}
	out, err := l.sliding().output(Size{in[1], in[2]})
	if err != nil {
		return Inferred{}, err
	}
	channels, area := in[0]/groups, l.Kernel.Height*l.Kernel.Width
	weight := TensorSpec{
		Name: "weight", Shape: Shape{l.Filters, channels, l.Kernel.Height, l.Kernel.Width},
		FanIn: channels * area, FanOut: l.Filters * area, Initial: l.Init,
	}
	return l.Init.affine(Inferred{Layer: l, Output: Shape{l.Filters, out.Height, out.Width}}, weight,
		!l.NoBias)
}

// Compute implements Layer.
func (l Conv2D) Compute(call Call) (Computation, error) {
	in := call.Inputs[0]
	conv := reference.Conv2D{
		Batch: call.Batch, Channels: in[0], Height: in[1], Width: in[2], Filters: l.Filters,
		KernelHeight: l.Kernel.Height, KernelWidth: l.Kernel.Width,
		StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
		PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
		ExtraHeight: l.PaddingExtra.Height, ExtraWidth: l.PaddingExtra.Width, Groups: l.Groups,
		DilationHeight: l.Dilation.Height, DilationWidth: l.Dilation.Width,
	}
	return affineComputation(call,
		func(x, w, b []float32) []float32 { return reference.Conv2DForward(conv, x, w, b) },
		func(dy, x, w []float32) (dx, dw, db []float32) {
			return reference.Conv2DBackward(conv, dy, x, w)
		}), nil
}

// affineComputation is that of y = x ∗ w + b, of which b may be missing.
func affineComputation(call Call, forward func(x, w, b []float32) []float32,
	backward func(dy, x, w []float32) (dx, dw, db []float32)) Computation {
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
	switch {
	case p.engine == EnginePlain:
		return ops.Conv2D(p.in[0], p.tensors[0], p.bias(), l.options())
	case !l.usual():
		return p.compute()
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

// options are those of the operators.
func (l Conv2D) options() ops.Conv2DOptions {
	return ops.Conv2DOptions{
		StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
		PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
		ExtraHeight: l.PaddingExtra.Height, ExtraWidth: l.PaddingExtra.Width,
		DilationHeight: l.Dilation.Height, DilationWidth: l.Dilation.Width, Groups: l.Groups,
	}
}

func (l Conv2D) native(p *place) (*gorgonia.Node, error) {
	options := l.options()
	options.Direct, options.Shards = !p.options.Training, p.options.Shards
	// A convolution without a bias has a normalisation behind it. Others keep the rounding that they
	// had before there were any.
	options.FilteredGradients = l.NoBias
	if l.depthwise(p.node.Input[0]) {
		return ops.NativeDepthwise(p.kernels, p.in[0], p.tensors[0], p.bias(), options)
	}
	if !l.dense() {
		return ops.NativeConv2D(p.kernels, p.in[0], p.tensors[0], p.bias(), options)
	}
	if _, ok := p.fuse(ReLU{}.Kind()); ok {
		options.ReLU = true
	}
	if next, ok := p.next(MaxPool2D{}.Kind()); ok && next.(MaxPool2D).sliding().usual() {
		p.fuse(next.Kind())
		window := next.(MaxPool2D).sliding().window()
		options.MaxPool = &window
	}
	return ops.NativeConv2D(p.kernels, p.in[0], p.tensors[0], p.bias(), options)
}

// normalises reports whether its native form computes the normalisations next to it as it reads
// what they normalise.
func (l Conv2D) normalises(in Shape) bool { return l.dense() || l.depthwise(in[0]) }

// dense reports whether every filter sees every channel, and neighbouring taps neighbouring values.
func (l Conv2D) dense() bool { return l.groups() == 1 && l.Dilation.isZero() }

// depthwise reports whether each of so many channels has one filter of its own.
func (l Conv2D) depthwise(channels int) bool {
	return l.groups() > 1 && l.Groups == channels && l.Filters == channels
}

// arrange is that of the native engine: O×KH×KW×I, and KH×KW×C of a depthwise convolution.
func (l Conv2D) arrange(t TensorSpec) arrangement {
	if len(t.Shape) != 4 {
		return arrangement{shape: t.Shape}
	}
	if l.depthwise(t.Shape[1] * l.groups()) {
		a := channelsLastFilters(Shape{1, l.Filters, l.Kernel.Height, l.Kernel.Width})
		a.shape, a.filtersLast = a.shape[1:], true
		return a
	}
	return channelsLastFilters(t.Shape)
}

// Export implements Exporter.
func (l Conv2D) Export(e *Export) (string, error) {
	s := l.sliding()
	end := Size{l.Padding.Height + l.PaddingExtra.Height, l.Padding.Width + l.PaddingExtra.Width}
	return e.Add("Conv", e.parameters(), append(s.attributes(end),
		Integers("dilations", int64(max(1, l.Dilation.Height)), int64(max(1, l.Dilation.Width))),
		Integer("group", int64(l.groups())))...), nil
}

func (Conv2D) cases() []Case {
	return []Case{
		{Conv2D{Filters: 3, Kernel: Square(3)}, []Shape{{2, 7, 6}}},
		{Conv2D{Filters: 5, Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 2}, NoBias: true},
			[]Shape{{2, 7, 6}}},
		{Conv2D{Filters: 17, Kernel: Square(1)}, []Shape{{3, 4, 5}}},
		{Conv2D{Filters: 4, Kernel: Square(3), Padding: Square(1), PaddingExtra: Size{1, 0},
			Stride: Square(2)}, []Shape{{3, 6, 7}}},
		{Conv2D{Filters: 3, Kernel: Size{3, 2}, Dilation: Size{2, 3}, Padding: Size{2, 1}},
			[]Shape{{2, 7, 6}}},
		{Conv2D{Filters: 6, Kernel: Size{3, 2}, Groups: 2, Padding: Square(1)}, []Shape{{4, 5, 6}}},
		{Conv2D{Filters: 4, Kernel: Square(3), Groups: 4, Stride: Square(2), Padding: Square(1),
			NoBias: true}, []Shape{{4, 7, 6}}},
		{Conv2D{Filters: 3, Kernel: Size{3, 5}, Groups: 3, Dilation: Size{2, 1}, Padding: Size{1, 2},
			PaddingExtra: Size{1, 1}}, []Shape{{3, 6, 5}}},
		{Conv2D{Filters: 6, Kernel: Square(2), Groups: 3, Stride: Size{1, 2}}, []Shape{{3, 5, 6}}},
	}
}
