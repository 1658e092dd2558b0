package builder

import (
	"math"

	"gorgonia.org/gorgonia"
)

// GlobalMaxPool is the largest value of each channel over its whole map: C×H×W gives C×1×1 (ONNX's
// GlobalMaxPool, PyTorch's AdaptiveMaxPool2d(1)). The gradient goes to that value, the first in
// reading order of equal ones. NaN is the largest.
type GlobalMaxPool struct {
	Name string `json:"name"` // globalmaxpool1, … if empty
}

// Kind implements Layer.
func (GlobalMaxPool) Kind() string { return "GlobalMaxPool" }

// Infer implements Layer.
func (l GlobalMaxPool) Infer(inputs []Shape) (Inferred, error) {
	in, err := image(inputs)
	if err != nil {
		return Inferred{}, err
	}
	return Inferred{Layer: l, Output: Shape{in[0], 1, 1}}, nil
}

// window is the layer as one whose window is the whole map.
func (GlobalMaxPool) window(in Shape) MaxPool2D {
	return MaxPool2D{Kernel: Size{in[1], in[2]}, Stride: Square(1)}
}

// Compute implements Layer.
func (l GlobalMaxPool) Compute(call Call) (Computation, error) {
	return l.window(call.Inputs[0]).Compute(call)
}

func (l GlobalMaxPool) plain(p *place) (*gorgonia.Node, error) {
	return l.window(p.node.Input).plain(p)
}

// native is pooling over the whole map, unless the map has more places than the kernel tells apart.
func (l GlobalMaxPool) native(p *place) (*gorgonia.Node, error) {
	if in := p.node.Input; in[1]*in[2] > math.MaxInt16 {
		return p.compute()
	}
	return l.window(p.node.Input).native(p)
}

// Export implements Exporter.
func (GlobalMaxPool) Export(e *Export) (string, error) {
	return e.Add("GlobalMaxPool", []string{e.Input(0)}), nil
}

func (GlobalMaxPool) cases() []Case {
	return []Case{
		{GlobalMaxPool{}, []Shape{{3, 5, 6}}},
		{GlobalMaxPool{}, []Shape{{17, 1, 2}}},
	}
}
