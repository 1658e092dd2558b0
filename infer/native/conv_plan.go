package native

import "slipway/internal/kernel"

// config describes the convolution of images to the kernels.
func (c *convolution) config(x *Tensor, filters int, f frame) kernel.Conv2DConfig {
	config := kernel.Conv2DConfig{Direct: true, ConstantWeights: c.packed != nil, Batch: x.Shape[0],
		Channels: x.Shape[1], Filters: filters}
	config.Height, config.Width = pair(f.in, 1)
	config.KernelHeight, config.KernelWidth = pair(f.kernel, 1)
	config.StrideHeight, config.StrideWidth = pair(f.strides, 1)
	config.PaddingHeight, config.PaddingWidth = pair(f.begin, 0)
	return config
}

// filtered is config for a plan that may use Winograd's minimal filtering, and the bytes of the
// weights that it transforms then. The memory that all such plans work in is reserved.
func (c *convolution) filtered(r *run, x *Tensor, filters int, f frame) (kernel.Conv2DConfig, int,
	error) {
	config := c.config(x, filters, f)
	config.Direct = c.summed()
	weights, scratch, _ := kernel.FiltersConv2D(r.engine, config)
	return config, weights, r.reserveScratch(scratch)
}

// summed reports whether no plan of the convolution may use Winograd's filtering, which is for
// constant weights and knows no upper bound and no gate.
func (c *convolution) summed() bool {
	return c.direct || c.packed == nil || !c.finish.fromBelow()
}

// filters reports whether Winograd's filtering computes a convolution.
func (r *run) filters(config kernel.Conv2DConfig) bool {
	_, _, ok := kernel.FiltersConv2D(r.engine, config)
	return ok
}

// poolsApart reports whether Winograd's filtering computes a convolution alone, but not with the
// pooling behind it: what it saves is worth more than a pass over the map.
func (r *run) poolsApart(config kernel.Conv2DConfig, pooling kernel.Window) bool {
	alone := r.filters(config)
	config.MaxPool = &pooling
	return alone && !r.filters(config)
}

func keyOf(f kernel.Conv2DConfig) planKey {
	return planKey{f.Batch, f.Height, f.Width, f.Channels, f.Filters, f.KernelHeight, f.KernelWidth,
		f.PaddingHeight, f.PaddingWidth}
}

// convPlanBytes is about what a plan allocates: padded copies of the images that the threads are
// at, or of all where they are few; packed weights, and the tables of output positions and windows.
func convPlanBytes(f kernel.Conv2DConfig, pool kernel.Window, out []int, threads int) int {
	const blockPositions = 96 // as the kernels have it
	area := product(out)
	pooled := pool.Height > 0
	if pooled {
		area *= pool.Height * pool.Width
	}
	together := min(max(1, blockPositions/max(1, area)), f.Batch)
	images := min(f.Batch, threads*together)
	if (f.Batch+together-1)/together < 2*threads {
		images = f.Batch
	}
	bytes := 8 * (f.Filters + 32) * f.KernelHeight * f.KernelWidth * f.Channels
	if f.PaddingHeight > 0 || f.PaddingWidth > 0 || pooled {
		bytes += 4 * images * (f.Height + 2*f.PaddingHeight) * (f.Width + 2*f.PaddingWidth) * f.Channels
	}
	if !pooled {
		return bytes + 16*product(out)
	}
	windows := product(out)
	return bytes + 2*f.Batch*windows*f.Filters + 64*windows*pool.Height*pool.Width
}
