package kernel

import "fmt"

// ofShares makes plans for a batch of equal shares and for one of them. A plan is told of how many
// shares its batch is.
func ofShares[P any](batch, shares int, newPlan func(batch, shares int) (P, error)) (
	whole, share P, err error) {
	if shares < 1 || batch%shares != 0 {
		return whole, share, fmt.Errorf("kernel: %d images in %d equal shares", batch, shares)
	}
	if whole, err = newPlan(batch, shares); err != nil {
		return whole, share, err
	}
	share, err = newPlan(batch/shares, 1)
	return whole, share, err
}

// ShareOf returns the k-th of so many equal parts of values; of none it is none.
func ShareOf[T any](values []T, k, shares int) []T {
	n := len(values) / shares
	return values[k*n : (k+1)*n]
}

// NewConv2DOfShares returns plans for a batch of equal shares and for one of them. The whole one's
// Forward and BackwardInput give each share the bits that the other plan gives it, whatever is in
// the others. That one is for the parameters' gradients of a share: the normalisations next to the
// whole plan are next to it, too.
func NewConv2DOfShares(engine Engine, config Conv2DConfig, shares int) (
	whole, share *Conv2D, err error) {
	whole, share, err = ofShares(config.Batch, shares, func(batch, shares int) (*Conv2D, error) {
		config.Batch = batch
		return newConv2D(engine, config, shares)
	})
	if err != nil {
		return nil, nil, err
	}
	whole.share, whole.shares = share, shares
	return whole, share, nil
}

// forwardShares computes y by the share's plan: Winograd's filtering has met something that is not
// finite, and is no matter of shares without.
func (c *Conv2D) forwardShares() error {
	for k := range c.shares {
		if err := c.share.Follow(c, k); err != nil { // which has its maxima written where they belong
			return err
		}
		y, x := ShareOf(c.y, k, c.shares), ShareOf(c.x, k, c.shares)
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
		dx, dy := ShareOf(c.dx, k, c.shares), ShareOf(c.dy, k, c.shares)
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
	whole, share, err = ofShares(config.Batch, shares, func(batch, _ int) (*Depthwise, error) {
		config.Batch = batch
		return NewDepthwise(engine, config)
	})
	if err != nil {
		return nil, nil, err
	}
	whole.share = share
	return whole, share, nil
}

// NewGroupedConv2DOfShares is NewConv2DOfShares for convolutions of groups.
func NewGroupedConv2DOfShares(engine Engine, config GroupedConv2DConfig, shares int) (
	whole, share *GroupedConv2D, err error) {
	whole, share, err = ofShares(config.Batch, shares,
		func(batch, shares int) (*GroupedConv2D, error) {
			config.Batch = batch
			return newGroupedConv2D(engine, config, shares)
		})
	if err != nil {
		return nil, nil, err
	}
	whole.group.share, whole.group.shares = share.group, shares
	return whole, share, nil
}
