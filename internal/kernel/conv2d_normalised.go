package kernel

import "fmt"

// normalised are the normalisations next to a convolution, whose results are nowhere in memory: who reads them computes
// them, from values that are read anyway, on their way to the thread's own copies. A training step is bound by memory where
// there are few channels, and an element that is written once and read twice is as dear as hundreds of multiplications.
type normalised struct {
	before *BatchNorm // of x
	behind *BatchNorm // of y
	// gradientOf, if not nil, makes a gradient out of x, that of its result, and of original, its input.
	gradientOf *BatchNorm
	original   []float32
}

// NormaliseBefore says what normalises the image: from then on x is its input, and each pass normalises the rows that it
// reads. It must have been prepared with the same x. dx is the gradient of the normalised values.
func (c *Conv2D) NormaliseBefore(n *BatchNorm) error {
	if n.config.Channels != c.config.Channels || n.config.Rows*n.config.Channels != c.sizeX() {
		return fmt.Errorf("kernel: convolution %+v: what is before it normalises %d×%d", c.config, n.config.Rows, n.config.Channels)
	}
	c.before, c.copied = n, true
	return nil
}

// NormaliseBehind says what normalises y: from then on dy is the gradient of its result, and each backward pass computes
// that of y from dy and y as it reads them. It must have been prepared with them.
func (c *Conv2D) NormaliseBehind(n *BatchNorm) error {
	if n.config.Channels != c.config.Filters || n.config.Rows*n.config.Channels != c.sizeY() {
		return fmt.Errorf("kernel: convolution %+v: what is behind it normalises %d×%d", c.config, n.config.Rows, n.config.Channels)
	}
	if c.config.ReLU || c.config.MaxPool != nil {
		return fmt.Errorf("kernel: convolution %+v: a normalisation behind it cannot be taken up behind ReLU or pooling", c.config)
	}
	c.behind = n
	if c.filtered != nil {
		c.filtered.plan.gradientOf, c.filtered.plan.copied = n, true
	}
	return nil
}
