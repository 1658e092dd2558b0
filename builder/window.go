package builder

import (
	"fmt"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// sliding is how a window slides over a feature map, with a layer's defaults filled in. A zero
// dilation is 1×1.
type sliding struct {
	kernel, stride, padding Size
	// extra is how much more padding there is below and to the right.
	extra    Size
	dilation Size
	// ceil rounds the number of windows up.
	ceil bool
}

// describe writes a window's settings only where they are not the usual ones.
func (s sliding) describe(usualStride Size) string {
	text := s.kernel.String()
	if s.stride != usualStride {
		text += fmt.Sprintf(" stride %v", s.stride)
	}
	if !s.padding.isZero() {
		text += fmt.Sprintf(" padding %v", s.padding)
	}
	if !s.extra.isZero() {
		text += fmt.Sprintf(" extra padding %v", s.extra)
	}
	if !s.dilation.isZero() {
		text += fmt.Sprintf(" dilation %v", s.dilation)
	}
	if s.ceil {
		text += " ceil"
	}
	return text
}

// output returns how many windows fit into a map of that size, as PyTorch and ONNX
// (auto_pad = NOTSET) define it: in each direction
//
//	⌊(in + 2·padding + extra − dilation·(kernel − 1) − 1) / stride⌋ + 1.
//
// With ceil it is rounded up, and a last window that would start behind the map is left out, as
// in PyTorch.
func (s sliding) output(in Size) (Size, error) {
	if err := s.check(); err != nil {
		return Size{}, err
	}
	dilated := Size{s.dilated(s.kernel.Height, s.dilation.Height),
		s.dilated(s.kernel.Width, s.dilation.Width)}
	if dilated.Height > in.Height+2*s.padding.Height+s.extra.Height ||
		dilated.Width > in.Width+2*s.padding.Width+s.extra.Width {
		return Size{}, fmt.Errorf(
			"kernel %v is larger than the input %v with padding %v; use a smaller kernel or more padding",
			dilated, in, s.padding)
	}
	side := func(in, kernel, stride, padding, extra int) int {
		last := in + 2*padding + extra - kernel
		windows := last/stride + 1
		if s.ceil && last%stride > 0 && windows*stride < in+padding {
			windows++
		}
		return windows
	}
	return Size{
		Height: side(in.Height, dilated.Height, s.stride.Height, s.padding.Height, s.extra.Height),
		Width:  side(in.Width, dilated.Width, s.stride.Width, s.padding.Width, s.extra.Width),
	}, nil
}

func (s sliding) dilated(kernel, dilation int) int { return max(1, dilation)*(kernel-1) + 1 }

func (s sliding) check() error {
	type named struct {
		name  string
		size  Size
		least int
	}
	all := []named{{"kernel", s.kernel, 1}, {"stride", s.stride, 1}, {"padding", s.padding, 0},
		{"extra padding", s.extra, 0}}
	if !s.dilation.isZero() {
		all = append(all, named{"dilation", s.dilation, 1})
	}
	for _, n := range all {
		switch {
		case min(n.size.Height, n.size.Width) >= n.least:
		case n.least == 0:
			return fmt.Errorf("%s %v: neither side may be negative", n.name, n.size)
		default:
			return fmt.Errorf("%s %v: each side must be at least 1", n.name, n.size)
		}
	}
	for _, n := range all {
		if max(n.size.Height, n.size.Width) >= maxElements {
			return fmt.Errorf("%s %v: a side of %d or more is a slip", n.name, n.size, maxElements)
		}
	}
	return nil
}

// inferPool returns the output of a pooling window over the one feature map in inputs.
func (s sliding) inferPool(inputs []Shape) (Shape, error) {
	in, err := image(inputs)
	if err != nil {
		return nil, err
	}
	out, err := s.output(Size{in[1], in[2]})
	if err != nil {
		return nil, err
	}
	k, p, e := s.kernel, s.padding, s.extra
	if 2*p.Height > k.Height || 2*p.Width > k.Width {
		return nil, fmt.Errorf(
			"padding %v is more than half the kernel %v, so that a window could lie in the padding alone", p,
			k)
	}
	if p.Height+e.Height >= k.Height && e.Height > 0 || p.Width+e.Width >= k.Width && e.Width > 0 {
		return nil, fmt.Errorf(
			"padding %v and extra padding %v fill the kernel %v, so that a window could lie in the padding alone",
			p, e, k)
	}
	return Shape{in[0], out.Height, out.Width}, nil
}

// usual reports whether the window is what every engine's own operators know: the same padding on
// both sides, no dilation, the number of windows rounded down.
func (s sliding) usual() bool { return s.extra.isZero() && s.dilation.isZero() && !s.ceil }

// window is that of the operators.
func (s sliding) window() ops.Window {
	return ops.Window{
		KernelHeight: s.kernel.Height, KernelWidth: s.kernel.Width,
		StrideHeight: s.stride.Height, StrideWidth: s.stride.Width,
		PaddingHeight: s.padding.Height, PaddingWidth: s.padding.Width,
		ExtraHeight: s.extra.Height, ExtraWidth: s.extra.Width, CeilMode: s.ceil,
	}
}

// pool is that of the reference.
func (s sliding) pool(call Call) reference.Pool2D {
	in := call.Inputs[0]
	return reference.Pool2D{
		Batch: call.Batch, Channels: in[0], Height: in[1], Width: in[2],
		KernelHeight: s.kernel.Height, KernelWidth: s.kernel.Width,
		StrideHeight: s.stride.Height, StrideWidth: s.stride.Width,
		PaddingHeight: s.padding.Height, PaddingWidth: s.padding.Width,
		ExtraHeight: s.extra.Height, ExtraWidth: s.extra.Width, CeilMode: s.ceil,
	}
}

// end returns how far the padding reaches behind a map: as far as its last windows where those that
// are rounded up reach further than the padding that was asked for. So ONNX needs no ceil_mode,
// whose meaning differs among runtimes.
func (s sliding) end(in, out Shape) Size {
	side := func(in, out, kernel, stride, padding, extra int) int {
		return max(padding+extra, (out-1)*stride+kernel-in-padding)
	}
	return Size{
		Height: side(in[1], out[1], s.kernel.Height, s.stride.Height, s.padding.Height, s.extra.Height),
		Width:  side(in[2], out[2], s.kernel.Width, s.stride.Width, s.padding.Width, s.extra.Width),
	}
}

// attributes are the ONNX attributes of a window, all explicit; end is the padding below and to the
// right.
func (s sliding) attributes(end Size) []Attribute {
	return []Attribute{
		Integers("kernel_shape", int64(s.kernel.Height), int64(s.kernel.Width)),
		Integers("strides", int64(s.stride.Height), int64(s.stride.Width)),
		Integers("pads", int64(s.padding.Height), int64(s.padding.Width), int64(end.Height),
			int64(end.Width)),
	}
}
