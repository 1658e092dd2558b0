package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// AvgPool2D takes the mean of each window. Padding counts as zeros that are
// part of the mean (PyTorch's default, ONNX's count_include_pad = 1), unless
// ExcludePadding leaves it out, and must be at most half the kernel. What
// CeilMode adds behind the padding is no part of any mean.
type AvgPool2D struct {
	Name    string `json:"name"`    // pool1, pool2, … if empty
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // the kernel if zero
	Padding Size   `json:"padding"` // at most half the kernel
	// PaddingExtra is how much more padding there is below and to the right than above and to the
	// left.
	PaddingExtra Size `json:"padding_extra,omitzero"`
	// CeilMode rounds the number of windows up, as PyTorch does: what is left of the map at its end
	// is a smaller window.
	CeilMode bool `json:"ceil_mode,omitempty"`
	// ExcludePadding takes the mean of the values of the map alone (PyTorch's count_include_pad =
	// False).
	ExcludePadding bool `json:"exclude_padding,omitempty"`
}

// Kind implements Layer.
func (AvgPool2D) Kind() string   { return "AvgPool2D" }
func (AvgPool2D) prefix() string { return "pool" }

// Describe says the kernel's size, and its other settings where they are not the usual ones.
func (l AvgPool2D) Describe() string {
	text := l.sliding().describe(l.Kernel)
	if l.ExcludePadding {
		text += " without padding in the means"
	}
	return text
}

func (l AvgPool2D) sliding() sliding {
	return sliding{kernel: l.Kernel, stride: l.Stride, padding: l.Padding, extra: l.PaddingExtra,
		ceil: l.CeilMode}
}

// Infer implements Layer.
func (l AvgPool2D) Infer(inputs []Shape) (Inferred, error) {
	if l.Stride.isZero() {
		l.Stride = l.Kernel
	}
	out, err := l.sliding().inferPool(inputs)
	return Inferred{Layer: l, Output: out}, err
}

// Compute implements Layer.
func (l AvgPool2D) Compute(call Call) (Computation, error) {
	pool := l.sliding().pool(call)
	pool.ExcludePadding = l.ExcludePadding
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			copy(y, reference.AvgPool2DForward(pool, in[0]))
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			copy(d[0], reference.AvgPool2DBackward(pool, dy))
			return nil
		},
	}, nil
}

func (l AvgPool2D) plain(p *place) (*gorgonia.Node, error) {
	if !l.sliding().usual() || l.ExcludePadding {
		return p.compute()
	}
	return ops.AvgPool2D(p.in[0], l.sliding().window())
}

func (l AvgPool2D) native(p *place) (*gorgonia.Node, error) {
	window := l.sliding().window()
	window.ExcludePadding = l.ExcludePadding
	return ops.NativeAvgPool2D(p.kernels, p.in[0], window)
}

func (l AvgPool2D) form(Call) ops.Description {
	window := l.sliding().window()
	window.ExcludePadding = l.ExcludePadding
	return ops.Description{Kind: ops.WindowMeanForward, Window: window}
}

// Export implements Exporter. ONNX either counts all that is added to the map or none of it: where
// windows reach behind padding that counts, a Pad of its own adds that.
func (l AvgPool2D) Export(e *Export) (string, error) {
	s := l.sliding()
	x, in := e.Input(0), e.Call.Inputs[0]
	end := s.end(in, e.Call.Output)
	given := Size{l.Padding.Height + l.PaddingExtra.Height, l.Padding.Width + l.PaddingExtra.Width}
	include := !l.ExcludePadding
	if include && end != given {
		include = false
		if !given.isZero() {
			pads := e.Int64s("pads", 0, 0, int64(l.Padding.Height), int64(l.Padding.Width),
				0, 0, int64(given.Height), int64(given.Width))
			zero := e.Floats("zero", []float32{0})
			x = e.Step("padded", "Pad", []string{x, pads, zero}, Text("mode", "constant"))
			s.padding, end = Size{}, Size{end.Height - given.Height, end.Width - given.Width}
		}
	}
	counted := int64(0)
	if include {
		counted = 1
	}
	return e.Add("AveragePool", []string{x}, append(s.attributes(end),
		Integer("ceil_mode", 0), Integer("count_include_pad", counted))...), nil
}

func (AvgPool2D) cases() []Case {
	return []Case{
		{AvgPool2D{Kernel: Square(2)}, []Shape{{2, 6, 7}}},
		{AvgPool2D{Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 1}}, []Shape{{2, 6, 7}}},
		{AvgPool2D{Kernel: Square(3), Stride: Square(2), CeilMode: true}, []Shape{{2, 6, 8}}},
		{AvgPool2D{Kernel: Square(3), Stride: Square(2), Padding: Square(1), CeilMode: true},
			[]Shape{{2, 6, 4}}},
		{AvgPool2D{Kernel: Square(3), Stride: Square(2), Padding: Square(1), ExcludePadding: true},
			[]Shape{{2, 5, 7}}},
		{AvgPool2D{Kernel: Square(3), Stride: Square(2), PaddingExtra: Size{1, 2}, CeilMode: true,
			ExcludePadding: true}, []Shape{{3, 6, 5}}},
		{AvgPool2D{Kernel: Square(3), Stride: Square(2), PaddingExtra: Size{1, 0}}, []Shape{{1, 6, 5}}},
	}
}
