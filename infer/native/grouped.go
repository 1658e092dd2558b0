package native

import "slipway/internal/kernel"

// grouped computes a convolution of several groups, group by group with a plan of the kernels, and
// one group where what is added to it must be broadcast. A dilated kernel it leaves to the loops:
// the plan would fill it with zeros, whose product with an infinite input is no number.
func (c *convolution) grouped(r *run, x, w *Tensor, bias []float32, f frame) (*Tensor, error) {
	if !f.plain() || !f.extends() {
		return nil, errNoPlan
	}
	config := kernel.GroupedConv2DConfig{Groups: c.group}
	config.Direct, config.Batch, config.Channels, config.Filters = true, x.Shape[0], x.Shape[1],
		w.Shape[0]
	config.Height, config.Width = pair(f.in, 1)
	config.KernelHeight, config.KernelWidth = pair(f.kernel, 1)
	config.StrideHeight, config.StrideWidth = pair(f.strides, 1)
	config.DilationHeight, config.DilationWidth = 1, 1
	config.PaddingHeight, config.PaddingWidth = pair(f.begin, 0)
	config.ExtraHeight, config.ExtraWidth = f.extra()

	packed := c.packed
	if packed == nil {
		packed = packFilters(w.Data.([]float32), w.Shape)
	}
	key := planKey{config.Batch, config.Height, config.Width, config.Channels, config.Filters,
		config.KernelHeight, config.KernelWidth, config.PaddingHeight, config.PaddingWidth}
	plan, err := c.groupedPlans.get(r, key, groupedPlanBytes(config, f.out, r.engine.Pool.Threads()),
		func() (*kernel.GroupedConv2D, error) { return kernel.NewGroupedConv2D(r.engine, config) })
	if err != nil {
		return nil, err
	}
	return r.mapped(x, w.Shape[0], f.out, func(y, image []float32) error {
		return plan.Forward(y, image, packed.Data.([]float32), c.biasOf(r, bias, w.Shape[0]))
	})
}

// groupedPlanBytes is about what a plan allocates: a group's images and maps, and what its own plan
// does.
func groupedPlanBytes(f kernel.GroupedConv2DConfig, out []int, threads int) int {
	inner := f.Conv2DConfig
	inner.Channels, inner.Filters = f.Channels/f.Groups, f.Filters/f.Groups
	copies := inner.Channels*(f.Height+f.ExtraHeight)*(f.Width+f.ExtraWidth) +
		inner.Filters*product(out)
	return 4*f.Batch*copies + convPlanBytes(inner, kernel.Window{}, out, threads)
}
