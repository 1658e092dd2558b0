package ops

import (
	"fmt"

	"gorgonia.org/tensor"

	"slipway/internal/reference"
)

// Window is a pooling window that slides over a feature map: sizes in pixels of
// the input, padding on each side.
type Window struct {
	KernelHeight, KernelWidth   int
	StrideHeight, StrideWidth   int
	PaddingHeight, PaddingWidth int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right, CeilMode
	// rounds the number of windows up, and ExcludePadding leaves the padding out of means. Only the
	// native operators know these.
	ExtraHeight, ExtraWidth  int
	CeilMode, ExcludePadding bool
}

// on is the window on an N×C×H×W input, with the shape of its output.
func (w Window) on(input tensor.Shape) (reference.Pool2D, tensor.Shape, error) {
	if input.Dims() != 4 {
		return reference.Pool2D{}, nil, fmt.Errorf("pooling takes N×C×H×W, not %v", input)
	}
	switch {
	case w.KernelHeight < 1 || w.KernelWidth < 1:
		return reference.Pool2D{}, nil, fmt.Errorf(
			"pooling window %+v: each side of the kernel must be at least 1", w)
	case w.ExtraHeight != 0 || w.ExtraWidth != 0 || w.CeilMode || w.ExcludePadding:
		return reference.Pool2D{}, nil, fmt.Errorf(
			"pooling window %+v: the plain operator has no such window", w)
	case w.StrideHeight < 1 || w.StrideWidth < 1:
		return reference.Pool2D{}, nil, fmt.Errorf("pooling window %+v: each stride must be at least 1",
			w)
	case w.PaddingHeight < 0 || w.PaddingWidth < 0 || 2*w.PaddingHeight > w.KernelHeight ||
		2*w.PaddingWidth > w.KernelWidth:
		return reference.Pool2D{}, nil, fmt.Errorf(
			"pooling window %+v: padding must be 0 to half the kernel", w)
	case w.KernelHeight > input[2]+2*w.PaddingHeight || w.KernelWidth > input[3]+2*w.PaddingWidth:
		return reference.Pool2D{}, nil, fmt.Errorf("pooling window %+v is larger than the input %v", w,
			input)
	}
	height := (input[2]+2*w.PaddingHeight-w.KernelHeight)/w.StrideHeight + 1
	width := (input[3]+2*w.PaddingWidth-w.KernelWidth)/w.StrideWidth + 1
	return reference.Pool2D{
		Batch: input[0], Channels: input[1], Height: input[2], Width: input[3],
		KernelHeight: w.KernelHeight, KernelWidth: w.KernelWidth,
		StrideHeight: w.StrideHeight, StrideWidth: w.StrideWidth,
		PaddingHeight: w.PaddingHeight, PaddingWidth: w.PaddingWidth,
	}, tensor.Shape{input[0], input[1], height, width}, nil
}
