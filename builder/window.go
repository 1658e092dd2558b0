package builder

import (
	"fmt"

	"slipway/internal/ops"
)

// inferPool returns the output of a pooling window over the one feature map in inputs, and
// fills in its stride.
func inferPool(inputs []Shape, kernel Size, stride *Size, padding Size) (Shape, error) {
	in, err := image(inputs)
	if err != nil {
		return nil, err
	}
	if stride.isZero() {
		*stride = kernel
	}
	out, err := windowed(Size{in[1], in[2]}, kernel, *stride, padding)
	if err != nil {
		return nil, err
	}
	if 2*padding.Height > kernel.Height || 2*padding.Width > kernel.Width {
		return nil, fmt.Errorf("padding %v is more than half the kernel %v, so that a window could lie in the padding alone", padding, kernel)
	}
	return Shape{in[0], out.Height, out.Width}, nil
}

func window(kernel, stride, padding Size) ops.Window {
	return ops.Window{
		KernelHeight: kernel.Height, KernelWidth: kernel.Width,
		StrideHeight: stride.Height, StrideWidth: stride.Width,
		PaddingHeight: padding.Height, PaddingWidth: padding.Width,
	}
}

// windowAttributes are the ONNX attributes of a window, all explicit.
func windowAttributes(kernel, stride, padding Size) []Attribute {
	h, w := int64(padding.Height), int64(padding.Width)
	return []Attribute{
		Integers("kernel_shape", int64(kernel.Height), int64(kernel.Width)),
		Integers("strides", int64(stride.Height), int64(stride.Width)),
		Integers("pads", h, w, h, w),
	}
}
