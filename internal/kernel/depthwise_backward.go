package kernel

import "unsafe"

// BackwardInput computes dx from dy and w.
func (d *Depthwise) BackwardInput(dx, dy, w []float32) error {
	if err := lengths("gradient of depthwise input", size{"dx", len(dx), d.sizeX()},
		size{"dy", len(dy), d.sizeY()}, size{"w", len(w), d.sizeW()}); err != nil {
		return err
	}
	d.callDx, d.callDy = dx, dy
	d.pack(w)
	d.engine.Pool.Run(d.config.Batch, d.inputTask)
	d.release()
	return nil
}

// BackwardParameters computes dw and, unless it is nil, db from dy and x.
func (d *Depthwise) BackwardParameters(dw, db, dy, x []float32) error {
	if err := lengths("gradient of depthwise parameters", size{"dw", len(dw), d.sizeW()},
		size{"dy", len(dy), d.sizeY()}, size{"x", len(x), d.sizeX()}, optional("db", db,
			d.config.Channels)); err != nil {
		return err
	}
	d.callDw, d.callDb, d.callDy, d.callX = dw, db, dy, x
	d.sumParameters()
	d.release()
	return nil
}

// sumParameters computes what the call wants beside dw: its parts, and their sum.
func (d *Depthwise) sumParameters() {
	part := (len(d.taps) + 1) * d.channels
	if d.partial == nil {
		d.partial = aligned(d.partials * part)
	}
	d.engine.Pool.Run(d.partials, d.parametersTask)
	for k := 1; k < d.partials; k++ {
		d.engine.Set.addScaledSlice(d.partial[:part], d.partial[k*part:(k+1)*part], 1)
	}
	c := d.config.Channels
	for tap := range d.taps {
		copy(d.callDw[tap*c:(tap+1)*c], d.partial[tap*d.channels:])
	}
	copy(d.callDb, d.partial[len(d.taps)*d.channels:])
}

// parametersItem sums over some of the images, and computes what else is wanted of them.
func (d *Depthwise) parametersItem(worker, item int) {
	part := (len(d.taps) + 1) * d.channels
	sums := d.partial[item*part : (item+1)*part]
	clear(sums)
	for image := item * d.config.Batch / d.partials; image < (item+1)*d.config.Batch/d.partials; image++ {
		d.backwardImage(worker, image, sums)
	}
}

func (d *Depthwise) inputImage(worker, image int) { d.backwardImage(worker, image, nil) }

// backwardImage computes dx of an image, if it is wanted, and adds to the sums of dw and db unless
// they are nil, band by band: a row of dy is made, and read for both, while it is in a cache.
func (d *Depthwise) backwardImage(worker, image int, sums []float32) {
	f, ws := &d.config, &d.work[worker].own
	ws.x.begin()
	ws.dy.begin()
	done, measured, n := 0, 0, f.Height*f.Width*f.Channels // rows of dx, and its positions
	for first := 0; first < d.height; first += d.bandRows {
		last := min(first+d.bandRows, d.height)
		end := d.gradient.top + last
		if last == d.height && d.callDx != nil {
			end = d.gradient.size / d.gradient.row // the padding below
		}
		needed := first
		if d.callDx != nil {
			needed = min(first, done/f.StrideHeight+d.above) // by dx as it goes on, too
		}
		d.fetchDy(ws, image, d.gradient.top+needed, end, d.callDx == nil)
		if sums != nil {
			d.fetchX(ws, image, first, last)
		}
		d.fetchBehind(ws, image, sums != nil)
		if sums != nil {
			d.addParameters(ws, sums, first, last)
		}
		if d.callDx == nil {
			continue
		}
		dx := d.callDx[image*n : (image+1)*n]
		for done < f.Height && d.lastFor(done) < end {
			d.inputRow(ws, dx, done)
			done++
		}
		if d.before != nil && d.callX != nil {
			x := d.callX[image*n : (image+1)*n]
			measured = d.before.measureGradientTo(worker, image, dx, x, measured, done*f.Width)
		}
	}
}

// firstFor returns the first row of the frame of dy that a row of dx needs.
func (d *Depthwise) firstFor(row int) int {
	stride := d.config.StrideHeight
	return d.gradient.top + row/stride + d.phases[row%stride*d.phaseColumns()].above
}

// lastFor returns the last row that it needs.
func (d *Depthwise) lastFor(row int) int {
	stride := d.config.StrideHeight
	return d.gradient.top + row/stride + d.phases[row%stride*d.phaseColumns()].below
}

// phaseColumns is how many phases a row has.
func (d *Depthwise) phaseColumns() int { return min(d.config.StrideWidth, d.config.Width) }

// inputRow computes a row of an image's dx.
func (d *Depthwise) inputRow(ws *depthwiseWork, dx []float32, row int) {
	f, columns := &d.config, d.phaseColumns()
	dy := pointer(ws.dy.from(d.firstFor(row)))
	for k := range columns {
		p := &d.phases[row%f.StrideHeight*columns+k]
		a := &ws.args
		a.FetchEach = 1
		a.X, a.XStep = unsafe.Add(dy, p.x), 4*d.channels
		a.Taps, a.Count, a.Bias = unsafe.SliceData(p.taps), len(p.taps), pointer(d.zeros)
		d.row(ws, dx[(row*f.Width+p.column)*f.Channels:], p.columns, f.StrideWidth)
	}
}

// addParameters adds what some rows of dy are of dw and db.
func (d *Depthwise) addParameters(ws *depthwiseWork, sums []float32, first, last int) {
	f, p := &d.config, &d.gradient
	x, dy := pointer(ws.x.from(first*f.StrideHeight)), ws.dy.from(p.top + first)[p.left*d.channels:]
	for u := range f.KernelHeight {
		for v := 0; v < f.KernelWidth; v += maxDepthwiseTaps {
			tap := u*f.KernelWidth + v
			a := &ws.gradientArgs
			*a = depthwiseGradientArgs{
				X: unsafe.Add(x, d.taps[tap].x), XStep: 4 * f.StrideWidth * d.channels,
				XRow:    4 * f.StrideHeight * d.x.row,
				TapStep: 4 * f.DilationWidth * d.channels, Taps: min(maxDepthwiseTaps, f.KernelWidth-v),
				Dy: pointer(dy), DyStep: 4 * d.channels, DyRow: 4 * p.row, Rows: last - first,
				Positions: d.width, Vectors: d.vectors,
				Dw: pointer(sums[tap*d.channels:]), DwStep: 4 * d.channels,
			}
			a.Fetch, a.FetchEnd = ws.fetching.next()
			d.engine.Set.depthwiseGradient((*byte)(unsafe.Pointer(a)))
			ws.fetching.came(a.Fetch, a.FetchEnd)
		}
	}
	if d.callDb == nil {
		return
	}
	for i := range last - first {
		for j := range d.width {
			at := i*p.row + j*d.channels
			d.engine.Set.addScaledSlice(sums[len(d.taps)*d.channels:], dy[at:at+d.channels], 1)
		}
	}
}
