package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// NativeDense applies y = x·wᵀ + b, rectified if relu says so: x N×In, w Out×In,
// b Out, or nil for none, y N×Out. Its gradients are dw = dzᵀ·x, db = Σₙ dz and dx = dz·w, where
// dz is dy where the rectifier let the output pass.
func NativeDense(kernels kernel.Engine, x, w, b *gorgonia.Node, relu bool) (*gorgonia.Node, error) {
	in, weight := x.Shape(), w.Shape()
	if in.Dims() != 2 || weight.Dims() != 2 || weight[1] != in[1] || b != nil && b.Shape().TotalSize() != weight[0] {
		return nil, fmt.Errorf("dense: x %v, w %v, b %v; want N×In, Out×In and Out", in, weight, shapeOf(b))
	}
	plan, err := kernel.NewDense(kernels, kernel.DenseConfig{Batch: in[0], In: in[1], Out: weight[0], ReLU: relu})
	if err != nil {
		return nil, err
	}
	name := "Dense"
	if relu {
		name += "ReLU"
	}
	return affine(name, plan, tensor.Shape{in[0], weight[0]}, weight[0], relu, x, w, b)
}
