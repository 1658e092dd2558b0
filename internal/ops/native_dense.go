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
//
// Where the batch is several shards, the gradients of w and b are sums over them (Shards): that of
// large weights by a kernel.DenseTree, which rounds otherwise, if tree says so.
func NativeDense(kernels kernel.Engine, x, w, b *gorgonia.Node, relu bool, shards int,
	tree bool) (*gorgonia.Node, error) {
	in, weight := x.Shape(), w.Shape()
	if in.Dims() != 2 || weight.Dims() != 2 || weight[1] != in[1] || b != nil && b.Shape().
		TotalSize() != weight[0] {
		return nil, fmt.Errorf("dense: x %v, w %v, b %v; want N×In, Out×In and Out", in, weight,
			shapeOf(b))
	}
	name := "Dense"
	if relu {
		name += "ReLU"
	}
	config := kernel.DenseConfig{Batch: in[0], In: in[1], Out: weight[0], ReLU: relu}
	l, _, err := newAffineLayer(kernels, name, in[0], shards, func() (*kernel.Dense, error) {
		return kernel.NewDense(kernels, config)
	}, func(shares int) (whole, share *kernel.Dense, err error) {
		return kernel.NewDenseOfShares(kernels, config, shares)
	})
	if err != nil {
		return nil, err
	}
	if tree && l.shards != nil {
		if err := l.shards.sumInTree(kernels); err != nil {
			return nil, err
		}
	}
	l.output, l.outputs, l.readsOutput = tensor.Shape{in[0], weight[0]}, weight[0], relu
	return l.apply(x, w, b)
}
