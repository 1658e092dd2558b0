package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// AvgPool2D takes the mean of each window. Padding counts as zeros that are
// part of the mean (PyTorch's default, ONNX's count_include_pad = 1), and must
// be at most half the kernel.
type AvgPool2D struct {
	Name    string `json:"name"`    // pool1, pool2, … if empty
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // the kernel if zero
	Padding Size   `json:"padding"` // at most half the kernel
}

// Kind implements Layer.
func (AvgPool2D) Kind() string   { return "AvgPool2D" }
func (AvgPool2D) prefix() string { return "pool" }

// Describe says the kernel's size, and strides and padding where they are not it and 0.
func (l AvgPool2D) Describe() string { return describeWindow(l.Kernel, l.Stride, l.Padding, l.Kernel) }

// Infer implements Layer.
func (l AvgPool2D) Infer(inputs []Shape) (Inferred, error) {
	out, err := inferPool(inputs, l.Kernel, &l.Stride, l.Padding)
	return Inferred{Layer: l, Output: out}, err
}

// Compute implements Layer.
func (l AvgPool2D) Compute(call Call) (Computation, error) {
	pool := referencePool(call, l.Kernel, l.Stride, l.Padding)
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
	return ops.AvgPool2D(p.in[0], window(l.Kernel, l.Stride, l.Padding))
}

func (l AvgPool2D) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeAvgPool2D(p.kernels, p.in[0], window(l.Kernel, l.Stride, l.Padding))
}

// Export implements Exporter.
func (l AvgPool2D) Export(e *Export) (string, error) {
	return e.Add("AveragePool", []string{e.Input(0)}, append(windowAttributes(l.Kernel, l.Stride, l.Padding),
		Integer("ceil_mode", 0), Integer("count_include_pad", 1))...), nil
}

func (AvgPool2D) cases() []Case {
	return []Case{
		{AvgPool2D{Kernel: Square(2)}, []Shape{{2, 6, 7}}},
		{AvgPool2D{Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 1}}, []Shape{{2, 6, 7}}},
	}
}
