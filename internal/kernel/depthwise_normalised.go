package kernel

import "fmt"

// NormaliseBefore is Conv2D.NormaliseBefore.
func (d *Depthwise) NormaliseBefore(n *BatchNorm) error {
	if n.config.Channels != d.config.Channels || n.config.Rows*n.config.Channels != d.sizeX() {
		return fmt.Errorf("kernel: depthwise convolution %+v: what is before it normalises %d×%d", d.config, n.config.Rows, n.config.Channels)
	}
	d.before = n
	return nil
}

// NormaliseBehind is Conv2D.NormaliseBehind.
func (d *Depthwise) NormaliseBehind(n *BatchNorm) error {
	if n.config.Channels != d.config.Channels || n.config.Rows*n.config.Channels != d.sizeY() {
		return fmt.Errorf("kernel: depthwise convolution %+v: what is behind it normalises %d×%d", d.config, n.config.Rows, n.config.Channels)
	}
	d.behind = n
	return nil
}

// Backward is Conv2D.Backward.
func (d *Depthwise) Backward(dx, dw, db, dy, y, x, w []float32) error {
	if d.behind != nil {
		if err := lengths("gradient of depthwise convolution", size{"dy", len(dy), d.sizeY()}, size{"y", len(y), d.sizeY()}); err != nil {
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
	if dx != nil {
		return d.BackwardInput(dx, dy, w)
	}
	return nil
}

// differentiateImage makes the gradient of y of that of an image's normalised values.
func (d *Depthwise) differentiateImage(worker, image int) {
	n := d.height * d.width * d.config.Channels
	from, to := image*n, (image+1)*n
	d.behind.differentiate(&d.work[worker].own.normalise, d.callDy[from:to], d.callDy[from:to], d.callY[from:to])
}
