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
	// PaddingExtra is how much more padding there is below and to the right than above and to the
	// left.
	PaddingExtra Size `json:"padding_extra,omitzero"`
	// CeilMode rounds the number of windows up, as PyTorch does: what is left of the map at its end
	// is a smaller window.
	CeilMode bool `json:"ceil_mode,omitempty"`
}

// Kind implements Layer.
func (MaxPool2D) Kind() string   { return "MaxPool2D" }
func (MaxPool2D) prefix() string { return "pool" }

// Describe says the kernel's size, and its other settings where they are not the usual ones.
func (l MaxPool2D) Describe() string { return l.sliding().describe(l.Kernel) }

func (l MaxPool2D) sliding() sliding {
	return sliding{kernel: l.Kernel, stride: l.Stride, padding: l.Padding, extra: l.PaddingExtra,
		ceil: l.CeilMode}
}

// Infer implements Layer.
func (l MaxPool2D) Infer(inputs []Shape) (Inferred, error) {
	if l.Stride.isZero() {
		l.Stride = l.Kernel
	}
	out, err := l.sliding().inferPool(inputs)
	return Inferred{Layer: l, Output: out}, err
}

// Compute implements Layer.
func (l MaxPool2D) Compute(call Call) (Computation, error) {
	pool := l.sliding().pool(call)
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

func (l MaxPool2D) plain(p *place) (*gorgonia.Node, error) {
	if !l.sliding().usual() {
		return p.compute()
	}
	return ops.MaxPool2D(p.in[0], l.sliding().window())
}

func (l MaxPool2D) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeMaxPool2D(p.kernels, p.in[0], l.sliding().window())
}

func (l MaxPool2D) form(Call) ops.Description {
	return ops.Description{Kind: ops.WindowMaxForward, Window: l.sliding().window()}
}

// Export implements Exporter. It gives no dilations and no storage_order: the first is refused by
// onnx-go, the second matters to the indices only, which nobody asks for.
func (l MaxPool2D) Export(e *Export) (string, error) {
	s := l.sliding()
	end := s.end(e.Call.Inputs[0], e.Call.Output)
	return e.Add("MaxPool", []string{e.Input(0)},
		append(s.attributes(end), Integer("ceil_mode", 0))...), nil
}

func (MaxPool2D) cases() []Case {
	return []Case{
		{MaxPool2D{Kernel: Square(2)}, []Shape{{2, 6, 7}}},
		{MaxPool2D{Kernel: Size{3, 2}, Stride: Size{2, 1}, Padding: Size{1, 1}}, []Shape{{2, 6, 7}}},
		{MaxPool2D{Kernel: Square(3), Stride: Square(2), CeilMode: true}, []Shape{{2, 6, 8}}},
		{MaxPool2D{Kernel: Square(3), Stride: Square(2), PaddingExtra: Size{1, 2}}, []Shape{{3, 6, 5}}},
		{MaxPool2D{Kernel: Square(2), Padding: Square(1), CeilMode: true}, []Shape{{2, 4, 5}}},
	}
}
