package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/reference"
)

// Conv2D applies y = x ∗ w + b, where ∗ is
//
//	(x ∗ w)[n,o,i,j] = Σ_{c,u,v} x[n, c, i·s+u−p, j·s+v−p] · w[o,c,u,v]:
//
// x N×C×H×W, w O×C×KH×KW, b O, y N×O×H'×W'. Strides and padding are the
// options'; nothing is fused. Its gradients are the same sum read the other way:
//
//	dw[o,c,u,v] = Σ dy[n,o,i,j]·x[n,c,i·s+u−p,j·s+v−p],  db[o] = Σ dy[n,o,i,j],
//	dx[n,c,i·s+u−p,j·s+v−p] = Σ dy[n,o,i,j]·w[o,c,u,v].
func Conv2D(x, w, b *gorgonia.Node, options Conv2DOptions) (*gorgonia.Node, error) {
	in, filters := x.Shape(), w.Shape()
	if in.Dims() != 4 || filters.Dims() != 4 || filters[1] != in[1] || b.Shape().TotalSize() != filters[0] {
		return nil, fmt.Errorf("convolution: x %v, w %v, b %v; want N×C×H×W, O×C×KH×KW and O", in, filters, b.Shape())
	}
	window := Window{
		KernelHeight: filters[2], KernelWidth: filters[3],
		StrideHeight: options.StrideHeight, StrideWidth: options.StrideWidth,
		PaddingHeight: options.PaddingHeight, PaddingWidth: options.PaddingWidth,
	}
	switch {
	case options.ReLU || options.MaxPool != nil:
		return nil, fmt.Errorf("convolution: the plain operator fuses nothing")
	case window.StrideHeight < 1 || window.StrideWidth < 1 || window.PaddingHeight < 0 || window.PaddingWidth < 0:
		return nil, fmt.Errorf("convolution: strides %d×%d and padding %d×%d; want at least 1 and 0",
			window.StrideHeight, window.StrideWidth, window.PaddingHeight, window.PaddingWidth)
	}
	conv := reference.Conv2D{
		Batch: in[0], Channels: in[1], Height: in[2], Width: in[3], Filters: filters[0],
		KernelHeight: window.KernelHeight, KernelWidth: window.KernelWidth,
		StrideHeight: window.StrideHeight, StrideWidth: window.StrideWidth,
		PaddingHeight: window.PaddingHeight, PaddingWidth: window.PaddingWidth,
	}
	height, width := conv.Output()
	return plainAffine(plainAffineConfig{
		name: "Conv2D", window: window, output: tensor.Shape{in[0], filters[0], height, width},
		kinds:    [4]Kind{Conv2DForward, Conv2DWeightGradient, Conv2DBiasGradient, Conv2DInputGradient},
		forward:  func(x, w, b []float32) []float32 { return reference.Conv2DForward(conv, x, w, b) },
		backward: func(dy, x, w []float32) (dx, dw, db []float32) { return reference.Conv2DBackward(conv, dy, x, w) },
	}, x, w, b)
}

// Dense applies y = x·wᵀ + b: x N×In, w Out×In, b Out, y N×Out. Its gradients
// are dw = dyᵀ·x, db = Σₙ dy and dx = dy·w.
func Dense(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	in, weight := x.Shape(), w.Shape()
	if in.Dims() != 2 || weight.Dims() != 2 || weight[1] != in[1] || b.Shape().TotalSize() != weight[0] {
		return nil, fmt.Errorf("dense: x %v, w %v, b %v; want N×In, Out×In and Out", in, weight, b.Shape())
	}
	dense := reference.Dense{Batch: in[0], In: in[1], Out: weight[0]}
	return plainAffine(plainAffineConfig{
		name: "Dense", output: tensor.Shape{in[0], weight[0]},
		kinds:    [4]Kind{DenseForward, DenseWeightGradient, DenseBiasGradient, DenseInputGradient},
		forward:  func(x, w, b []float32) []float32 { return reference.DenseForward(dense, x, w, b) },
		backward: func(dy, x, w []float32) (dx, dw, db []float32) { return reference.DenseBackward(dense, dy, x, w) },
	}, x, w, b)
}

// plainAffineConfig is an affine operator as plain loops.
type plainAffineConfig struct {
	name     string
	window   Window
	output   tensor.Shape
	kinds    [4]Kind // forward, and the gradients of w, b and x
	forward  func(x, w, b []float32) []float32
	backward func(dy, x, w []float32) (dx, dw, db []float32)
}

// plainAffine applies it. Each gradient is a node of its own, so that an executor
// can compute it alone; as plain loops each computes all three.
func plainAffine(c plainAffineConfig, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	y, yValues := newTensor(c.output...)
	forward := &operator{
		name: c.name, output: tensorType(c.output.Dims()), shape: c.output,
		differentiable: []bool{learned(x), true, true},
		description:    Description{Kind: c.kinds[0], Window: c.window},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var values [3][]float32
			if err := allFloat32s(values[:], inputs); err != nil {
				return nil, err
			}
			copy(yValues, c.forward(values[0], values[1], values[2]))
			return y, nil
		},
		gradient: func(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			return c.gradients(inputs, grad)
		},
	}
	return forward.apply(x, w, b)
}

func (c plainAffineConfig) gradients(inputs gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	x, w, b := inputs[0], inputs[1], inputs[2]
	zeroX, zeroW := make([]float32, x.Shape().TotalSize()), make([]float32, w.Shape().TotalSize())
	one := func(suffix string, kind Kind, of *gorgonia.Node, compute func(values [][]float32) []float32, operands ...*gorgonia.Node) (*gorgonia.Node, error) {
		shape := of.Shape().Clone()
		result, values := newTensor(shape...)
		op := &operator{
			name: c.name + suffix, output: tensorType(shape.Dims()), shape: shape,
			description: Description{Kind: kind, Window: c.window},
			run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
				operandValues := make([][]float32, len(inputs))
				if err := allFloat32s(operandValues, inputs); err != nil {
					return nil, err
				}
				copy(values, compute(operandValues))
				return result, nil
			},
		}
		return op.apply(operands...)
	}
	gradients := make(gorgonia.Nodes, 3)
	var err error
	if gradients[1], err = one("WeightGradient", c.kinds[1], w, func(v [][]float32) []float32 {
		_, dw, _ := c.backward(v[0], v[1], zeroW)
		return dw
	}, grad, x); err != nil {
		return nil, err
	}
	if gradients[2], err = one("BiasGradient", c.kinds[2], b, func(v [][]float32) []float32 {
		_, _, db := c.backward(v[0], zeroX, zeroW)
		return db
	}, grad); err != nil {
		return nil, err
	}
	if learned(x) {
		gradients[0], err = one("InputGradient", c.kinds[3], x, func(v [][]float32) []float32 {
			dx, _, _ := c.backward(v[0], zeroX, v[1])
			return dx
		}, grad, w)
	}
	return gradients, err
}
