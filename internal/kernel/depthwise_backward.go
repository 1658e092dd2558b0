package kernel

import "unsafe"

// BackwardInput computes dx from dy and w.
func (d *Depthwise) BackwardInput(dx, dy, w []float32) error {
	if err := lengths("gradient of depthwise input", size{"dx", len(dx), d.sizeX()},
		size{"dy", len(dy), d.sizeY()}, size{"w", len(w), d.sizeW()}); err != nil {
		return err
	}
	d.callDx, d.callDy = dx, dy
	for i := range d.work {
		d.work[i].own.args.W = pointer(d.packed(w))
	}
	d.engine.Pool.Run(d.config.Batch, d.inputTask)
	d.release()
	return nil
}

func (d *Depthwise) inputImage(worker, image int) {
	f, ws := &d.config, &d.work[worker].own
	dy := pointer(d.copied(ws, &ws.dy, &d.gradient, d.callDy, image, nil))
	for i := range d.phases {
		p := &d.phases[i]
		for r := range p.rows {
			a := &ws.args
			a.X, a.XStep = unsafe.Add(dy, p.x+4*r*d.gradient.row), 4*d.channels
			a.Taps, a.Count, a.Bias = unsafe.SliceData(p.taps), len(p.taps), pointer(d.zeros)
			at := (image*f.Height+p.row+r*f.StrideHeight)*f.Width + p.column
			d.row(ws, d.callDx[at*f.Channels:], p.columns, f.StrideWidth)
		}
	}
	if d.before != nil && d.callX != nil {
		from, to := image*d.sizeX()/f.Batch, (image+1)*d.sizeX()/f.Batch
		d.before.measureGradient(worker, image, d.callDx[from:to], d.callX[from:to])
	}
}

// BackwardParameters computes dw and, unless it is nil, db from dy and x.
func (d *Depthwise) BackwardParameters(dw, db, dy, x []float32) error {
	if err := lengths("gradient of depthwise parameters", size{"dw", len(dw), d.sizeW()},
		size{"dy", len(dy), d.sizeY()}, size{"x", len(x), d.sizeX()}, optional("db", db,
			d.config.Channels)); err != nil {
		return err
	}
	part := (len(d.taps) + 1) * d.channels
	if d.partial == nil {
		d.partial = aligned(d.partials * part)
	}
	d.callX, d.callDy, d.callDb = x, dy, db
	d.engine.Pool.Run(d.partials, d.parametersTask)
	for k := 1; k < d.partials; k++ {
		d.engine.Set.addScaledSlice(d.partial[:part], d.partial[k*part:(k+1)*part], 1)
	}
	c := d.config.Channels
	for tap := range d.taps {
		copy(dw[tap*c:(tap+1)*c], d.partial[tap*d.channels:])
	}
	copy(db, d.partial[len(d.taps)*d.channels:])
	d.release()
	return nil
}

// parametersItem sums over some of the images.
func (d *Depthwise) parametersItem(worker, item int) {
	f, ws, part := &d.config, &d.work[worker].own, (len(d.taps)+1)*d.channels
	sums := d.partial[item*part : (item+1)*part]
	clear(sums)
	plain := paddedImage{height: d.height, width: d.width, row: d.width * d.channels,
		size: d.height * d.width * d.channels}
	frame, places := &plain, 0
	if d.channels != f.Channels {
		frame, places = &d.gradient, d.gradient.top*d.gradient.row+d.gradient.left*d.channels
	}
	for image := item * f.Batch / d.partials; image < (item+1)*f.Batch/d.partials; image++ {
		if d.asItReads {
			d.differentiateImage(worker, image)
		}
		x, dy := d.source(ws, image), d.copied(ws, &ws.dy, frame, d.callDy, image, nil)
		for u := range f.KernelHeight {
			for v := 0; v < f.KernelWidth; v += maxDepthwiseTaps {
				tap := u*f.KernelWidth + v
				a := &ws.gradientArgs
				*a = depthwiseGradientArgs{
					X: unsafe.Add(pointer(x), d.taps[tap].x), XStep: 4 * f.StrideWidth * d.channels,
					XRow:    4 * f.StrideHeight * d.x.row,
					TapStep: 4 * f.DilationWidth * d.channels, Taps: min(maxDepthwiseTaps, f.KernelWidth-v),
					Dy: pointer(dy[places:]), DyStep: 4 * d.channels, DyRow: 4 * frame.row, Rows: d.height,
					Positions: d.width,
					Vectors:   d.vectors, Dw: pointer(sums[tap*d.channels:]), DwStep: 4 * d.channels,
				}
				d.engine.Set.depthwiseGradient((*byte)(unsafe.Pointer(a)))
			}
		}
		if d.callDb == nil {
			continue
		}
		for i := range d.height {
			for j := range d.width {
				at := places + i*frame.row + j*d.channels
				d.engine.Set.addScaledSlice(sums[len(d.taps)*d.channels:], dy[at:at+d.channels], 1)
			}
		}
	}
}
