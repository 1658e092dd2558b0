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

// Backward is Conv2D.Backward, but that it may leave dy as it is unless dw alone is wanted.
func (d *Depthwise) Backward(dx, dw, db, dy, y, x, w []float32) error {
	if err := lengths("gradient of depthwise convolution", size{"dy", len(dy), d.sizeY()},
		optional("dx", dx, d.sizeX()), optional("dw", dw, d.sizeW()),
		optional("db", db, d.config.Channels), size{"x", len(x), d.sizeX()},
		size{"w", len(w), d.sizeW()}); err != nil {
		return err
	}
	if d.behind != nil {
		if err := lengths("gradient of depthwise convolution", size{"y", len(y), d.sizeY()}); err != nil {
			return err
		}
	}
	defer d.release()
	d.callDx, d.callDw, d.callDb, d.callDy, d.callY, d.callX = dx, dw, db, dy, y, x
	d.differentiates = d.behind != nil
	d.pack(w)
	switch {
	case dw != nil && dx != nil && d.engine.Pool.Threads() > d.partials:
		// More threads than parts: dx is not made to wait for them.
		d.callDx = nil
		d.sumParameters()
		d.callDx, d.differentiates = dx, false
		d.engine.Pool.Run(d.config.Batch, d.inputTask)
	case dw != nil:
		d.sumParameters()
	case dx != nil:
		d.engine.Pool.Run(d.config.Batch, d.inputTask)
	}
	if d.before != nil && dx != nil {
		d.before.gradientMeasured()
	}
	return nil
}

// BackwardNormalised is Conv2D.BackwardNormalised.
func (d *Depthwise) BackwardNormalised(dx, dy, x, w []float32) error {
	if err := lengths("gradient of depthwise convolution", size{"x", len(x), d.sizeX()}); err != nil {
		return err
	}
	d.callX = x
	if err := d.BackwardInput(dx, dy, w); err != nil {
		d.callX = nil
		return err
	}
	if d.before != nil {
		d.before.gradientMeasured()
	}
	return nil
}
