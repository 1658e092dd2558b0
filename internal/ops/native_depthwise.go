package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// depthwisePlan is a depthwise convolution, which reads no output.
type depthwisePlan struct{ *kernel.Depthwise }

func (p depthwisePlan) BackwardParameters(dw, db, dy, _, x []float32) error {
	return p.Depthwise.BackwardParameters(dw, db, dy, x)
}

func (p depthwisePlan) BackwardInput(dx, dy, _, w []float32) error {
	return p.Depthwise.BackwardInput(dx, dy, w)
}

func (p depthwisePlan) BackwardNormalised(dx, dy, _, x, w []float32) error {
	return p.Depthwise.BackwardNormalised(dx, dy, x, w)
}

func (p depthwisePlan) Backward(dx, dw, db, dy, y, x, w []float32) error {
	return p.Depthwise.Backward(dx, dw, db, dy, y, x, w)
}

// NativeDepthwise applies a convolution of each channel with a kernel of its own: x N×H×W×C, w
// KH×KW×C, b C or nil, y N×H'×W'×C:
//
//	y[n,i,j,c] = b[c] + Σ_{u,v} x[n, i·s+u·d−p, j·s+v·d−p, c] · w[u,v,c].
func NativeDepthwise(kernels kernel.Engine, x, w, b *gorgonia.Node,
	options Conv2DOptions) (*gorgonia.Node, error) {
	in, filters := x.Shape(), w.Shape()
	if in.Dims() != 4 || filters.Dims() != 3 || filters[2] != in[3] || b != nil && b.Shape().
		TotalSize() != in[3] {
		return nil, fmt.Errorf("depthwise convolution: x %v, w %v, b %v; want N×H×W×C, KH×KW×C and C", in,
			filters, shapeOf(b))
	}
	if options.ReLU || options.MaxPool != nil {
		return nil, fmt.Errorf("depthwise convolution: nothing is fused")
	}
	config := kernel.DepthwiseConfig{
		Batch: in[0], Height: in[1], Width: in[2], Channels: in[3], KernelHeight: filters[0],
		KernelWidth:  filters[1],
		StrideHeight: options.StrideHeight, StrideWidth: options.StrideWidth,
		PaddingHeight: options.PaddingHeight, PaddingWidth: options.PaddingWidth,
		ExtraHeight: options.ExtraHeight, ExtraWidth: options.ExtraWidth,
		DilationHeight: max(1, options.DilationHeight), DilationWidth: max(1, options.DilationWidth),
	}
	l, plan, err := newAffineLayer(kernels, "Depthwise", in[0], options.Shards,
		func() (depthwisePlan, error) {
			plan, err := kernel.NewDepthwise(kernels, config)
			return depthwisePlan{plan}, err
		}, func(shares int) (whole, share depthwisePlan, err error) {
			whole.Depthwise, share.Depthwise, err = kernel.NewDepthwiseOfShares(kernels, config, shares)
			return whole, share, err
		})
	if err != nil {
		return nil, err
	}
	height, width := plan.Output()
	l.output, l.outputs = tensor.Shape{in[0], height, width, in[3]}, in[3]
	return l.apply(x, w, b)
}
