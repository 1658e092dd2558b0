package kernel

import "unsafe"

// chainBands are a chain's items where each is a band of output rows of an image. An item goes down
// a few rows at a time: the rows of the expanded map that the depthwise convolution lacks are
// computed into a ring, with the padding in place, from there the depthwise rows, and of these the
// projection. So what lies between them stays in the second-level cache, of maps that are several
// times as large.
type chainBands struct {
	*DepthwiseChain
	pieces        []depthwisePiece
	bands         int // of an image
	rows          int // of outputs at a time
	ring          int // rows of it
	position, row int // elements of a position and of a row there
	block         int // rows that are expanded at a time
	expanded      positions
	projected     positions
	work          []apart[chainWork]
	task          func(worker, item int)
}

// chainWork is a thread's.
type chainWork struct {
	product   productArgs
	depthwise depthwiseArgs
	ring      []float32
	middle    []float32 // the depthwise rows, where they are projected
}

func newChainBands(chain *DepthwiseChain) (*chainBands, error) {
	c, f := &chainBands{DepthwiseChain: chain}, &chain.config.Depthwise
	c.position = oddLines(f.Channels)
	c.row = (f.Width + 2*f.PaddingWidth + f.ExtraWidth) * c.position
	c.rows = min(max(1, (chainBytes/(4*c.row)-f.reach())/f.StrideHeight+1), c.height)
	c.ring = (c.rows-1)*f.StrideHeight + f.reach()
	var err error
	c.pieces, err = f.pieces(c.engine.Set, c.config.Middle, c.ring,
		func(*Set) (row, position int) { return c.row, c.position })
	if err != nil {
		return nil, err
	}
	c.block = f.Height
	if c.expand != nil {
		c.block = max(1, chainPositions/f.Width)
		c.expanded = framePositions(min(c.block, c.ring), f.Width, c.config.Inputs, c.row, c.position)
	}
	if c.project != nil {
		c.projected.from = rowOffsets(c.rows*c.width, f.Channels)
		c.projected.to = rowOffsets(c.rows*c.width, c.config.Filters)
	}
	threads := c.engine.Pool.Threads()
	c.bands = 1
	if f.Batch < 2*threads {
		c.bands = min(ceil(threads, f.Batch), c.height)
	}
	c.work = make([]apart[chainWork], threads)
	c.task = c.band
	return c, nil
}

// framePositions returns where the positions of some rows of so many channels are read, and where
// they go in a frame whose rows and positions lie so many elements apart.
func framePositions(rows, width, channels, row, position int) positions {
	var p positions
	for i := range rows {
		for k := range width {
			p.from = append(p.from, int64(4*(i*width+k)*channels))
			p.to = append(p.to, int64(4*(i*row+k*position)))
		}
	}
	return p
}

func (c *chainBands) forward() {
	ring, middle := c.ring*c.row, 0
	if c.project != nil {
		middle = line(c.rows * c.width * c.config.Depthwise.Channels)
	}
	memory := c.engine.Pool.scratch.take(len(c.work) * (ring + middle))
	for i := range c.work {
		own := memory[i*(ring+middle):]
		c.work[i].own.ring, c.work[i].own.middle = own[:ring], own[ring:ring+middle]
	}
	c.engine.Pool.Run(c.config.Depthwise.Batch*c.bands, c.task)
	c.engine.Pool.scratch.give(memory)
	for i := range c.work {
		c.work[i].own = chainWork{}
	}
}

// band computes a band of rows of an image.
func (c *chainBands) band(worker, item int) {
	f, ws := &c.config.Depthwise, &c.work[worker].own
	image, band := item/c.bands, item%c.bands
	last := (band + 1) * c.height / c.bands
	for r := range c.ring {
		row := ws.ring[r*c.row:][:c.row]
		clear(row[:f.PaddingWidth*c.position])
		clear(row[(f.PaddingWidth+f.Width)*c.position:])
	}
	next := -f.PaddingHeight // the input row that the ring lacks first
	for i := band * c.height / c.bands; i < last; i += c.rows {
		rows := min(c.rows, last-i)
		top := i*f.StrideHeight - f.PaddingHeight
		next = max(next, top)
		for end := top + (rows-1)*f.StrideHeight + f.reach(); next < end; {
			next += c.fill(ws, image, next, end)
		}
		c.filter(ws, image, i, rows)
		if c.project != nil {
			at := (image*c.height + i) * c.width * c.config.Filters
			var z unsafe.Pointer
			if c.z != nil {
				z = pointer(c.z[at:])
			}
			c.project.pointwise(&ws.product, &c.projected, rows*c.width, pointer(ws.middle),
				pointer(c.y[at:]), z)
		}
	}
}

// slot returns the row of the ring that an input row, which may be one of padding, lies in.
func (c *chainBands) slot(row int) int {
	return (row + c.config.Depthwise.PaddingHeight) % c.ring
}

// fill brings input rows, from row on and before end, into the ring, and returns how many.
func (c *chainBands) fill(ws *chainWork, image, row, end int) int {
	f, slot := &c.config.Depthwise, c.slot(row)
	to := ws.ring[slot*c.row:]
	if row < 0 || row >= f.Height {
		clear(to[:c.row])
		return 1
	}
	to = to[f.PaddingWidth*c.position:]
	at := (image*f.Height + row) * f.Width
	if c.expand != nil {
		rows := min(end-row, c.ring-slot, f.Height-row, c.block)
		c.expand.pointwise(&ws.product, &c.expanded, rows*f.Width, pointer(c.x[at*c.config.Inputs:]),
			pointer(to), nil)
		return rows
	}
	from := c.x[at*f.Channels:][:f.Width*f.Channels]
	for k := range f.Width {
		copy(to[k*c.position:], from[k*f.Channels:][:f.Channels])
	}
	return 1
}

// filter computes rows of the depthwise convolution, the first one being given.
func (c *chainBands) filter(ws *chainWork, image, first, rows int) {
	f := &c.config.Depthwise
	to := ws.middle
	if c.project == nil {
		to = c.y[(image*c.height+first)*c.width*f.Channels:]
	}
	for i := range c.pieces {
		p, a := &c.pieces[i], &ws.depthwise
		c.arrange(a, p, c.position)
		a.X = pointer(ws.ring[p.channel:])
		for r := range rows {
			a.Taps = &p.taps[c.slot((first+r)*f.StrideHeight-f.PaddingHeight)][0]
			a.Y = pointer(to[r*c.width*f.Channels+p.channel:])
			a.Vectors = 1 // which the loop counts down
			p.set.depthwise((*byte)(unsafe.Pointer(a)))
		}
	}
}
