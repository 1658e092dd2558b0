package kernel

import "fmt"

// dealtEvenly reports an error where a batch is no equal shares.
func dealtEvenly(batch, shares int) error {
	if shares < 1 || batch%shares != 0 {
		return fmt.Errorf("kernel: %d images in %d equal shares", batch, shares)
	}
	return nil
}

// NewConv2DOfShares returns plans for a batch of equal shares and for one of them. The whole one's
// Forward and BackwardInput give each share the bits that the other plan gives it, whatever is in
// the others. That one is for the parameters' gradients of a share: the normalisations next to the
// whole plan are next to it, too.
func NewConv2DOfShares(engine Engine, config Conv2DConfig, shares int) (
	whole, share *Conv2D, err error) {
	if err := dealtEvenly(config.Batch, shares); err != nil {
		return nil, nil, err
	}
	if whole, err = newConv2D(engine, config, shares); err != nil {
		return nil, nil, err
	}
	config.Batch /= shares
	if share, err = newConv2D(engine, config, 1); err != nil {
		return nil, nil, err
	}
	whole.share, whole.shares = share, shares
	return whole, share, nil
}

// shareOf returns the k-th of so many equal parts of values; of none it is none.
func shareOf(values []float32, k, shares int) []float32 {
	n := len(values) / shares
	return values[k*n : (k+1)*n]
}

// forwardShares computes y by the share's plan: Winograd's filtering has met something that is not
// finite, and is no matter of shares without.
func (c *Conv2D) forwardShares() error {
	for k := range c.shares {
		if err := c.share.Follow(c, k); err != nil { // which has its maxima written where they belong
			return err
		}
		y, x := shareOf(c.y, k, c.shares), shareOf(c.x, k, c.shares)
		if err := c.share.Forward(y, x, c.w, c.b); err != nil {
			return err
		}
	}
	c.finishAll()
	return nil
}

// inputShares is forwardShares of the input's gradient.
func (c *Conv2D) inputShares() error {
	for k := range c.shares {
		dx, dy := shareOf(c.dx, k, c.shares), shareOf(c.dy, k, c.shares)
		if err := c.share.BackwardInput(dx, dy, nil, c.w); err != nil {
			return err
		}
	}
	c.engine.Pool.Run(c.config.Batch, func(worker, image int) { c.finishInput(worker, image, 1) })
	return nil
}

// NewDepthwiseOfShares is NewConv2DOfShares for depthwise convolutions.
func NewDepthwiseOfShares(engine Engine, config DepthwiseConfig, shares int) (
	whole, share *Depthwise, err error) {
	if err := dealtEvenly(config.Batch, shares); err != nil {
		return nil, nil, err
	}
	if whole, err = NewDepthwise(engine, config); err != nil {
		return nil, nil, err
	}
	config.Batch /= shares
	if share, err = NewDepthwise(engine, config); err != nil {
		return nil, nil, err
	}
	whole.share = share
	return whole, share, nil
}

// NewGroupedConv2DOfShares is NewConv2DOfShares for convolutions of groups.
func NewGroupedConv2DOfShares(engine Engine, config GroupedConv2DConfig, shares int) (
	whole, share *GroupedConv2D, err error) {
	if err := dealtEvenly(config.Batch, shares); err != nil {
		return nil, nil, err
	}
	if whole, err = newGroupedConv2D(engine, config, shares); err != nil {
		return nil, nil, err
	}
	config.Batch /= shares
	if share, err = newGroupedConv2D(engine, config, 1); err != nil {
		return nil, nil, err
	}
	whole.group.share, whole.group.shares = share.group, shares
	return whole, share, nil
}
