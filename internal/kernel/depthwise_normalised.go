package kernel

import "fmt"

// NormaliseBefore is Conv2D.NormaliseBefore.
func (d *Depthwise) NormaliseBefore(n *BatchNorm) error {
	if err := n.fits(d.config.Channels, d.sizeX()); err != nil {
		return fmt.Errorf("kernel: depthwise convolution %+v: before it: %w", d.config, err)
	}
	d.before = n
	if d.share != nil {
		d.share.before = n
	}
	n.measureGradientsIn(d.config.Batch)
	return nil
}

// Measure is Conv2D.Measure.
func (d *Depthwise) Measure(n *BatchNorm) error {
	if err := n.fits(d.config.Channels, d.sizeY()); err != nil {
		return fmt.Errorf("kernel: depthwise convolution %+v: behind it: %w", d.config, err)
	}
	d.measures = n
	n.measureIn(d.config.Batch)
	return nil
}

// NormaliseBehind is Conv2D.NormaliseBehind.
func (d *Depthwise) NormaliseBehind(n *BatchNorm) error {
	if err := n.fits(d.config.Channels, d.sizeY()); err != nil {
		return fmt.Errorf("kernel: depthwise convolution %+v: behind it: %w", d.config, err)
	}
	d.behind = n
	if d.share != nil {
		d.share.behind = n
	}
	return nil
}

// Backward is Conv2D.Backward.
func (d *Depthwise) Backward(dx, dw, db, dy, y, x, w []float32) error {
	if d.behind != nil {
		if err := lengths("gradient of depthwise convolution", size{"dy", len(dy), d.sizeY()},
			size{"y", len(y), d.sizeY()}); err != nil {
			return err
		}
		d.callY = y
		if d.asItReads = dw != nil; !d.asItReads {
			d.callDy = dy
			d.engine.Pool.Run(d.config.Batch, d.differentiateTask)
		}
	}
	defer func() {
		d.asItReads = false
		d.release()
	}()
	if dw != nil {
		if err := d.BackwardParameters(dw, db, dy, x); err != nil {
			return err
		}
	}
	if dx == nil {
		return nil
	}
	return d.BackwardNormalised(dx, dy, x, w)
}

// BackwardNormalised is Conv2D.BackwardNormalised.
func (d *Depthwise) BackwardNormalised(dx, dy, x, w []float32) error {
	if err := lengths("gradient of depthwise convolution", size{"x", len(x), d.sizeX()}); err != nil {
		return err
	}
	d.callX = x
	if err := d.BackwardInput(dx, dy, w); err != nil {
		return err
	}
	if d.before != nil {
		d.before.gradientMeasured()
	}
	return nil
}

// differentiateImage makes the gradient of y of that of an image's normalised values.
func (d *Depthwise) differentiateImage(worker, image int) {
	n := d.height * d.width * d.config.Channels
	from, to := image*n, (image+1)*n
	d.behind.differentiate(&d.work[worker].own.normalise, d.callDy[from:to], d.callDy[from:to],
		d.callY[from:to])
}
