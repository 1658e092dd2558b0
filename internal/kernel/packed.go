package kernel

import "fmt"

// Packed are constant weights as plans of one kernel set read them: packed, or transformed where
// Winograd's filtering is used. It does not change, and any number of plans may share it.
type Packed struct {
	set            *Set
	filters, depth int
	filtered       bool
	values         []float32
}

// Pack packs the constant weights of a plan before the first Forward, for others to Share.
func (c *Conv2D) Pack(w []float32) (*Packed, error) {
	if !c.config.ConstantWeights {
		return nil, fmt.Errorf("kernel: weights are packed once for plans of ConstantWeights")
	}
	if err := lengths("convolution", size{"w", len(w), c.config.Filters * c.depth}); err != nil {
		return nil, err
	}
	c.w = w
	defer func() { c.w = nil }()
	var values []float32
	if c.winograd != nil {
		c.winograd.transform()
		values = c.winograd.kept
	} else {
		c.pack()
		c.kept, values = true, c.packed
	}
	return &Packed{c.engine.Set, c.config.Filters, c.depth, c.winograd != nil, values}, nil
}

// Share makes the plan read weights that another one packed, and reports whether it can: the
// weights must be the same.
func (c *Conv2D) Share(p *Packed) bool {
	filtered := c.winograd != nil
	if !c.config.ConstantWeights || p.set != c.engine.Set || p.filters != c.config.Filters ||
		p.depth != c.depth || p.filtered != filtered {
		return false
	}
	if filtered {
		c.winograd.kept, c.winograd.ready = p.values, true
	} else {
		c.packed, c.kept = p.values, true
	}
	return true
}
