package native

import "slipway/internal/kernel"

// pooledMap is the bytes of an image's map from which on it is better pooled a few rows at a time
// than written as a whole.
const pooledMap = 512 << 10

// overlapping computes a convolution with the pooling behind it, whose windows overlap, where the
// map between them is large; an error that wraps errNoPlan says that no plan does.
func (c *convolution) overlapping(r *run, x *Tensor, bias []float32, f frame) (*Tensor, error) {
	if c.pool == nil || c.packed == nil || len(x.Shape) != 4 || !f.symmetric() ||
		4*c.packed.Shape[0]*product(f.out) < pooledMap {
		return nil, errNoPlan
	}
	windows, err := c.pooled.over(r, *c.pool, f.out)
	if err != nil {
		return nil, err
	}
	window, ok := kernelWindow(windows)
	if !ok || window.Height <= window.StrideHeight && window.Width <= window.StrideWidth {
		return nil, errNoPlan
	}
	filters := c.packed.Shape[0]
	config := c.config(x, filters, f)
	if config.Direct = c.summed(); r.filters(config) {
		return nil, errNoPlan // which saves more than a pass over the map
	}
	config.Direct = true
	plan, err := c.pooledPlans.get(r, keyOf(config),
		pooledPlanBytes(config, window, f.out, r.engine.Pool.Threads()),
		func() (*kernel.PooledConv2D, error) {
			config := config
			config.MaxPool = &kernel.Window{}
			*config.MaxPool = window
			plan, err := kernel.NewPooledConv2D(r.engine, config, c.finish.kernel())
			if err == nil {
				err = c.filters.give(r, plan.Convolution(), c.packed.Data.([]float32), 0)
			}
			return plan, err
		})
	if err != nil {
		return nil, err
	}
	return r.mapped(x, filters, windows.out, func(y, image []float32) error {
		return plan.Forward(y, image, c.biasOf(r, bias, filters))
	})
}

// pooledPlanBytes is about what such a plan allocates, and a call of it: for each thread a padded
// copy of an image and some rows of the convolution, packed weights, and the tables of what the
// rows and their windows lie in.
func pooledPlanBytes(f kernel.Conv2DConfig, pool kernel.Window, out []int, threads int) int {
	height, width := pair(out, 1)
	line := 4 * (width + 2*pool.PaddingWidth) * f.Filters
	lines := min(height+2*pool.PaddingHeight, pool.Height+(256<<10)/line)
	image := 4 * (f.Height + 2*f.PaddingHeight) * (f.Width + 2*f.PaddingWidth) * f.Channels
	weights := 8 * (f.Filters + 32) * f.KernelHeight * f.KernelWidth * f.Channels
	return threads*(image+lines*line) + weights + lines*width*(16+8*pool.Height*pool.Width)
}
