package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/reference"
)

// Conv2D applies y = x ∗ w + b, where ∗ is
//
//	(x ∗ w)[n,o,i,j] = Σ_{c,u,v} x[n, c, i·s+u·d−p, j·s+v·d−p] · w[o,c,u,v]:
//
// x N×C×H×W, w O×C×KH×KW, b O, y N×O×H'×W'. Strides s, padding p, more of it below and to the
// right, dilation d and groups, whose filters see the channels of their group alone, are the
// options'; nothing is fused; b may be nil. Its gradients are the same sum read the other way:
//
//	dw[o,c,u,v] = Σ dy[n,o,i,j]·x[n,c,i·s+u·d−p,j·s+v·d−p],  db[o] = Σ dy[n,o,i,j],
//	dx[n,c,i·s+u·d−p,j·s+v·d−p] = Σ dy[n,o,i,j]·w[o,c,u,v].
func Conv2D(x, w, b *gorgonia.Node, options Conv2DOptions) (*gorgonia.Node, error) {
	in, filters := x.Shape(), w.Shape()
	groups := max(1, options.Groups)
	if in.Dims() != 4 || filters.Dims() != 4 || filters[1]*groups != in[1] || filters[0]%groups != 0 ||
		b != nil && b.Shape().TotalSize() != filters[0] {
		return nil, fmt.Errorf("convolution: x %v, w %v, b %v; want N×C×H×W, O×C×KH×KW and O", in,
			filters, shapeOf(b))
	}
	window := Window{
		KernelHeight: filters[2], KernelWidth: filters[3],
		StrideHeight: options.StrideHeight, StrideWidth: options.StrideWidth,
		PaddingHeight: options.PaddingHeight, PaddingWidth: options.PaddingWidth,
		ExtraHeight: options.ExtraHeight, ExtraWidth: options.ExtraWidth,
	}
	switch {
	case options.ReLU || options.MaxPool != nil:
		return nil, fmt.Errorf("convolution: the plain operator fuses nothing")
	case window.StrideHeight < 1 || window.StrideWidth < 1 || window.PaddingHeight < 0 ||
		window.PaddingWidth < 0,
		window.ExtraHeight < 0 || window.ExtraWidth < 0:
		return nil, fmt.Errorf("convolution: strides %d×%d and padding %d×%d; want at least 1 and 0",
			window.StrideHeight, window.StrideWidth, window.PaddingHeight, window.PaddingWidth)
	}
	conv := reference.Conv2D{
		Batch: in[0], Channels: in[1], Height: in[2], Width: in[3], Filters: filters[0],
		KernelHeight: window.KernelHeight, KernelWidth: window.KernelWidth,
		StrideHeight: window.StrideHeight, StrideWidth: window.StrideWidth,
		PaddingHeight: window.PaddingHeight, PaddingWidth: window.PaddingWidth,
		ExtraHeight: window.ExtraHeight, ExtraWidth: window.ExtraWidth,
		DilationHeight: options.DilationHeight, DilationWidth: options.DilationWidth, Groups: groups,
	}
	height, width := conv.Output()
	return plainAffine(plainAffineConfig{
		name: "Conv2D", output: tensor.Shape{in[0], filters[0], height, width},
		like: Description{
			Window: window, Groups: groups,
			DilationHeight: max(1, options.DilationHeight), DilationWidth: max(1, options.DilationWidth),
		},
		kinds:   [4]Kind{Conv2DForward, Conv2DWeightGradient, Conv2DBiasGradient, Conv2DInputGradient},
		forward: func(x, w, b []float32) []float32 { return reference.Conv2DForward(conv, x, w, b) },
		backward: func(dy, x, w []float32) (dx, dw, db []float32) {
			return reference.Conv2DBackward(conv, dy, x, w)
		},
	}, x, w, b)
}

// Dense applies y = x·wᵀ + b: x N×In, w Out×In, b Out, y N×Out. Its gradients
// are dw = dyᵀ·x, db = Σₙ dy and dx = dy·w.
func Dense(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	in, weight := x.Shape(), w.Shape()
	if in.Dims() != 2 || weight.Dims() != 2 || weight[1] != in[1] || b != nil && b.Shape().
		TotalSize() != weight[0] {
		return nil, fmt.Errorf("dense: x %v, w %v, b %v; want N×In, Out×In and Out", in, weight,
			shapeOf(b))
	}
	dense := reference.Dense{Batch: in[0], In: in[1], Out: weight[0]}
	return plainAffine(plainAffineConfig{
		name: "Dense", output: tensor.Shape{in[0], weight[0]},
		kinds:   [4]Kind{DenseForward, DenseWeightGradient, DenseBiasGradient, DenseInputGradient},
		forward: func(x, w, b []float32) []float32 { return reference.DenseForward(dense, x, w, b) },
		backward: func(dy, x, w []float32) (dx, dw, db []float32) {
			return reference.DenseBackward(dense, dy, x, w)
		},
	}, x, w, b)
}

// plainAffineConfig is an affine operator as plain loops.
type plainAffineConfig struct {
	name     string
	output   tensor.Shape
	like     Description // but for the kind
	kinds    [4]Kind     // forward, and the gradients of w, b and x
	forward  func(x, w, b []float32) []float32
	backward func(dy, x, w []float32) (dx, dw, db []float32)
}

// plainAffine applies it to x, w and b, which may be nil: zeros then. Each gradient is a node of
// its own, so that an executor can compute it alone; as plain loops each computes all three.
func plainAffine(c plainAffineConfig, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	zeroX, zeroW, zeroB := make([]float32, x.Shape().TotalSize()), make([]float32, w.Shape().
		TotalSize()), make([]float32, w.Shape()[0])
	describe := func(kind Kind) Description {
		d := c.like
		d.Kind = kind
		return d
	}
	computation := Computation{
		Name: c.name, Output: c.output, Description: describe(c.kinds[0]),
		Forward: func(y []float32, in [][]float32) error {
			bias := zeroB
			if b != nil {
				bias = in[2]
			}
			copy(y, c.forward(in[0], in[1], bias))
			return nil
		},
		Gradients: []Gradient{{
			Of: []int{1}, Reads: []int{0}, Description: describe(c.kinds[1]),
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				_, dw, _ := c.backward(dy, in[0], zeroW)
				copy(d[1], dw)
				return nil
			},
		}, {
			Of: []int{0}, Reads: []int{1}, Description: describe(c.kinds[3]),
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				dx, _, _ := c.backward(dy, zeroX, in[1])
				copy(d[0], dx)
				return nil
			},
		}},
	}
	if b == nil {
		return Apply(computation, x, w)
	}
	computation.Gradients = append(computation.Gradients, Gradient{
		Of: []int{2}, Description: describe(c.kinds[2]),
		Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			_, _, db := c.backward(dy, zeroX, zeroW)
			copy(d[2], db)
			return nil
		},
	})
	return Apply(computation, x, w, b)
}

// shapeOf is the shape of a node that may be nil.
func shapeOf(node *gorgonia.Node) tensor.Shape {
	if node == nil {
		return nil
	}
	return node.Shape()
}
