package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// MaxPool2D takes the largest value of each window. Padding counts as −∞ and
// must be at most half the kernel; of equal values the first in reading order
// receives the gradient, as in PyTorch.
type MaxPool2D struct {
	Name    string `json:"name"`    // pool1, pool2, … if empty
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // the kernel if zero
	Padding Size   `json:"padding"` // at most half the kernel
}

// Kind implements Layer.
func (MaxPool2D) Kind() string   { return "MaxPool2D" }
func (MaxPool2D) prefix() string { return "pool" }

// Describe says the kernel's size, and strides and padding where they are not it and 0.
func (l MaxPool2D) Describe() string { return describeWindow(l.Kernel, l.Stride, l.Padding, l.Kernel) }

// Infer implements Layer.
func (l MaxPool2D) Infer(inputs []Shape) (Inferred, error) {
	out, err := inferPool(inputs, l.Kernel, &l.Stride, l.Padding)
	return Inferred{Layer: l, Output: out}, err
}

// Compute implements Layer.
func (l MaxPool2D) Compute(call Call) (Computation, error) {
	pool := referencePool(call, l.Kernel, l.Stride, l.Padding)
	var winners []int
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			values, index := reference.MaxPool2DForward(pool, in[0])
			copy(y, values)
			winners = index
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			copy(d[0], reference.MaxPool2DBackward(pool, dy, winners))
			return nil
		},
	}, nil
}

func referencePool(call Call, kernel, stride, padding Size) reference.Pool2D {
	in := call.Inputs[0]
	return reference.Pool2D{
		Batch: call.Batch, Channels: in[0], Height: in[1], Width: in[2],
		KernelHeight: kernel.Height, KernelWidth: kernel.Width,
		StrideHeight: stride.Height, StrideWidth: stride.Width,
		PaddingHeight: padding.Height, PaddingWidth: padding.Width,
	}
}

func (l MaxPool2D) plain(p *place) (*gorgonia.Node, error) {
	return ops.MaxPool2D(p.in[0], window(l.Kernel, l.Stride, l.Padding))
}

func (l MaxPool2D) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeMaxPool2D(p.kernels, p.in[0], window(l.Kernel, l.Stride, l.Padding))
}

// Export implements Exporter. It gives no dilations and no storage_order: the first is refused by
// onnx-go, the second matters to the indices only, which nobody asks for.
func (l MaxPool2D) Export(e *Export) (string, error) {
	return e.Add("MaxPool", []string{e.Input(0)}, append(windowAttributes(l.Kernel, l.Stride, l.Padding), Integer("ceil_mode", 0))...), nil
}

func (MaxPool2D) cases() []Case {
	return []Case{
		{MaxPool2D{Kernel: Square(2)}, []Shape{{2, 6, 7}}},
		{MaxPool2D{Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 1}}, []Shape{{2, 6, 7}}},
	}
}
