package kernel

import (
	"math"
	"unsafe"
)

// tiledConv2D is a convolution y = x∗w + b whose products are of bfloat16, in tiles: of the images
// of a plan, or of the gradients of its output, which makes those of its input. An item copies some
// rows of images as bfloat16, with the padding around them. From there the tiles of A come, whose
// rows are 16 positions beside each other: nothing is copied for a tap.
type tiledConv2D struct {
	conv                    *Conv2D
	set                     *Set
	height, width           int // of the padded map
	channels                int // of a position of it: whole cache lines
	filters                 int
	kernelHeight            int
	kernelWidth             int
	strideHeight            int
	strideWidth             int
	outHeight, outWidth     int
	images                  int // of an item
	rows                    int // of the output, of an item
	bands                   int // of an image
	direct                  bool
	whole, rest             tilePlan // of an item, and of the last of a batch or an image
	chunks                  int      // of a row of taps
	panels                  int
	first, last             *tileConfig // of panels
	ones, bias, nothing     []float32   // nothing is −0, to which any number can be added
	low                     float32
	fill                    func(worker int, to []uint16, image, row, rows int)
	pack                    func(to, memory []uint32, panel int)
	done                    func(worker, image int) // is told of each image that is stored
	y                       []float32               // of the call in progress
	packed                  []uint32
	memory                  []tiledMemory
	packTask, task, tellAll func(worker, item int)
}

// tiledMemory is a thread's, of the call in progress.
type tiledMemory struct {
	source  []uint16
	results []float32
	weights []uint32
	product tileArgs
	affine  affineArgs
}

// tilePlan is where the tiles of an item begin, in bytes: in its copy of the input, and in y or,
// where tiles have rows that are no positions, in the thread's results.
type tilePlan struct {
	images, rows int
	from, to     []int64
}

// tiledBytes is what the copies of an item take at most if they can: with a panel of the weights
// they stay in the second-level cache.
const tiledBytes = 256 << 10

// tiledPositions is how many positions an item has at least where images are small.
const tiledPositions = 128

// prepare completes a convolution whose sizes are known.
func (t *tiledConv2D) prepare() {
	batch := t.conv.config.Batch
	t.channels = roundUp(t.channels, tileDepth)
	row := 2 * t.width * t.channels
	t.images, t.rows = 1, t.outHeight
	if image := t.height * row; image <= tiledBytes {
		t.images = min(batch, max(1, min(tiledBytes/image, tiledPositions/(t.outHeight*t.outWidth))))
	} else {
		t.rows = max(1, min(t.outHeight, (tiledBytes/row-t.kernelHeight)/t.strideHeight+1))
	}
	t.bands = ceil(t.outHeight, t.rows)
	t.rows = ceil(t.outHeight, t.bands) // of equal height
	t.bands = ceil(t.outHeight, t.rows)
	t.chunks = t.kernelWidth * t.channels / tileDepth
	t.panels = ceil(t.filters, tilePanel)
	t.first = newTileConfig(tileRowsMost, min(tilePanel, t.filters))
	t.last = newTileConfig(tileRowsMost, t.filters-(t.panels-1)*tilePanel)
	t.direct = t.outWidth >= tileRowsMost || t.rowsJoin() &&
		min(t.images*t.rows, t.outHeight-(t.bands-1)*t.rows, max(1, batch%t.images))*t.outWidth >=
			tileRowsMost
	t.whole = t.plan(t.images, t.rows)
	switch {
	case batch%t.images != 0:
		t.rest = t.plan(batch%t.images, t.rows)
	case t.outHeight%t.rows != 0:
		t.rest = t.plan(1, t.outHeight%t.rows)
	}
	t.bias, t.nothing, t.ones = aligned(t.panels*tilePanel), aligned(tilePanel), aligned(tilePanel)
	for i := range t.ones {
		t.ones[i], t.nothing[i] = 1, float32(math.Copysign(0, -1))
	}
	t.memory = make([]tiledMemory, t.conv.engine.Pool.Threads())
	t.packTask, t.task = t.packItem, t.item
	t.tellAll = func(worker, image int) { t.done(worker, image) }
}

// rowsJoin reports whether the positions of rows, and images, follow each other without a gap.
func (t *tiledConv2D) rowsJoin() bool {
	return t.width == t.outWidth && t.height == t.outHeight && t.strideWidth == 1 && t.strideHeight == 1
}

// copiedRows returns how many rows of the padded map rows of the output see.
func (t *tiledConv2D) copiedRows(rows int) int { return (rows-1)*t.strideHeight + t.kernelHeight }

// plan lists the tiles of some images, or of some rows of one. A last tile of a row, or of all
// positions, is moved back to where it fits, over its neighbour: both store the same.
func (t *tiledConv2D) plan(images, rows int) tilePlan {
	p := tilePlan{images: images, rows: rows}
	copied := t.copiedRows(rows)
	add := func(image, row, column, to int) {
		at := (image*copied+row*t.strideHeight)*t.width + column*t.strideWidth
		p.from, p.to = append(p.from, int64(2*at*t.channels)), append(p.to, int64(to))
	}
	switch size := 4 * t.filters; {
	case t.direct && t.rowsJoin():
		n := images * rows * t.outWidth
		for at := 0; at < n; at += tileRowsMost {
			first := min(at, n-tileRowsMost)
			add(0, 0, first, first*size)
		}
	case t.direct:
		for i := range images * rows {
			for j := 0; j < t.outWidth; j += tileRowsMost {
				first := min(j, t.outWidth-tileRowsMost)
				add(i/rows, i%rows, first, (i*t.outWidth+first)*size)
			}
		}
	case t.strideHeight == 1 && t.strideWidth == 1:
		// One row after the other, with the padding between them, which nobody reads.
		n := ((images-1)*copied+rows-1)*t.width + t.outWidth
		for at := 0; at < n; at += tileRowsMost {
			add(0, 0, at, 4*at*tilePanel)
		}
	default:
		for i := range images * rows {
			add(i/rows, i%rows, 0, 4*i*tileRowsMost*tilePanel)
		}
	}
	return p
}

// position returns which of a plan's results, 16 a tile, a row of an image begins with.
func (t *tiledConv2D) position(p *tilePlan, image, row int) int {
	if t.strideHeight == 1 && t.strideWidth == 1 {
		return (image*t.copiedRows(p.rows) + row) * t.width
	}
	return (image*p.rows + row) * tileRowsMost
}

// sizes returns how many elements, of four bytes, a thread's memory takes: of the copies, with what
// tiles read behind them, of the results, and of weights on their way.
func (t *tiledConv2D) sizes() (source, results, weights int) {
	behind := tileRowsMost*t.strideWidth*t.channels + t.chunks*tileDepth
	source = line(ceil(t.images*t.copiedRows(t.rows)*t.width*t.channels+behind, 2))
	if !t.direct {
		results = line(len(t.whole.from) * tileRowsMost * tilePanel)
	}
	return source, results, line(tilePanel * t.depth() / 2)
}

// panelWords returns how many pairs the weights of a panel take.
func (t *tiledConv2D) panelWords() int { return t.depth() / tileDepth * 2 * tileWords }

// compute computes y.
func (t *tiledConv2D) compute(y []float32) {
	pool := t.conv.engine.Pool
	source, results, weights := t.sizes()
	each, packed := source+results+weights, line(t.panels*t.panelWords())
	memory := pool.scratch.take(packed + len(t.memory)*each)
	t.y, t.packed = y, pairsOf(memory[:packed])
	for i := range t.memory {
		rest := memory[packed+i*each : packed+(i+1)*each]
		m := &t.memory[i]
		m.source, m.results = halves(rest[:source]), rest[source:source+results]
		m.weights = pairsOf(rest[source+results:])
		clear(m.source)
	}
	defer func() {
		pool.scratch.give(memory)
		t.y, t.packed = nil, nil
		for i := range t.memory {
			t.memory[i] = tiledMemory{}
		}
	}()
	pool.Run(t.panels, t.packTask)
	pool.Run(ceil(t.conv.config.Batch, t.images)*t.bands, t.task)
	if t.bands > 1 && t.done != nil {
		pool.Run(t.conv.config.Batch, t.tellAll)
	}
}

func (t *tiledConv2D) packItem(worker, panel int) {
	t.pack(t.packed[panel*t.panelWords():(panel+1)*t.panelWords()], t.memory[worker].weights, panel)
}

// item computes some images, or some rows of one.
func (t *tiledConv2D) item(worker, item int) {
	m := &t.memory[worker]
	image, row := item/t.bands*t.images, item%t.bands*t.rows
	p := &t.whole
	if images, rows := min(t.images, t.conv.config.Batch-image), min(t.rows,
		t.outHeight-row); images < p.images || rows < p.rows {
		p = &t.rest
	}
	copied := t.copiedRows(p.rows)
	size := copied * t.width * t.channels
	for i := range p.images {
		t.fill(worker, m.source[i*size:(i+1)*size], image+i, row*t.strideHeight, copied)
	}
	first := (image*t.outHeight + row) * t.outWidth * t.filters
	y := t.y[first : first+p.images*p.rows*t.outWidth*t.filters]
	for panel := range t.panels {
		t.panel(m, p, y, panel)
	}
	if t.direct && t.low == t.low {
		t.set.rectify(y)
	}
	if t.bands == 1 && t.done != nil {
		for i := range p.images {
			t.done(worker, image+i)
		}
	}
}

// panel computes some filters of an item.
func (t *tiledConv2D) panel(m *tiledMemory, p *tilePlan, y []float32, panel int) {
	config, column := t.first, panel*tilePanel
	if panel == t.panels-1 {
		config = t.last
	}
	m.product = tileArgs{
		A: unsafe.Pointer(&m.source[0]), AOffsets: &p.from[0], ARow: 2 * t.strideWidth * t.channels,
		COffsets: &p.to[0], Tiles: len(p.from), Runs: t.kernelHeight, Chunks: t.chunks,
		AJump: 2*t.width*t.channels - 2*t.chunks*tileDepth,
		B:     unsafe.Pointer(&t.packed[panel*t.panelWords()]), Config: config,
		BTile: 4 * t.panelWords() / 2,
	}
	// Both ways begin with the bias: which one it is hangs on the batch, and the sums must not.
	m.product.Init = pointer(t.bias[column:])
	if t.direct {
		m.product.C, m.product.CRow = pointer(y[column:]), 4*t.filters
		t.set.product16(&m.product)
		return
	}
	m.product.C, m.product.CRow = pointer(m.results), 4*tilePanel
	t.set.product16(&m.product)
	for i := range p.images * p.rows {
		at := t.position(p, i/p.rows, i%p.rows) * tilePanel
		t.store(m, y[i*t.outWidth*t.filters+column:], m.results[at:], column)
	}
}

// store writes a row of positions of a panel's results into y.
func (t *tiledConv2D) store(m *tiledMemory, y, results []float32, column int) {
	n, lanes := min(tilePanel, t.filters-column), t.set.lanes
	if n >= lanes {
		m.affine = affineArgs{
			X: pointer(results), Y: pointer(y), XStep: 4 * tilePanel, YStep: 4 * t.filters,
			Rows: t.outWidth, Vectors: n / lanes, Scale: pointer(t.ones), Shift: pointer(t.nothing),
			Low: t.low, High: nan32,
		}
		t.set.affine((*byte)(unsafe.Pointer(&m.affine)))
	}
	for k := n &^ (lanes - 1); k < n; k++ {
		for j := range t.outWidth {
			y[j*t.filters+k] = portableBound(results[j*tilePanel+k], t.low, nan32)
		}
	}
}

// packFilters stores the weights of a panel of a plan's filters, w O×KH×KW×C, as the tiles of B.
func (t *tiledConv2D) packFilters(to, memory []uint32, panel int) {
	c, f := t.conv, &t.conv.config
	first := panel * tilePanel
	n, depth := min(tilePanel, t.filters-first), t.depth()
	rows := halves16(memory)
	clear(memory)
	for o := range n {
		t.set.round(rows[o*depth:], t.channels, c.w[(first+o)*c.depth:], f.Channels, f.Channels,
			f.KernelHeight*f.KernelWidth)
	}
	from, into := floatsOf(memory), floatsOf(to)
	for o := 0; o < n; o += 8 {
		tile := o / tileRowsMost * depth / tileDepth * tileWords
		t.set.transpose8(&into[tile+o%tileRowsMost], 64, &from[o*depth/2], 2*depth, depth/16)
	}
}

// packTurned stores those of a panel of a plan's channels, the kernel turned by half a turn,
// filters and channels having changed places: what the gradient of the input is summed with.
func (t *tiledConv2D) packTurned(to, _ []uint32, panel int) {
	c, f := t.conv, &t.conv.config
	first := panel * tilePanel
	n := min(tilePanel, t.filters-first)
	clear(to)
	for tap := range f.KernelHeight * f.KernelWidth {
		turned := f.KernelHeight*f.KernelWidth - 1 - tap
		for o := 0; o < f.Filters; o += tileDepth {
			chunk, count := (tap*t.channels+o)/tileDepth, min(tileDepth, f.Filters-o)/2
			for column := 0; column < n; column += tileRowsMost {
				w := c.w[o*c.depth+turned*f.Channels+first+column:]
				tile := column/tileRowsMost*t.depth()/tileDepth + chunk
				t.set.pairUp(to[tile*tileWords:], 16, w, 2*c.depth, w[c.depth:], 2*c.depth,
					min(tileRowsMost, n-column), count)
			}
		}
	}
}

// depth returns how many elements a sum has, with those that are zero.
func (t *tiledConv2D) depth() int { return t.kernelHeight * t.chunks * tileDepth }

// newTiledForward returns the plan's forward pass, nil where tiles do not fit it.
func newTiledForward(c *Conv2D) *tiledConv2D {
	f := &c.config
	width := c.rowSize / f.Channels
	height := c.imageSize / c.rowSize
	if !f.fitsTiles() {
		return nil
	}
	t := &tiledConv2D{
		conv: c, set: c.whole.Set, height: height, width: width, channels: f.Channels,
		filters:      f.Filters,
		kernelHeight: f.KernelHeight, kernelWidth: f.KernelWidth, strideHeight: f.StrideHeight,
		strideWidth: f.StrideWidth, outHeight: c.convHeight, outWidth: c.convWidth, low: floor(f.ReLU),
	}
	t.fill, t.pack = t.fillImage, t.packFilters
	t.done = func(worker, image int) { c.finished(worker, image, 1) }
	t.prepare()
	return t
}

// newTiledInput returns the gradient of the plan's input: a convolution of y's gradient, between
// whose rows and columns there are zeros where the plan has strides. It is nil where tiles do not
// fit it.
func newTiledInput(c *Conv2D) *tiledConv2D {
	f := &c.config
	if !f.fitsTiles() ||
		max(f.StrideHeight, f.StrideWidth) > 2 || f.PaddingHeight+f.ExtraHeight >= f.KernelHeight ||
		f.PaddingWidth+f.ExtraWidth >= f.KernelWidth {
		return nil
	}
	t := &tiledConv2D{
		conv: c, set: c.whole.Set, height: f.Height + f.KernelHeight - 1,
		width: f.Width + f.KernelWidth - 1, channels: f.Filters, filters: f.Channels,
		kernelHeight: f.KernelHeight, kernelWidth: f.KernelWidth, strideHeight: 1, strideWidth: 1,
		outHeight: f.Height, outWidth: f.Width, low: nan32,
	}
	t.fill, t.pack = t.fillGradient, t.packTurned
	t.done = func(worker, image int) { c.finishInput(worker, image, 1) }
	t.prepare()
	return t
}

// fillImage writes rows of an image, from that of the padded map on, normalised where that is asked
// for.
func (t *tiledConv2D) fillImage(worker int, to []uint16, image, row, rows int) {
	c, f := t.conv, &t.conv.config
	for i := range rows {
		padded, h := to[i*t.width*t.channels:][:t.width*t.channels], row+i-f.PaddingHeight
		if h < 0 || h >= f.Height {
			clear(padded)
			continue
		}
		t.fillRow(padded, c.imageRow(worker, image, h), f.PaddingWidth, 1, f.Channels)
	}
}

// fillGradient writes rows of an image's gradient of y.
func (t *tiledConv2D) fillGradient(worker int, to []uint16, image, row, rows int) {
	c, f := t.conv, &t.conv.config
	for i := range rows {
		padded := to[i*t.width*t.channels:][:t.width*t.channels]
		h := row + i - (f.KernelHeight - 1 - f.PaddingHeight)
		if h < 0 || h%f.StrideHeight != 0 || h/f.StrideHeight >= c.convHeight {
			clear(padded)
			continue
		}
		t.fillRow(padded, c.gradientRow(worker, image, h/f.StrideHeight),
			f.KernelWidth-1-f.PaddingWidth, f.StrideWidth, f.Filters)
	}
}

// fillRow writes a row of positions with so many channels, every step-th one from the left-th on.
func (t *tiledConv2D) fillRow(padded []uint16, row []float32, left, step, channels int) {
	left *= t.channels
	if step == 1 && channels == t.channels {
		clear(padded[:left])
		t.set.round(padded[left:], 0, row, 0, len(row), 1)
		clear(padded[left+len(row):])
		return
	}
	clear(padded)
	t.set.round(padded[left:], step*t.channels, row, channels, channels, len(row)/channels)
}

// imageRow returns a row of an image, normalised, where that is asked for, in memory of the
// thread's.
func (c *Conv2D) imageRow(worker, image, row int) []float32 {
	n := c.config.Width * c.config.Channels
	x := c.x[(image*c.config.Height+row)*n:][:n]
	if c.before == nil {
		return x
	}
	ws := &c.work[worker].own
	if len(ws.row) < n {
		ws.row = aligned(n)
	}
	c.before.normalise(&ws.normalise, ws.row[:n], x)
	return ws.row[:n]
}

// gradientRow returns a row of an image's gradient of y, what ReLU lets through of it.
func (c *Conv2D) gradientRow(worker, image, row int) []float32 {
	n := c.convWidth * c.config.Filters
	at := (image*c.convHeight + row) * n
	dy := c.dy[at : at+n]
	if !c.config.ReLU {
		return dy
	}
	ws := &c.work[worker].own
	if len(ws.row) < n {
		ws.row = aligned(n)
	}
	c.engine.Set.reluGradients(ws.row[:n], dy, c.y[at:at+n])
	return ws.row[:n]
}

// rectify makes negative numbers 0; a NaN stays.
func (s *Set) rectify(y []float32) {
	n := s.whole(len(y))
	if n > 0 {
		s.relu(&y[0], &y[0], n)
	}
	for i := n; i < len(y); i++ {
		y[i] = portableBound(y[i], 0, nan32)
	}
}
