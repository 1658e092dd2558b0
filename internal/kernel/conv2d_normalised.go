package kernel

import "fmt"

// normalised are the normalisations next to a convolution. The image behind one is nowhere in memory: who reads it computes
// it, from values that are read anyway, on their way to the thread's own copies. The gradient in front of one is computed
// where that of its result lies, by who reads it first. A training step is bound by memory where there are few channels: an
// element that is written once and read twice is as dear as hundreds of multiplications.
type normalised struct {
	before *BatchNorm // of x
	behind *BatchNorm // of y
	// asItReads says that the weights' gradient makes dy the gradient of y as it goes along.
	asItReads         bool
	differentiateTask func(worker, item int)
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

// NormaliseBehind says what normalises y: from then on Backward is given the gradient of its result, and must be the only
// one to read it. It must have been prepared with it.
func (c *Conv2D) NormaliseBehind(n *BatchNorm) error {
	if n.config.Channels != c.config.Filters || n.config.Rows*n.config.Channels != c.sizeY() {
		return fmt.Errorf("kernel: convolution %+v: what is behind it normalises %d×%d", c.config, n.config.Rows, n.config.Channels)
	}
	if c.config.ReLU || c.config.MaxPool != nil {
		return fmt.Errorf("kernel: convolution %+v: a normalisation behind it cannot be taken up behind ReLU or pooling", c.config)
	}
	c.behind, c.differentiateTask = n, c.differentiateImage
	return nil
}

// Backward computes the gradients of x, and of w and b, from dy, the x and w of Forward and its y, which is read as in
// BackwardParameters, and where a normalisation is behind the convolution. Then dy is overwritten with the gradient of y. dx
// may be nil, and so may dw with db, and db alone.
func (c *Conv2D) Backward(dx, dw, db, dy, y, x, w []float32) error {
	if c.behind != nil {
		if err := lengths("gradient of convolution", size{"dy", len(dy), c.sizeY()}, size{"y", len(y), c.sizeY()}); err != nil {
			return err
		}
		if c.asItReads = dw != nil && c.dense.readsOnce(); !c.asItReads {
			c.dy, c.y = dy, y
			c.engine.Pool.Run(c.config.Batch, c.differentiateTask)
			c.release()
		}
	}
	defer func() { c.asItReads = false }()
	if dw != nil {
		if err := c.BackwardParameters(dw, db, dy, y, x); err != nil {
			return err
		}
	}
	if dx != nil {
		return c.BackwardInput(dx, dy, y, w)
	}
	return nil
}

// differentiateImage makes the gradient of y of that of an image's normalised values.
func (c *Conv2D) differentiateImage(worker, image int) { c.differentiateImages(worker, image, 1) }

func (c *Conv2D) differentiateImages(worker, image, images int) {
	n := c.convHeight * c.convWidth * c.config.Filters
	from, to := image*n, (image+images)*n
	c.behind.differentiate(&c.work[worker].own.normalise, c.dy[from:to], c.dy[from:to], c.y[from:to])
}
