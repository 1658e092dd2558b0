package kernel

import "fmt"

// normalised are the normalisations next to a convolution. The image behind one is nowhere in
// memory: who reads it computes it, from values that are read anyway, on their way to the thread's
// own copies. The gradient in front of one is computed where that of its result lies, by who reads
// it first. A training step is bound by memory where there are few channels: an element that is
// written once and read twice is as dear as hundreds of multiplications.
type normalised struct {
	before *BatchNorm              // of x
	behind *BatchNorm              // of y
	stored func(worker, image int) // is told of each image of y that is stored, unless it is nil
	// asItReads says that the weights' gradient makes the gradient of y of dy as it goes along.
	asItReads         bool
	differentiateTask func(worker, item int)
}

// NormaliseBefore says what normalises the image: from then on x is its input, and each pass
// normalises the rows that it reads. It must have been prepared with the same x. dx is the gradient
// of the normalised values.
func (c *Conv2D) NormaliseBefore(n *BatchNorm) error {
	if err := n.fits(c.config.Channels, c.sizeX()); err != nil {
		return fmt.Errorf("kernel: convolution %+v: before it: %w", c.config, err)
	}
	c.before, c.copied = n, true
	if c.share != nil {
		c.share.before, c.share.copied = n, true
	}
	n.measureGradientsIn(c.config.Batch)
	if c.filtered != nil {
		c.filtered.plan.stored = func(worker, image int) { c.finishInput(worker, image, 1) }
	}
	return nil
}

// Measure lets Forward take the sums of y that n needs, so that it need not read y for them: it
// must be prepared with that y.
func (c *Conv2D) Measure(n *BatchNorm) error {
	if err := n.fits(c.config.Filters, c.sizeY()); err != nil {
		return fmt.Errorf("kernel: convolution %+v: behind it: %w", c.config, err)
	}
	size := c.sizeY() / c.config.Batch
	c.stored = func(worker, image int) { n.measure(worker, image, c.y[image*size:(image+1)*size]) }
	n.measureIn(c.config.Batch)
	return nil
}

// finished tells of images of y that are stored.
func (c *Conv2D) finished(worker, image, images int) {
	if c.stored != nil {
		for i := range images {
			c.stored(worker, image+i)
		}
	}
}

// finishAll tells of all images of y.
func (c *Conv2D) finishAll() {
	if c.stored != nil {
		c.engine.Pool.Run(c.config.Batch, c.stored)
	}
}

// finishInput measures images of dx for the normalisation before the convolution.
func (c *Conv2D) finishInput(worker, image, images int) {
	if c.before == nil || c.x == nil {
		return
	}
	size := c.sizeImage()
	for i := image; i < image+images; i++ {
		c.before.measureGradient(worker, i, c.dx[i*size:(i+1)*size], c.x[i*size:(i+1)*size])
	}
}

// NormaliseBehind says what normalises y: from then on Backward is given the gradient of its
// result, and must be the only one to read it. It must have been prepared with it.
func (c *Conv2D) NormaliseBehind(n *BatchNorm) error {
	if err := n.fits(c.config.Filters, c.sizeY()); err != nil {
		return fmt.Errorf("kernel: convolution %+v: behind it: %w", c.config, err)
	}
	if c.config.ReLU || c.config.MaxPool != nil {
		return fmt.Errorf(
			"kernel: convolution %+v: a normalisation behind it cannot be taken up behind ReLU or pooling",
			c.config)
	}
	for _, plan := range []*Conv2D{c, c.share} {
		if plan != nil {
			plan.behind, plan.differentiateTask = n, plan.differentiateImage
		}
	}
	return nil
}

// Backward computes the gradients of x, and of w and b, from dy, the x and w of Forward and its y,
// which is read as in BackwardParameters, and where a normalisation is behind the convolution. Then
// dy becomes the gradient of y, unless dx and dw are both wanted: it may be left as it is, in part
// or as a whole. dx may be nil, and so may dw with db, and db alone.
func (c *Conv2D) Backward(dx, dw, db, dy, y, x, w []float32) error {
	if c.behind != nil {
		if err := lengths("gradient of convolution", size{"dy", len(dy), c.sizeY()},
			size{"y", len(y), c.sizeY()}); err != nil {
			return err
		}
		if c.asItReads = dw != nil && c.readsGradientOnce(db); !c.asItReads {
			c.dy, c.y = dy, y
			c.engine.Pool.Run(c.config.Batch, c.differentiateTask)
			c.release()
		}
	}
	defer func() { c.asItReads = false }()
	if done, err := c.backwardTogether(dx, dw, db, dy, y, x, w); done || err != nil {
		return err
	}
	if dw != nil {
		if err := c.BackwardParameters(dw, db, dy, y, x); err != nil {
			return err
		}
	}
	if dx == nil {
		return nil
	}
	return c.BackwardNormalised(dx, dy, y, x, w)
}

// BackwardNormalised is Backward of x alone where dy is the gradient of y already.
func (c *Conv2D) BackwardNormalised(dx, dy, y, x, w []float32) error {
	if err := lengths("gradient of convolution", size{"x", len(x), c.sizeX()}); err != nil {
		return err
	}
	c.x = x
	if err := c.BackwardInput(dx, dy, y, w); err != nil {
		return err
	}
	c.inputMeasured()
	return nil
}

// inputMeasured says that finishInput has seen all images.
func (c *Conv2D) inputMeasured() {
	if c.before != nil && c.sparse == nil {
		c.before.gradientMeasured()
	}
}

// backwardTogether computes all gradients of some images after the other's, where that is the
// better way.
func (c *Conv2D) backwardTogether(dx, dw, db, dy, y, x, w []float32) (done bool, err error) {
	if dx == nil || dw == nil || c.sparse != nil || c.filtered != nil || c.tiledInput != nil ||
		c.tiledWeights != nil || c.filteredWeights != nil && db == nil {
		return false, nil
	}
	if err := lengths("gradient of convolution", size{"dx", len(dx), c.sizeX()},
		size{"dw", len(dw), c.config.Filters * c.depth},
		optional("db", db, c.config.Filters), size{"dy", len(dy), c.sizeY()},
		size{"x", len(x), c.sizeX()},
		size{"w", len(w), c.config.Filters * c.depth}); err != nil {
		return false, err
	}
	if err := c.checkMask(y); err != nil {
		return false, err
	}
	c.dx, c.dw, c.db, c.dy, c.y, c.x, c.w = dx, dw, db, dy, y, x, w
	defer c.release()
	if done = c.dense.backward(); done {
		c.inputMeasured()
	}
	return done, nil
}

// readsGradientOnce reports whether each image's gradient is read by one item of the parameters'
// gradient, as a whole.
func (c *Conv2D) readsGradientOnce(db []float32) bool {
	if c.tiledWeights != nil {
		return false
	}
	if c.filteredWeights != nil && db == nil {
		return c.filteredWeights.wholeImages()
	}
	return c.dense.readsOnce()
}

// differentiateImage makes the gradient of y of that of an image's normalised values.
func (c *Conv2D) differentiateImage(worker, image int) { c.differentiateImages(worker, image, 1) }

func (c *Conv2D) differentiateImages(worker, image, images int) {
	n := c.convHeight * c.convWidth * c.config.Filters
	from, to := image*n, (image+images)*n
	c.differentiateTo(worker, c.dy[from:to], image, images)
}

// differentiateTo is differentiateImages to another place.
func (c *Conv2D) differentiateTo(worker int, to []float32, image, images int) {
	n := c.convHeight * c.convWidth * c.config.Filters
	from, end := image*n, (image+images)*n
	c.behind.differentiate(&c.work[worker].own.normalise, to, c.dy[from:end], c.y[from:end])
}
