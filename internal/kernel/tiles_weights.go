package kernel

import "unsafe"

// tiledWeights is the gradient of a convolution's weights by products of bfloat16, in tiles: for
// each tap, C×O sums over positions. A's rows are channels, of which the positions of the padded
// image lie one behind the other; B's are pairs of positions of y's gradient, as far apart as
// those, with zeros between them. A tap is nothing but an offset in B: a row of pairs is a cache
// line, so that tiles stay on lines. There are two copies, for pairs that begin with an even
// position and those that begin with an odd one.
//
// A unit is some rows of an image, or some small images. Where there are few weights, an item sums
// over some units, in a part of its own, and the parts are added up. Where there are many, all
// threads share the units of a group, and the weights.
type tiledWeights struct {
	conv        *Conv2D
	set         *Set
	width       int // of the padded map, even
	rows        int // of y's gradient, of a unit
	bands       int // of an image
	images      int // of a unit
	block       int // positions of an image, with those of the padding
	unit        int // and of a unit: a multiple of tileDepth
	group       int // units that are summed at a time
	parts       int // sums; 0 where the threads share them
	length      int // elements from channel to channel of a group's positions
	lead        int // rows of zeros in front of the pairs
	copies      int // of the pairs
	panels      int
	wide        int // elements from row to row of a sum
	first, last *tileConfig
	from, to    []int64 // of the tiles of channels
	zeros       []float32

	sums   []float32 // of the call in progress
	memory []tiledWeightsMemory
	shared tiledWeightsMemory

	partTask, addTask, turnTask, fillTask, blockTask, biasTask func(worker, item int)
	begin                                                      int // of the group in progress
	biasSums                                                   []float32
}

// tiledWeightsMemory is the positions of a group, and a unit of pairs on their way to A.
type tiledWeightsMemory struct {
	image    []uint16 // C×positions
	gradient []uint32 // B: by copy, 16 filters, pair
	pairs    []uint32
	product  tileArgs
}

const (
	// tiledGroupBytes is what a group's positions take at most if they can: they stay in the
	// second-level cache.
	tiledGroupBytes = 512 << 10
	// tiledSharedBytes is the same of those that threads share.
	tiledSharedBytes = 4 << 20
	// tiledMaxParts is how many parts there are at most, and tiledPartElements of how many elements
	// all together.
	tiledMaxParts, tiledPartElements = 16, 1 << 20
	// tiledJoined is how many positions small images have together: each unit is filled up to a
	// whole number of chunks.
	tiledJoined = 384
	// tiledChunks is how many chunks of positions are summed before the next tap.
	tiledChunks = 4096
	// tiledFewParts: with fewer, threads share the sums.
	tiledFewParts = 4
)

// newTiledWeights returns nil where tiles do not fit the plan.
func newTiledWeights(c *Conv2D) *tiledWeights {
	f := &c.config
	if !f.fitsTiles() || max(f.StrideHeight, f.StrideWidth) > 2 {
		return nil
	}
	w := &tiledWeights{conv: c, set: c.whole.Set, wide: c.columns.padded()}
	w.width = roundUp(c.rowSize/f.Channels, 2)
	bytes := 2 * (f.Channels + 2*f.Filters) * w.width
	w.rows = c.convHeight
	if most := tiledGroupBytes / bytes; w.copied(w.rows) > most {
		w.rows = max(1, min(w.rows, (most-f.KernelHeight)/f.StrideHeight+1))
	}
	w.bands = ceil(c.convHeight, w.rows)
	w.rows = ceil(c.convHeight, w.bands)
	w.bands = ceil(c.convHeight, w.rows)
	w.block, w.images = w.copied(w.rows)*w.width, 1
	if w.bands == 1 {
		w.images = max(1, min(f.Batch, tiledJoined/w.block))
	}
	w.unit = roundUp(w.images*w.block, tileDepth)
	units := w.units()
	w.parts = min(tiledMaxParts, tiledPartElements/(c.depth*w.wide), units)
	most := tiledGroupBytes
	if w.parts < tiledFewParts && w.parts < units {
		w.parts, most = 0, tiledSharedBytes
	}
	w.group = max(1, min(units, most/(bytes/w.width*w.unit)))
	if w.parts > 0 {
		w.group = min(w.group, ceil(units, w.parts))
	}
	shift := (f.KernelHeight-1)*w.width + f.KernelWidth - 1
	w.length = w.group*w.unit | tileDepth // an odd number of cache lines
	w.lead, w.copies = ceil(shift, 2)+1, min(f.KernelWidth, 2)
	w.panels = ceil(f.Filters, tilePanel)
	w.plan()
	return w
}

// copied returns how many rows of the padded image rows of y's gradient see.
func (w *tiledWeights) copied(rows int) int {
	return (rows-1)*w.conv.config.StrideHeight + w.conv.config.KernelHeight
}

func (w *tiledWeights) plan() {
	f := &w.conv.config
	whole, rest := min(tilePanel, f.Filters), f.Filters-(w.panels-1)*tilePanel
	w.first, w.last = newTileConfig(tileRowsMost, whole), newTileConfig(tileRowsMost, rest)
	for channel := 0; channel < f.Channels; channel += tileRowsMost {
		w.from, w.to = append(w.from, int64(2*channel*w.length)), append(w.to, int64(4*channel*w.wide))
	}
	w.zeros = aligned(max(tilePanel, f.Channels, f.Filters))
	w.memory = make([]tiledWeightsMemory, w.conv.engine.Pool.Threads())
	w.partTask, w.addTask, w.turnTask = w.part, w.addSpan, w.turnPanel
	w.fillTask, w.blockTask, w.biasTask = w.fillShared, w.sharedBlock, w.sumBias
}

// sizes returns how many elements of four bytes a group takes, and the pairs of a unit.
func (w *tiledWeights) sizes() (image, gradient, pairs int) {
	f := &w.conv.config
	return line(ceil(f.Channels*w.length, 2)), line(w.copies * f.Filters * w.pairRows()),
		line(w.unit / 2 * f.Channels)
}

// pairRows returns how many rows of pairs 16 filters of a group's gradient take.
func (w *tiledWeights) pairRows() int { return w.lead + w.group*w.unit/2 + 1 }

func (w *tiledWeights) backward() {
	c, pool := w.conv, w.conv.engine.Pool
	image, gradient, pairs := w.sizes()
	groups := len(w.memory)
	if w.parts == 0 {
		groups = 1
	}
	size := line(c.depth * w.wide)
	memory := pool.scratch.take(max(1, w.parts)*size + groups*(image+gradient) + len(w.memory)*pairs)
	rest := memory
	cut := func(n int) (piece []float32) {
		piece, rest = rest[:n], rest[n:]
		return piece
	}
	w.sums = cut(max(1, w.parts) * size)
	for i := range groups {
		m := tiledWeightsMemory{image: halves(cut(image)), gradient: pairsOf(cut(gradient))}
		clear(m.image)
		clear(m.gradient)
		if w.parts == 0 {
			w.shared = m
			break
		}
		w.memory[i] = m
	}
	for i := range w.memory {
		w.memory[i].pairs = pairsOf(cut(pairs))
	}
	defer func() {
		pool.scratch.give(memory)
		w.sums, w.shared = nil, tiledWeightsMemory{}
		clear(w.memory)
	}()
	if w.parts > 0 {
		pool.Run(w.parts, w.partTask)
		if w.parts > 1 {
			pool.Run(ceil(c.depth*w.wide, span), w.addTask)
		}
	} else {
		for w.begin = 0; w.begin < w.units(); w.begin += w.group {
			pool.Run(min(w.group, w.units()-w.begin), w.fillTask)
			pool.Run(w.blocks(), w.blockTask)
		}
	}
	c.dense.transposed = w.sums
	pool.Run(c.columns.count(), w.turnTask)
	c.dense.transposed = nil
	if c.db != nil {
		w.backwardBias()
	}
}

func (w *tiledWeights) units() int { return ceil(w.conv.config.Batch, w.images) * w.bands }

// part sums over some of the units.
func (w *tiledWeights) part(worker, part int) {
	m := &w.memory[worker]
	first, end := part*w.units()/w.parts, (part+1)*w.units()/w.parts
	sums := w.sums[part*line(w.conv.depth*w.wide):]
	for begin := first; begin < end; begin += w.group {
		n := min(w.group, end-begin)
		for i := range n {
			w.fill(worker, m, m.pairs, i, begin+i)
		}
		for block := range w.blocks() {
			w.multiply(m, &m.product, sums, block, n, begin == first)
		}
	}
}

func (w *tiledWeights) fillShared(worker, item int) {
	w.fill(worker, &w.shared, w.memory[worker].pairs, item, w.begin+item)
}

func (w *tiledWeights) sharedBlock(worker, item int) {
	w.multiply(&w.shared, &w.memory[worker].product, w.sums, item, min(w.group, w.units()-w.begin),
		w.begin == 0)
}

// multiply adds the products of so many units of a group to a block of the sums: a panel of filters
// and two tiles of channels, of all taps. Some positions at a time go through all taps, whose
// factors overlap: those of A stay in the first-level cache.
func (w *tiledWeights) multiply(m *tiledWeightsMemory, a *tileArgs, sums []float32, block, units int,
	first bool) {
	f := &w.conv.config
	pairs := ceil(len(w.from), 2)
	panel, at := block/pairs, block%pairs*2
	channel := at * tileRowsMost
	tiles := min(2, f.Channels/tileRowsMost-at)
	config := w.first
	if panel == w.panels-1 {
		config = w.last
	}
	chunks, rows := units*w.unit/tileDepth, w.pairRows()
	for chunk := 0; chunk < chunks; chunk += tiledChunks {
		for tap := range f.KernelHeight * f.KernelWidth {
			// The pairs of positions q and q + 1 of the image are q − shift and behind it.
			shift := tap/f.KernelWidth*w.width + tap%f.KernelWidth
			b := (shift%2*f.Filters/tileRowsMost+2*panel)*rows + w.lead + chunk*tileDepth/2 - shift/2
			*a = tileArgs{
				A:        unsafe.Pointer(&m.image[channel*w.length+chunk*tileDepth]),
				AOffsets: &w.from[0], ARow: 2 * w.length,
				C:        pointer(sums[(tap*f.Channels+channel)*w.wide+panel*tilePanel:]),
				COffsets: &w.to[0], CRow: 4 * w.wide,
				Tiles: tiles, Runs: 1, Chunks: min(tiledChunks, chunks-chunk),
				B: unsafe.Pointer(&m.gradient[tileRowsMost*b]), BTile: 64 * rows, Config: config,
			}
			if first && chunk == 0 {
				a.Init = pointer(w.zeros)
			}
			w.set.product16(a)
		}
	}
}

// blocks returns how many blocks of the sums there are.
func (w *tiledWeights) blocks() int { return w.panels * ceil(len(w.from), 2) }

// fill writes a unit as the at-th one of a group.
func (w *tiledWeights) fill(worker int, m *tiledWeightsMemory, pairs []uint32, at, unit int) {
	f := &w.conv.config
	first, row := unit/w.bands*w.images, unit%w.bands*w.rows
	images := min(w.images, f.Batch-first)
	n := w.block / 2 * f.Channels
	pairs = pairs[:w.unit/2*f.Channels]
	clear(pairs[images*n:])
	for i := range images {
		w.fillImage(worker, pairs[i*n:(i+1)*n], first+i, row)
	}
	from, into := floatsOf(pairs), floatsOf(words(m.image))
	for q := 0; q < w.unit/2; q += 8 {
		w.set.transpose8(&into[at*w.unit/2+q], 2*w.length, &from[q*f.Channels], 4*f.Channels,
			f.Channels/8)
	}
	for i := range w.copies * f.Filters / tileRowsMost {
		clear(m.gradient[tileRowsMost*(i*w.pairRows()+w.lead+at*w.unit/2):][:tileRowsMost*w.unit/2])
	}
	for i := range images {
		w.fillGradient(worker, m, at*w.unit+i*w.block, first+i, row)
	}
}

// fillImage writes the pairs of the rows of an image that a unit sees.
func (w *tiledWeights) fillImage(worker int, pairs []uint32, image, row int) {
	c, f, n := w.conv, &w.conv.config, w.conv.config.Channels
	left := f.PaddingWidth
	for i := range w.copied(w.rows) {
		to, h := pairs[i*w.width/2*n:][:w.width/2*n], row*f.StrideHeight+i-f.PaddingHeight
		if h < 0 || h >= f.Height {
			clear(to)
			continue
		}
		x := c.imageRow(worker, image, h)
		clear(to[:left/2*n])
		q := left &^ 1
		if left%2 == 1 { // the first one has nothing before it
			w.set.pairUp(to[q/2*n:], n, w.zeros, 0, x, 0, n, 1)
			q += 2
		}
		if whole := (f.Width - (q - left)) / 2; whole > 0 {
			first := (q - left) * n
			w.set.pairUp(to[q/2*n:], n, x[first:], 2*n, x[first+n:], 2*n, n, whole)
			q += 2 * whole
		}
		if q-left < f.Width { // nor the last one after it
			w.set.pairUp(to[q/2*n:], n, x[(q-left)*n:], 0, w.zeros, 0, n, 1)
			q += 2
		}
		clear(to[min(len(to), q/2*n):])
	}
}

// fillGradient writes the gradients of an image's rows, from a position on, which is even.
func (w *tiledWeights) fillGradient(worker int, m *tiledWeightsMemory, position, image, row int) {
	c, f := w.conv, &w.conv.config
	group := tileRowsMost * w.pairRows()
	for i := range min(w.rows, c.convHeight-row) {
		dy := c.gradientRow(worker, image, row+i)
		even := m.gradient[tileRowsMost*(w.lead+(position+i*f.StrideHeight*w.width)/2):]
		var odd []uint32
		if w.copies == 2 {
			odd = even[f.Filters/tileRowsMost*group:]
		}
		if f.StrideWidth == 1 {
			w.set.neighbours(even, odd, dy, c.convWidth, f.Filters/tileRowsMost, f.Filters, group)
			continue
		}
		for at := 0; at < f.Filters; at += tileRowsMost {
			first := at / tileRowsMost * group
			w.set.pairUp(even[first:], tileRowsMost, dy[at:], f.Filters, w.zeros, 0, tileRowsMost,
				c.convWidth)
			if odd != nil {
				w.set.pairUp(odd[first:], tileRowsMost, w.zeros, 0, dy[at:], f.Filters, tileRowsMost,
					c.convWidth)
			}
		}
	}
}

// addSpan adds a span of the parts up, in their order.
func (w *tiledWeights) addSpan(_, item int) {
	n := line(w.conv.depth * w.wide)
	from, to := item*span, min((item+1)*span, w.conv.depth*w.wide)
	for k := 1; k < w.parts; k++ {
		w.set.addScaledSlice(w.sums[from:to], w.sums[k*n+from:k*n+to], 1)
	}
}

func (w *tiledWeights) turnPanel(worker, panel int) { w.conv.dense.untransposePanel(worker, panel) }

// biasParts is how many parts of a batch the bias's gradient is summed over.
const biasParts = 16

func (w *tiledWeights) backwardBias() {
	c, n := w.conv, w.conv.config.Filters
	parts := min(biasParts, c.config.Batch)
	if w.biasSums == nil {
		w.biasSums = aligned(parts * n)
	}
	clear(w.biasSums)
	c.engine.Pool.Run(parts, w.biasTask)
	clear(c.db)
	for k := range parts {
		w.set.addScaledSlice(c.db, w.biasSums[k*n:(k+1)*n], 1)
	}
}

func (w *tiledWeights) sumBias(worker, part int) {
	c, f := w.conv, &w.conv.config
	parts := min(biasParts, f.Batch)
	sums := w.biasSums[part*f.Filters : (part+1)*f.Filters]
	for image := part * f.Batch / parts; image < (part+1)*f.Batch/parts; image++ {
		for i := range c.convHeight {
			for dy := c.gradientRow(worker, image, i); len(dy) > 0; dy = dy[f.Filters:] {
				w.set.addScaledSlice(sums, dy[:f.Filters], 1)
			}
		}
	}
}
