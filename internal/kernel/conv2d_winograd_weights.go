package kernel

import (
	"slices"
	"unsafe"
)

// winogradWeights is the gradient of a convolution's weights by Winograd's minimal filtering;
// winograd.go has the mathematics. An item is a block of filters and channels over a part of the
// batch. Group by group of tiles, it transforms the block's channels of x and filters of dy, and
// adds 36 products of filters × tiles by tiles × channels to sums that stay in the second-level
// cache; at the end these are transformed back into rows of dw.
//
// It leaves to the direct sum what the forward pass does: where any result is not finite, all are
// computed again.
type winogradWeights struct {
	conv              *Conv2D
	transforms        *winogradTransforms
	channels, filters int      // of a block
	blocks            int      // of all channels and filters
	size, across      int      // of a tile's results; tiles in a row of them
	tiles             int      // of an image
	group             int      // tiles that are transformed at a time
	groups            int      // of the batch
	partials          int      // sums, each over some of the groups
	images            []int64  // where in an image a tile starts, which may be in the padding
	gradients         []int64  // the same in an image's dy
	inside            []uint64 // which elements of the tile are inside the image
	covered           []uint64 // and which inside dy
	imageRows         []int64  // where a group's tiles start, when they are transformed
	gradientRows      []int64
	columns           []int64 // where a block's filters start in a tile,
	sums              []int64 // in the sums,
	results           []int64 // and in dw
	work              []apart[winogradWeightsWork]
	partial           []float32 // during a call: all partial sums of dw but the first

	task, addTask func(worker, item int)
}

// winogradWeightsWork is a thread's memory.
type winogradWeightsWork struct {
	args                   winogradArgs
	images, gradients      []int64 // of a group's tiles
	inside, covered        []uint64
	tile, check, zeros     []float32
	normal                 []float32 // normalised images of a group
	input, gradient, total []float32 // during a call: 36 × tiles × channels, tiles × filters and filters × channels
}

const (
	// winogradWeightsBlock is how many channels and filters there are at most in a block: 36 sums of
	// them take 0.6 MB.
	winogradWeightsBlock = 64
	// winogradWeightsGroup is how many elements a group's transformed tiles have at most, each 36
	// times.
	winogradWeightsGroup = 4096
	// winogradWeightsItems is how many items there are to share among threads, where there are tiles
	// enough.
	winogradWeightsItems = 4
)

// newWinogradWeights returns nil where the direct sum is the better way.
func newWinogradWeights(c *Conv2D) *winogradWeights {
	f, set := &c.config, c.engine.Set
	if f.Direct || f.ReLU || f.MaxPool != nil || f.KernelHeight != f.KernelWidth ||
		f.KernelHeight < winogradSmallest || f.KernelHeight > winogradLargest ||
		f.StrideHeight != 1 || f.StrideWidth != 1 || min(f.Channels, f.Filters) < winogradMinChannels ||
		f.Channels%set.lanes != 0 || f.Filters%set.lanes != 0 {
		return nil
	}
	size := winogradTile + 1 - f.KernelHeight
	down, across := ceil(c.convHeight, size), ceil(c.convWidth, size)
	w := &winogradWeights{conv: c, transforms: &set.winograd, size: size, across: across,
		tiles: down * across}
	if min(c.convHeight, c.convWidth) < size || !w.pays() {
		return nil
	}
	w.channels, w.filters = min(winogradWeightsBlock, f.Channels), min(winogradWeightsBlock, f.Filters)
	w.blocks = ceil(f.Filters, w.filters) * ceil(f.Channels, w.channels)
	w.group = min(winogradWeightsGroup/(w.channels+w.filters), f.Batch*w.tiles)
	w.groups = ceil(f.Batch*w.tiles, w.group)
	w.partials = min(ceil(winogradWeightsItems, w.blocks), w.groups)
	w.plan()
	w.task, w.addTask = w.computeItem, w.addSpan
	return w
}

// winogradWeightsTiles is how many tiles the transform of the sums costs as much as.
const winogradWeightsTiles = 8

// pays reports whether the products are short enough: with maps that tiles cover badly and with few
// tiles they are not.
func (w *winogradWeights) pays() bool {
	c, f := w.conv, &w.conv.config
	direct := f.Batch * c.convHeight * c.convWidth * f.KernelHeight * f.KernelWidth
	return direct >= 2*winogradElements*(f.Batch*w.tiles+winogradWeightsTiles)
}

// plan makes the tables of an image's tiles. Tiles may reach beyond dy, and then beyond what of x
// it was computed from.
func (w *winogradWeights) plan() {
	c, f, size, across := w.conv, &w.conv.config, w.size, w.across
	for t := range w.tiles {
		i, j := t/across*size, t%across*size
		top, left := i-f.PaddingHeight, j-f.PaddingWidth
		w.images = append(w.images, int64(4*(top*f.Width+left)*f.Channels))
		w.inside = append(w.inside, winogradInside(winogradTile, top, left, f.Height, f.Width))
		w.gradients = append(w.gradients, int64(4*(i*c.convWidth+j)*f.Filters))
		w.covered = append(w.covered, winogradInside(size, i, j, c.convHeight, c.convWidth))
	}
	for t := range w.group {
		w.imageRows = append(w.imageRows, int64(4*t*w.channels))
		w.gradientRows = append(w.gradientRows, int64(4*t*w.filters))
	}
	for o := range w.filters {
		w.columns = append(w.columns, int64(4*o))
		w.sums = append(w.sums, int64(4*o*w.channels))
		w.results = append(w.results, int64(4*o*c.depth))
	}
	w.work = make([]apart[winogradWeightsWork], c.engine.Pool.Threads())
	for i := range w.work {
		lanes := c.engine.Set.lanes
		w.work[i].own = winogradWeightsWork{
			images: make([]int64, w.group), gradients: make([]int64, w.group),
			inside: make([]uint64, w.group), covered: make([]uint64, w.group),
			tile: aligned(winogradElements * lanes), check: aligned(lanes), zeros: aligned(lanes),
		}
	}
}

// backward computes dw, and reports whether all of it is finite: if not, it is to be computed
// directly.
func (w *winogradWeights) backward() (finite bool) {
	c, pool := w.conv, w.conv.engine.Pool
	sizes := [...]int{w.group * w.channels, w.group * w.filters, w.filters * w.channels}
	n := 0
	for i := range sizes {
		sizes[i] = line(winogradElements * (sizes[i] + winogradGap))
		n += sizes[i]
	}
	memory := pool.scratch.take(len(w.work)*n + (w.partials-1)*len(c.dw))
	w.partial = memory[len(w.work)*n:]
	for i := range w.work {
		ws := &w.work[i].own
		clear(ws.check)
		rest := memory[i*n : (i+1)*n]
		ws.input, rest = rest[:sizes[0]], rest[sizes[0]:]
		ws.gradient, ws.total = rest[:sizes[1]], rest[sizes[1]:]
	}
	defer func() {
		pool.scratch.give(memory)
		w.partial = nil
		for i := range w.work {
			ws := &w.work[i].own
			ws.input, ws.gradient, ws.total = nil, nil, nil
		}
	}()
	pool.Run(w.partials*w.blocks, w.task)
	if w.partials > 1 {
		pool.Run(ceil(len(c.dw), span), w.addTask)
	}
	for i := range w.work {
		if slices.ContainsFunc(w.work[i].own.check, func(v float32) bool { return v != v }) {
			return false
		}
	}
	return true
}

// computeItem computes a block of a partial sum of dw.
func (w *winogradWeights) computeItem(worker, item int) {
	c, f, ws := w.conv, &w.conv.config, &w.work[worker].own
	part, block, across := item/w.blocks, item%w.blocks, ceil(f.Channels, w.channels)
	filter, channel := block/across*w.filters, block%across*w.channels
	filters, channels := min(w.filters, f.Filters-filter), min(w.channels, f.Channels-channel)
	first := part * w.groups / w.partials
	for group := first; group < (part+1)*w.groups/w.partials; group++ {
		tiles := w.locate(ws, group)
		w.differentiate(worker, group, tiles)
		w.transform(ws, tiles, w.source(worker, group, tiles, channel, channels), w.gradient(group),
			filter, filters, channel, channels)
		w.multiply(worker, tiles, filters, channels, group == first)
	}
	dw := c.dw
	if part > 0 {
		dw = w.partial[(part-1)*len(c.dw):]
	}
	plane := 4 * (w.filters*w.channels + winogradGap)
	ws.args = winogradArgs{
		Src: pointer(ws.total), SrcOffsets: &w.sums[0], SrcRow: winogradTile * plane, SrcColumn: plane,
		Dst: pointer(dw[filter*c.depth+channel:]), DstOffsets: &w.results[0], DstRow: 4 * c.run,
		DstColumn: 4 * f.Channels,
		Tiles:     filters, Vectors: channels / c.engine.Set.lanes, Scratch: pointer(ws.tile),
		Check: pointer(ws.check),
	}
	w.transforms.weightsGradient[f.KernelHeight]((*byte)(unsafe.Pointer(&ws.args)))
}

// locate lists where the tiles of a group are, from the first image on, and returns how many they
// are.
func (w *winogradWeights) locate(ws *winogradWeightsWork, group int) int {
	c, f := w.conv, &w.conv.config
	first := group * w.group
	tiles := min(w.group, f.Batch*w.tiles-first)
	for t := range tiles {
		image, at := (first+t)/w.tiles-first/w.tiles, (first+t)%w.tiles
		ws.images[t] = int64(4*image*c.sizeImage()) + w.images[at]
		ws.gradients[t] = int64(4*image*c.convHeight*c.convWidth*f.Filters) + w.gradients[at]
		ws.inside[t], ws.covered[t] = w.inside[at], w.covered[at]
	}
	return tiles
}

// gradient returns that of a group's first image.
func (w *winogradWeights) gradient(group int) []float32 {
	c := w.conv
	return c.dy[group*w.group/w.tiles*c.convHeight*c.convWidth*c.config.Filters:]
}

// wholeImages reports whether groups are of whole images, which one item alone reads.
func (w *winogradWeights) wholeImages() bool { return w.blocks == 1 && w.group%w.tiles == 0 }

// differentiate makes the gradient of y of that of its normalised values, where that is asked for.
func (w *winogradWeights) differentiate(worker, group, tiles int) {
	if c := w.conv; c.asItReads {
		c.differentiateImages(worker, group*w.group/w.tiles, tiles/w.tiles)
	}
}

// source returns the group's first image. Where it is to be normalised, it is a copy, of the rows
// and channels that the tiles see.
func (w *winogradWeights) source(worker, group, tiles, channel, channels int) []float32 {
	c, f := w.conv, &w.conv.config
	first, end := group*w.group, group*w.group+tiles
	from := first / w.tiles
	x := c.x[from*c.sizeImage():]
	if c.before == nil {
		return x
	}
	ws := &w.work[worker].own
	if ws.normal == nil {
		ws.normal = aligned((ceil(w.group, w.tiles) + 1) * c.sizeImage())
	}
	for image := from; image*w.tiles < end; image++ {
		// The tiles of the image, and the rows of x that they see.
		one, last := max(first-image*w.tiles, 0), min(end-image*w.tiles, w.tiles)-1
		top := max(one/w.across*w.size-f.PaddingHeight, 0)
		bottom := min(last/w.across*w.size-f.PaddingHeight+winogradTile, f.Height)
		if top >= bottom {
			continue // they see padding alone
		}
		at := (image-from)*c.sizeImage() + top*f.Width*f.Channels
		n := (bottom - top) * f.Width * f.Channels
		c.before.normaliseChannels(&c.work[worker].own.normalise, ws.normal[at:at+n], x[at:at+n], channel,
			channels)
	}
	return ws.normal
}

// transform transforms a group's tiles of a block.
func (w *winogradWeights) transform(ws *winogradWeightsWork, tiles int, source, gradient []float32,
	filter, filters, channel, channels int) {
	c, f, lanes := w.conv, &w.conv.config, w.conv.engine.Set.lanes
	plane := 4 * (w.group*w.channels + winogradGap)
	ws.args = winogradArgs{
		Src: pointer(source[channel:]), SrcOffsets: &ws.images[0], SrcRow: 4 * f.Width * f.Channels,
		SrcColumn: 4 * f.Channels,
		Dst:       pointer(ws.input), DstOffsets: &w.imageRows[0], DstRow: winogradTile * plane,
		DstColumn: plane,
		Tiles:     tiles, Vectors: channels / lanes, Scratch: pointer(ws.tile), Inside: &ws.inside[0],
		Zeros: pointer(ws.zeros),
	}
	w.transforms.input((*byte)(unsafe.Pointer(&ws.args)))
	plane = 4 * (w.group*w.filters + winogradGap)
	ws.args = winogradArgs{
		Src: pointer(gradient[filter:]), SrcOffsets: &ws.gradients[0],
		SrcRow: 4 * c.convWidth * f.Filters, SrcColumn: 4 * f.Filters,
		Dst: pointer(ws.gradient), DstOffsets: &w.gradientRows[0], DstRow: winogradTile * plane,
		DstColumn: plane,
		Tiles:     tiles, Vectors: filters / lanes, Scratch: pointer(ws.tile), Inside: &ws.covered[0],
		Zeros: pointer(ws.zeros),
	}
	w.transforms.gradient[f.KernelHeight]((*byte)(unsafe.Pointer(&ws.args)))
}

// multiply adds the products of a group's transformed tiles, one for each element of a tile, to the
// sums, which the first group begins.
func (w *winogradWeights) multiply(worker, tiles, filters, channels int, first bool) {
	c, set := w.conv, w.conv.engine.Set
	ws, a := &w.work[worker].own, &c.work[worker].own.product
	*a = productArgs{
		AOffsets: &w.columns[0], COffsets: &w.sums[0], M: filters, Runs: 1, Length: tiles,
		AStep: 4 * w.filters, BStep: 4 * w.channels, Floor: nan32,
	}
	if first {
		a.Init = pointer(c.columns.zeros)
	}
	for element := range winogradElements {
		a.A = pointer(ws.gradient[element*(w.group*w.filters+winogradGap):])
		for column := 0; column < channels; column += set.panel() {
			a.B = pointer(ws.input[element*(w.group*w.channels+winogradGap)+column:])
			a.C = pointer(ws.total[element*(w.filters*w.channels+winogradGap)+column:])
			set.productPanel(a, min(set.panel(), channels-column))
		}
	}
}

// addSpan adds a span of the partial sums up, in their order.
func (w *winogradWeights) addSpan(_, item int) {
	dw := w.conv.dw
	from, to := item*span, min((item+1)*span, len(dw))
	for k := range w.partials - 1 {
		w.conv.engine.Set.addScaledSlice(dw[from:to], w.partial[k*len(dw)+from:k*len(dw)+to], 1)
	}
}
