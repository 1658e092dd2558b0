package kernel

import (
	"slices"
	"unsafe"
)

// winogradConv2D is the forward pass of a convolution by Winograd's minimal filtering; winograd.go
// has the mathematics. It takes the tiles of an item, a chunk at a time, through three steps: tiles
// are transformed, 36 matrix products of tiles × channels by channels × filters multiply them with
// the transformed weights, and the products are transformed back, a panel of filters at a time.
//
// It differs from the direct sum in two ways. Its rounding depends on the place in a tile, so that
// positions that are equal are so only up to rounding, and the first of them need not win a
// maximum. And one element that is not finite spoils its whole tile: where any result is not
// finite, the batch is computed again directly.
type winogradConv2D struct {
	conv           *Conv2D
	transforms     *winogradTransforms
	size           int      // of an output tile's side
	tiles          int      // of an image
	images         int      // of an item
	chunk          int      // tiles whose input is transformed together
	part           int      // and those of them that a thread multiplies: fewer where it is shared
	source         []int64  // where in x a tile starts, which may be in the padding
	inside         []uint64 // which of its elements are not
	rows           []int64  // of transformed tiles
	panelRows      []int64  // of products of a full panel
	narrowRows     []int64
	output         []int64 // where in y, or in scratch, a tile's results go
	entries        []poolEntry
	byPanel        bool    // weights are transformed right before they are read: see panelItem
	cuts           []int   // where the tiles of an item's images are cut: see deal
	shared         bool    // the threads share the input
	turned         bool    // the weights are those of the convolution whose input's gradient this is
	filters        []int64 // where in turned weights the filters of a block start
	panelChannels  []int64 // where in a full panel of weights the channels of a block start
	narrowChannels []int64
	work           []apart[winogradWork]

	normal []float32 // normalised images of the batch, by panels
	kept   []float32 // the transformed weights, where they are held from one call to the next
	held   uint64    // of which held weights they are
	ready  bool      // whether they are the constant weights

	inputTask, weightsTask, normaliseTask, forwardTask func(worker, item int)
}

// winogradWork is a thread's memory.
type winogradWork struct {
	args            winogradArgs
	product         rowsArgs
	tile, check     []float32
	zeros           []float32 // what is read outside the images
	normal          []float32 // normalised images of an item
	input, products []float32 // during a call: 36 × tiles × channels; 36 × tiles × a panel of filters
	weights         []float32 // during a call: by element and panel, channels × filters
	taps            []float32 // during a call: taps × channels × filters of a block
}

const (
	// winogradWeightsChannels is how many channels' weights are transformed together.
	winogradWeightsChannels = 64
	// winogradPanelTiles is how many tiles a batch has, at most, whose weights are transformed panel
	// by panel. Of more tiles it would be the transformed input that takes longer to come, again for
	// each panel.
	winogradPanelTiles = 128
	// winogradMaxWeights is how many weights such a batch has, at most, that are transformed before
	// they are read: 36 times as many, 2.4 MB, leave the second-level cache.
	winogradMaxWeights = 1 << 14
	// winogradChunk is how many tiles a chunk has, at most: a multiple of tile heights; few enough
	// that the transformed tiles and their products stay in the second-level cache, enough that the
	// weights need not come from behind it too often.
	winogradChunk = 64
	// winogradPooledTiles is how many tiles an item aims at where a pooling takes the results.
	winogradPooledTiles = 32
	// winogradMaxTiles bounds the tiles of an image: more would leave the cache.
	winogradMaxTiles = 256
	// winogradConstantTiles bounds those where weights are constant and nothing is pooled, which takes
	// no more than a chunk at a time: of tables.
	winogradConstantTiles = 1 << 14
	// winogradGap is the elements between the planes of a tile's elements, a cache line: without it,
	// planes whose size is a power of two would compete for the same lines.
	winogradGap = 16
	// winogradMinChannels: with fewer, the transforms cost more than the products save.
	winogradMinChannels = 16
	// winogradMaxKept is how many elements of transformed weights a plan keeps for itself, at most,
	// 1 MB: of more weights the products take so much longer that to transform them again costs
	// little.
	winogradMaxKept = 1 << 18
)

// newWinogradConv2D returns nil where the direct sum is the better way.
func newWinogradConv2D(c *Conv2D) *winogradConv2D {
	f, set := &c.config, c.engine.Set
	down, across, ok := winogradTiles(f, set, c.convHeight, c.convWidth)
	if !ok {
		return nil
	}
	size := winogradTile + 1 - f.KernelHeight
	w := &winogradConv2D{conv: c, transforms: &set.winograd, size: size, tiles: down * across}
	w.images = max(1, min(winogradChunk/w.tiles, ceil(f.Batch, c.engine.Pool.Threads())))
	w.chunk = min(winogradChunk, w.images*w.tiles)
	switch {
	case f.MaxPool != nil: // which takes whole images
		w.images = min(max(1, winogradPooledTiles/w.tiles), f.Batch)
		w.chunk = w.images * w.tiles
	case f.ConstantWeights:
		w.deal(down, across)
	case f.Batch*w.tiles <= winogradPanelTiles && f.Channels*f.Filters > winogradMaxWeights:
		w.byPanel, w.images, w.chunk = true, f.Batch, f.Batch*w.tiles
	}
	if !w.shared {
		w.part = w.chunk
	}
	w.plan(down, across)
	w.work = make([]apart[winogradWork], c.engine.Pool.Threads())
	for i := range w.work {
		w.work[i].own = winogradWork{
			tile: aligned(winogradElements * set.lanes), check: aligned(set.lanes),
			zeros: aligned(set.lanes),
		}
	}
	w.inputTask, w.weightsTask, w.normaliseTask, w.forwardTask = w.inputItem, w.weightsItem,
		w.normaliseImage, w.forwardItem
	switch {
	case w.byPanel:
		w.forwardTask = w.panelItem
	case w.shared:
		w.forwardTask = w.partItem
	case w.cuts != nil:
		w.forwardTask = w.chunkItem
	}
	return w
}

// winogradTiles returns how many tiles lie below and beside each other in the map of a convolution,
// and false where the direct sum is the better way.
func winogradTiles(f *Conv2DConfig, set *Set, height, width int) (down, across int, ok bool) {
	if f.KernelHeight != f.KernelWidth || f.KernelHeight < winogradSmallest ||
		f.KernelHeight > winogradLargest ||
		f.StrideHeight != 1 || f.StrideWidth != 1 || min(f.Channels, f.Filters) < winogradMinChannels ||
		f.Channels%set.lanes != 0 || f.Filters%set.lanes != 0 {
		return 0, 0, false
	}
	size, most := winogradTile+1-f.KernelHeight, winogradMaxTiles
	if f.ConstantWeights && f.MaxPool == nil {
		most = winogradConstantTiles
	}
	down, across = ceil(height, size), ceil(width, size)
	if min(height, width) < size || down*across > most {
		return 0, 0, false
	}
	return down, across, !f.ConstantWeights || winogradPays(f, down*across, height*width)
}

// plan makes the tables of an item. The last tiles of a row or column are moved back to where they
// fit, over their neighbours: what two tiles compute is stored twice.
func (w *winogradConv2D) plan(down, across int) {
	c, f, panel := w.conv, &w.conv.config, w.conv.engine.Set.panel()
	positions, step := c.convHeight*c.convWidth, 4*f.Filters
	if f.MaxPool != nil {
		step = 4 * panel
	}
	for image := range w.images {
		for t := range w.tiles {
			i, j := min(t/across*w.size, c.convHeight-w.size), min(t%across*w.size, c.convWidth-w.size)
			at := image*w.tiles + t
			top, left := i-f.PaddingHeight, j-f.PaddingWidth
			w.source = append(w.source, int64(4*((image*f.Height+top)*f.Width+left)*f.Channels))
			w.inside = append(w.inside, winogradInside(winogradTile, top, left, f.Height, f.Width))
			w.output = append(w.output, int64((image*positions+i*c.convWidth+j)*step))
			w.rows = append(w.rows, int64(4*at*f.Channels))
			w.panelRows = append(w.panelRows, int64(4*at*panel))
			w.narrowRows = append(w.narrowRows, int64(4*at*c.engine.Set.lanes))
		}
		if f.MaxPool != nil {
			w.planWindows(image*positions*step, step)
		}
	}
	for channel := range min(winogradWeightsChannels, f.Channels) {
		w.filters = append(w.filters, int64(4*channel*f.KernelHeight*f.KernelWidth*f.Filters))
		w.panelChannels = append(w.panelChannels, int64(4*channel*panel))
		w.narrowChannels = append(w.narrowChannels, int64(4*channel*c.engine.Set.lanes))
	}
}

// planWindows lists the elements of all pooling windows of an image, whose positions lie in scratch
// in order.
func (w *winogradConv2D) planWindows(image, step int) {
	c, pool := w.conv, w.conv.config.MaxPool
	for window := range c.outHeight * c.outWidth {
		end := len(w.entries) + pool.Height*pool.Width
		c.visitWindow(window, func(position, i, j int) {
			w.entries = append(w.entries, poolEntry{src: int32(image + (i*c.convWidth+j)*step),
				position: int32(position)})
		})
		w.entries = padWindow(w.entries, end)
	}
}

// scratch returns the elements that a thread needs for the positions of an item before they are
// pooled.
func (w *winogradConv2D) scratch() int {
	return w.images * w.conv.convHeight * w.conv.convWidth * w.conv.engine.Set.panel()
}

// forward computes y, and reports whether all of it before pooling and ReLU is finite: if not, y is
// to be computed directly.
func (w *winogradConv2D) forward() (finite bool) {
	c, f, pool := w.conv, &w.conv.config, w.conv.engine.Pool
	memory := w.take()
	defer func() {
		pool.scratch.give(memory)
		w.forget()
	}()
	for i := range w.work {
		clear(w.work[i].own.check)
	}
	if w.byPanel {
		if c.before != nil {
			if w.normal == nil {
				w.normal = aligned(len(c.x))
			}
			pool.Run(f.Batch, w.normaliseTask)
		}
		pool.Run(ceil(w.chunk, winogradInputTiles), w.inputTask)
		pool.Run(c.columns.count(), w.forwardTask)
		c.finishAll()
	} else {
		w.prepare()
		if w.shared {
			pool.Run(ceil(w.chunk, winogradInputTiles), w.inputTask)
		}
		pool.Run(w.items(), w.forwardTask)
	}
	for i := range w.work {
		if slices.ContainsFunc(w.work[i].own.check, func(v float32) bool { return v != v }) {
			return false
		}
	}
	return true
}

// forget forgets the memory of a call.
func (w *winogradConv2D) forget() {
	for i := range w.work {
		ws := &w.work[i].own
		ws.input, ws.products, ws.weights, ws.taps = nil, nil, nil, nil
	}
}

// prepare transforms the weights of a call, unless they are there of one before.
func (w *winogradConv2D) prepare() {
	c := w.conv
	constant := c.config.ConstantWeights
	if constant && w.ready || !constant && w.keeps() && c.engine.held(&w.held) {
		return
	}
	c.engine.Pool.Run(c.columns.count()*w.blocks(), w.weightsTask)
	w.ready = constant
}

// keeps reports whether the transformed weights of a call are there at the next.
func (w *winogradConv2D) keeps() bool {
	return w.conv.config.ConstantWeights ||
		!w.byPanel && w.conv.engine.holds() && winogradElements*w.plane() <= winogradMaxKept
}

// take returns memory for a call, and shares it out.
func (w *winogradConv2D) take() []float32 {
	c, f, panel := w.conv, &w.conv.config, w.conv.engine.Set.panel()
	input := line(winogradElements * (w.chunk*f.Channels + winogradGap))
	products := line(winogradElements * (w.part*panel + winogradGap))
	weights, taps := line(winogradElements*w.plane()), line(
		f.KernelHeight*f.KernelWidth*len(w.filters)*panel)
	inputs, copies := len(w.work), 1 // the weights' copies: threads share one, or the input
	switch {
	case w.byPanel:
		inputs, copies = copies, inputs
	case w.keeps():
		copies = 0
		if w.kept == nil {
			w.kept = aligned(weights)
		}
	}
	if w.shared {
		inputs = 1
	}
	memory := c.engine.Pool.scratch.take(inputs*input + copies*weights + len(w.work)*(products+taps))
	rest := memory
	cut := func(n int) (piece []float32) {
		piece, rest = rest[:n], rest[n:]
		return piece
	}
	for i := range w.work {
		ws, first := &w.work[i].own, &w.work[0].own
		ws.products, ws.taps, ws.input, ws.weights = cut(products), cut(taps), first.input, first.weights
		if i < inputs {
			ws.input = cut(input)
		}
		switch {
		case i < copies:
			ws.weights = cut(weights)
		case copies == 0:
			ws.weights = w.kept
		}
	}
	return memory
}

func (w *winogradConv2D) forwardItem(worker, item int) {
	c, image := w.conv, item*w.images
	images := min(w.images, c.config.Batch-image)
	source := w.normalised(&c.work[worker].own.normalise, &w.work[worker].own.normal, image, images)
	tiles := images * w.tiles
	for first := 0; first < tiles; first += w.chunk {
		w.forwardChunk(worker, source, image, first, min(w.chunk, tiles-first))
	}
	c.finished(worker, image, images)
}

// normalised returns some images, or copies in the memory given where they are to be normalised.
func (w *winogradConv2D) normalised(a *normaliseArgs, memory *[]float32, image,
	images int) unsafe.Pointer {
	c := w.conv
	x := c.x[image*c.sizeImage() : (image+images)*c.sizeImage()]
	if c.before == nil {
		return pointer(x)
	}
	if *memory == nil {
		*memory = aligned(w.images * c.sizeImage())
	}
	c.before.normalise(a, (*memory)[:len(x)], x)
	return pointer(*memory)
}

// forwardChunk takes some tiles of an item, whose first image, where it lies, and first tile are
// given, through all steps.
func (w *winogradConv2D) forwardChunk(worker int, source unsafe.Pointer, image, first, tiles int) {
	c, f, ws := w.conv, &w.conv.config, &w.work[worker].own
	w.transformInput(ws, source, first, 0, tiles)
	for panel := range c.columns.count() {
		w.multiply(worker, image, first, panel, tiles)
		w.transformOutput(worker, image, first, panel, tiles)
		if f.MaxPool != nil {
			windows := c.outHeight * c.outWidth
			c.poolPanel(&c.work[worker].own, w.entries, image*windows, tiles/w.tiles*windows, panel)
		}
	}
}

// transformInput transforms some tiles of an item, whose images begin at source, to where the given
// one and those behind it belong.
func (w *winogradConv2D) transformInput(ws *winogradWork, source unsafe.Pointer, first, to,
	tiles int) {
	c, f := w.conv, &w.conv.config
	plane := 4 * (w.chunk*f.Channels + winogradGap)
	ws.args = winogradArgs{
		Src: source, SrcOffsets: &w.source[first],
		SrcRow: 4 * f.Width * f.Channels, SrcColumn: 4 * f.Channels, Inside: &w.inside[first],
		Zeros: pointer(ws.zeros),
		Dst:   pointer(ws.input), DstOffsets: &w.rows[to], DstRow: winogradTile * plane, DstColumn: plane,
		Tiles: tiles, Vectors: f.Channels / c.engine.Set.lanes, Scratch: pointer(ws.tile),
	}
	w.transforms.input((*byte)(unsafe.Pointer(&ws.args)))
}

// transformOutput transforms the products of some tiles and a panel of filters into results, or
// into scratch where they are to be pooled.
func (w *winogradConv2D) transformOutput(worker, image, first, panel, tiles int) {
	c, f, set, ws := w.conv, &w.conv.config, w.conv.engine.Set, &w.work[worker].own
	width := c.columns.width(panel)
	plane := 4 * (w.part*width + winogradGap)
	ws.args = winogradArgs{
		Src: pointer(ws.products), SrcOffsets: &w.productRows(width)[0], SrcRow: winogradTile * plane,
		SrcColumn:  plane,
		DstOffsets: &w.output[first], Tiles: tiles, Vectors: c.columns.columns(panel) / set.lanes,
		Scratch: pointer(ws.tile),
		Bias:    pointer(c.bias[c.columns.first(panel):]), Check: pointer(ws.check), Floor: nan32,
	}
	if f.MaxPool == nil {
		at := image*c.convHeight*c.convWidth*c.among + c.columns.first(panel)
		ws.args.Dst = pointer(c.y[at:])
		ws.args.DstRow, ws.args.DstColumn = 4*c.convWidth*c.among, 4*c.among
		ws.args.Floor = floor(f.ReLU)
		if c.finish.add != nil {
			ws.args.Add = pointer(c.finish.add[at:])
		}
		if c.finish.on {
			ws.args.Floor = c.finish.low
		}
	} else {
		ws.args.Dst = pointer(c.work[worker].own.scratch)
		ws.args.DstRow, ws.args.DstColumn = 4*c.convWidth*set.panel(), 4*set.panel()
	}
	w.transforms.output[f.KernelHeight]((*byte)(unsafe.Pointer(&ws.args)))
}

// productRows returns where the rows of products of a panel of that width start.
func (w *winogradConv2D) productRows(width int) []int64 {
	if width == w.conv.engine.Set.panel() {
		return w.panelRows
	}
	return w.narrowRows
}

// multiply computes the products of transformed tiles and a panel of filters, one for each element
// of a tile. Meanwhile come the images of the next item, and where the results go.
func (w *winogradConv2D) multiply(worker, image, first, panel, tiles int) {
	c, channels, set := w.conv, w.conv.config.Channels, w.conv.engine.Set
	ws, width, weights := &w.work[worker].own, c.columns.width(panel), c.columns.first(panel)*channels
	next, results := w.surroundings(image, first, panel)
	ws.product = rowsArgs{ARow: 4 * channels, CRow: 4 * width, M: tiles, Length: channels}
	for element := range winogradElements {
		set.ahead(next, element, winogradElements)
		set.ahead(results, element, winogradElements)
		ws.product.A = pointer(ws.input[element*(w.chunk*channels+winogradGap):])
		ws.product.B = pointer(ws.weights[element*w.plane()+weights:])
		ws.product.C = pointer(ws.products[element*(w.part*width+winogradGap):])
		set.rowsProduct(&ws.product, width)
	}
}

// surroundings returns what is worth having near while the products of a chunk and a panel are
// computed: about where the next one's elements lie in x, and where this one's results go.
func (w *winogradConv2D) surroundings(image, first, panel int) (next, results []float32) {
	c, f := w.conv, &w.conv.config
	at := image*w.tiles + first
	if panel == 0 {
		next = partOf(c.x, at+w.chunk, at+2*w.chunk, f.Batch*w.tiles)
	}
	if f.MaxPool == nil && c.columns.count() == 1 && c.among == f.Filters {
		results = partOf(c.y, at, at+w.chunk, f.Batch*w.tiles)
	}
	return next, results
}

// partOf returns the elements that belong to some of all tiles, those from first to end, if they
// lie in their order.
func partOf(values []float32, first, end, tiles int) []float32 {
	first, end = min(first, tiles), min(end, tiles)
	return values[len(values)/tiles*first : len(values)/tiles*end]
}
