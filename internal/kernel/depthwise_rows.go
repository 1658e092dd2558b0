package kernel

// A band of an image is so many rows of y: depthwiseBandFew of them where their rows of x take at
// most depthwiseBandMost bytes, fewer where they take more, and more where they take less than
// depthwiseBandLeast. A thread holds the rows of x and of dy that a band reads, and what the next
// band reads is on its way: all of that stays in the second-level cache.
const (
	depthwiseBandFew   = 4
	depthwiseBandLeast = 64 << 10
	depthwiseBandMost  = 160 << 10
)

// depthwiseRows returns how many rows of y a band has, of which each takes so many bytes of x.
func depthwiseRows(bytes int) int {
	return max(1, depthwiseBandLeast/bytes, min(depthwiseBandFew, depthwiseBandMost/bytes))
}

// rowWindow holds the rows of an image in its frame that a band of the image needs, one behind the
// other. It goes down the image: what the next band needs again is moved up.
type rowWindow struct {
	memory      []float32
	row         int // elements
	first, last int // rows of the frame that are held
}

// begin forgets the rows: another image follows.
func (w *rowWindow) begin() { w.first, w.last = 0, 0 }

// advance makes room for the rows up to last, and keeps those held from first on. It returns the
// first row that is missing.
func (w *rowWindow) advance(p *paddedImage, first, last int) (missing int) {
	w.row = p.row
	first = max(first, w.first) // what is above was given up
	if first >= w.last {
		w.first, w.last = first, first
	}
	held := w.memory[(first-w.first)*w.row : (w.last-w.first)*w.row]
	missing, last = w.last, max(last, w.last)
	if need := (last - first) * w.row; need > len(w.memory) {
		larger := aligned(need)
		copy(larger, held)
		w.memory = larger
	} else if first > w.first {
		copy(w.memory, held)
	}
	w.first, w.last = first, last
	return missing
}

// from returns the rows from one on.
func (w *rowWindow) from(row int) []float32 { return w.memory[(row-w.first)*w.row:] }

// fetchX brings the rows of x that rows first to last of y read into the thread's window,
// normalised if they are to be.
func (d *Depthwise) fetchX(ws *depthwiseWork, image, first, last int) {
	f, p := &d.config, &d.x
	end := (last-1)*f.StrideHeight + f.reach()
	for row := ws.x.advance(p, first*f.StrideHeight, end); row < end; row++ {
		to, h := ws.x.from(row)[:p.row], row-p.top
		if h < 0 || h >= p.height {
			clear(to)
			continue
		}
		at := (image*p.height + h) * p.width * f.Channels
		from := d.callX[at : at+p.width*f.Channels]
		if d.before == nil {
			d.spread(p, to, from)
			continue
		}
		d.before.normalise(&ws.normalise, d.rowTo(ws, p, to, len(from)), from)
		d.spreadRow(ws, p, to, len(from))
	}
}

// fetchDy brings rows of the frame of dy into the thread's window, as the gradient of y. Where
// it is to be kept, dy becomes that, too.
func (d *Depthwise) fetchDy(ws *depthwiseWork, image, first, end int, keep bool) {
	f, p := &d.config, &d.gradient
	for row := ws.dy.advance(p, first, end); row < end; row++ {
		to, i := ws.dy.from(row)[:p.row], row-p.top
		if i < 0 || i >= p.height {
			clear(to)
			continue
		}
		at, n := (image*p.height+i)*p.width*f.Channels, p.width*f.Channels
		dy := d.callDy[at : at+n]
		switch {
		case !d.differentiates:
			d.spread(p, to, dy)
		case keep:
			d.behind.differentiate(&ws.normalise, dy, dy, d.callY[at:at+n])
			d.spread(p, to, dy)
		default:
			d.behind.differentiate(&ws.normalise, d.rowTo(ws, p, to, n), dy, d.callY[at:at+n])
			d.spreadRow(ws, p, to, n)
		}
	}
}

// rowTo returns where n elements of a row of the frame are written: the row itself, or the thread's
// own where the frame has more channels, from which spreadRow brings them there.
func (d *Depthwise) rowTo(ws *depthwiseWork, p *paddedImage, to []float32, n int) []float32 {
	if d.channels == d.config.Channels {
		return to[p.left*d.channels:][:n]
	}
	if len(ws.row) < n {
		ws.row = aligned(n)
	}
	return ws.row[:n]
}

func (d *Depthwise) spreadRow(ws *depthwiseWork, p *paddedImage, to []float32, n int) {
	if d.channels != d.config.Channels {
		d.spread(p, to, ws.row[:n])
	}
}

// spread writes an image's row to that of its frame.
func (d *Depthwise) spread(p *paddedImage, to, from []float32) {
	to, c := to[p.left*d.channels:], d.config.Channels
	if d.channels == c {
		copy(to, from)
		return
	}
	for k := range p.width {
		copy(to[k*d.channels:], from[k*c:(k+1)*c])
	}
}

// behindX returns the rows of x that the next band fetches, of this image or the next.
func (d *Depthwise) behindX(ws *depthwiseWork, image int) []float32 {
	return d.behindRows(d.callX, &d.x, image, ws.x.last, d.bandRows*d.config.StrideHeight)
}

// fetchBehind has a band's loops fetch what the next band reads, x only where it does.
func (d *Depthwise) fetchBehind(ws *depthwiseWork, image int, withX bool) {
	var x, y []float32
	if withX {
		x = d.behindX(ws, image)
	}
	if d.differentiates {
		y = d.behindRows(d.callY, &d.gradient, image, ws.dy.last, d.bandRows)
	}
	ws.fetching.begin(d.behindRows(d.callDy, &d.gradient, image, ws.dy.last, d.bandRows), y, x)
}

// behindRows returns up to so many rows of a tensor's images, behind a row of an image's frame.
func (d *Depthwise) behindRows(of []float32, p *paddedImage, image, last, rows int) []float32 {
	row := p.width * d.config.Channels
	from := (image*p.height + min(max(last-p.top, 0), p.height)) * row
	return of[min(from, len(of)):min(from+rows*row, len(of))]
}
