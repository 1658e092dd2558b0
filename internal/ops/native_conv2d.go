package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// Conv2DOptions are a convolution's strides and padding, and what is fused
// behind it.
type Conv2DOptions struct {
	StrideHeight, StrideWidth   int
	PaddingHeight, PaddingWidth int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right.
	ExtraHeight, ExtraWidth int
	// DilationHeight and DilationWidth are the distances of the kernel's taps, 1 where they are 0.
	DilationHeight, DilationWidth int
	// Groups is how many groups channels and filters are divided into, 1 if 0.
	Groups int
	// FilteredGradients lets the gradients use Winograd's minimal filtering, that of the weights where
	// there is no bias, and sum in another order; see kernel.Conv2DConfig.
	FilteredGradients bool
	// ReLU rectifies the output; MaxPool, if not nil, then pools it.
	ReLU    bool
	MaxPool *Window
	// Direct asks for each sum as it is written; see kernel.Conv2DConfig.
	Direct bool
	// Shards, where they are several, are equal shares of the batch over which the gradients of w and
	// b are summed (Shards).
	Shards int
}

// NativeConv2D applies y = pool(relu(x ∗ w + b)), where ∗ is
//
//	(x ∗ w)[n,i,j,o] = Σ_{u,v,c} x[n, i·s+u−p, j·s+v−p, c] · w[o,u,v,c]
//
// and ReLU and pooling are left out unless asked for, and b where it is nil: x N×H×W×C, w
// O×KH×KW×(C/groups), b O, y N×H'×W'×O. Where there are groups, or the kernel is dilated, nothing
// is fused. Its gradients are those of the three one after another:
//
//	dw[o,u,v,c] = Σ dz[n,i,j,o]·x[n,i·s+u−p,j·s+v−p,c],  db[o] = Σ dz[n,i,j,o],
//	dx[n,i·s+u−p,j·s+v−p,c] = Σ dz[n,i,j,o]·w[o,u,v,c],
//
// where dz is dy at the position that each window's maximum came from if that
// is above 0, and 0 everywhere else.
func NativeConv2D(kernels kernel.Engine, x, w, b *gorgonia.Node,
	options Conv2DOptions) (*gorgonia.Node, error) {
	in, filters := x.Shape(), w.Shape()
	if in.Dims() != 4 || filters.Dims() != 4 || filters[3]*max(1, options.Groups) != in[3] ||
		b != nil && b.Shape().TotalSize() != filters[0] {
		return nil, fmt.Errorf("convolution: x %v, w %v, b %v; want N×H×W×C, O×KH×KW×(C/groups) and O",
			in, filters, shapeOf(b))
	}
	config := kernel.Conv2DConfig{
		Batch: in[0], Height: in[1], Width: in[2], Channels: in[3],
		Filters: filters[0], KernelHeight: filters[1], KernelWidth: filters[2],
		StrideHeight: options.StrideHeight, StrideWidth: options.StrideWidth,
		PaddingHeight: options.PaddingHeight, PaddingWidth: options.PaddingWidth,
		ExtraHeight: options.ExtraHeight, ExtraWidth: options.ExtraWidth,
		ReLU: options.ReLU, Direct: options.Direct, FilteredGradients: options.FilteredGradients,
	}
	name := "Conv2D"
	if options.ReLU {
		name += "ReLU"
	}
	if options.MaxPool != nil {
		window := options.MaxPool.kernel()
		config.MaxPool = &window
		name += "MaxPool2D"
	}
	l, plan, err := newAffineLayer(kernels, name, in[0], options.Shards, func() (conv2DPlan, error) {
		return newConv2DPlan(kernels, config, options)
	}, func(shares int) (whole, share conv2DPlan, err error) {
		return newConv2DPlans(kernels, config, options, shares)
	})
	if err != nil {
		return nil, err
	}
	height, width := plan.Output()
	l.output, l.outputs = tensor.Shape{in[0], height, width, filters[0]}, filters[0]
	l.readsOutput = options.ReLU || options.MaxPool != nil
	return l.apply(x, w, b)
}

// conv2DPlan is a kernel of a convolution.
type conv2DPlan interface {
	affinePlan
	Output() (height, width int)
}

func newConv2DPlan(kernels kernel.Engine, config kernel.Conv2DConfig,
	options Conv2DOptions) (conv2DPlan, error) {
	if grouped, ok := options.grouped(config); ok {
		return kernel.NewGroupedConv2D(kernels, grouped)
	}
	return kernel.NewConv2D(kernels, config)
}

// newConv2DPlans returns those for a batch of equal shares and for one of them.
func newConv2DPlans(kernels kernel.Engine, config kernel.Conv2DConfig, options Conv2DOptions,
	shares int) (
	whole, share conv2DPlan, err error) {
	if grouped, ok := options.grouped(config); ok {
		return kernel.NewGroupedConv2DOfShares(kernels, grouped, shares)
	}
	return kernel.NewConv2DOfShares(kernels, config, shares)
}

// grouped returns what a convolution that has groups, or a dilated kernel, is.
func (o Conv2DOptions) grouped(config kernel.Conv2DConfig) (kernel.GroupedConv2DConfig, bool) {
	f := kernel.GroupedConv2DConfig{Conv2DConfig: config, Groups: max(1, o.Groups),
		DilationHeight: max(1, o.DilationHeight), DilationWidth: max(1, o.DilationWidth)}
	return f, f.Groups > 1 || f.DilationHeight > 1 || f.DilationWidth > 1
}

func (w Window) kernel() kernel.Window {
	return kernel.Window{
		Height: w.KernelHeight, Width: w.KernelWidth,
		StrideHeight: w.StrideHeight, StrideWidth: w.StrideWidth,
		PaddingHeight: w.PaddingHeight, PaddingWidth: w.PaddingWidth,
		ExtraHeight: w.ExtraHeight, ExtraWidth: w.ExtraWidth, CeilMode: w.CeilMode,
		ExcludePadding: w.ExcludePadding,
	}
}
