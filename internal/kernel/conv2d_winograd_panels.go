package kernel

import "unsafe"

// winogradInputTiles is how many tiles are one item where the transformed input is shared.
const winogradInputTiles = 8

// blocks returns how many blocks of channels there are.
func (w *winogradConv2D) blocks() int {
	return ceil(w.conv.config.Channels, winogradWeightsChannels)
}

// plane returns the distance of the weights of two elements.
func (w *winogradConv2D) plane() int {
	c := w.conv
	if w.byPanel {
		return len(w.filters)*c.engine.Set.panel() + winogradGap
	}
	return c.columns.padded()*c.config.Channels + winogradGap
}

// block returns the first channel of a block, and how many it has.
func (w *winogradConv2D) block(i int) (first, channels int) {
	first = i * winogradWeightsChannels
	return first, min(winogradWeightsChannels, w.conv.config.Channels-first)
}

// weightsItem transforms the weights of a panel of filters and a block of channels to where the
// products read them.
func (w *winogradConv2D) weightsItem(worker, item int) {
	c, ws := w.conv, &w.work[worker].own
	panel, block := item/w.blocks(), item%w.blocks()
	if w.turned { // a block's weights lie together
		panel, block = item%c.columns.count(), item/c.columns.count()
	}
	channel, channels := w.block(block)
	at := c.columns.first(panel)*c.config.Channels + channel*c.columns.width(panel)
	w.transformWeights(ws, ws.weights[at:], panel, channel, channels)
}

// transformWeights transforms the weights of a panel of filters and of some channels to where those
// of the first element are given.
//
// That takes vectors of filters. In turned weights, where a filter is a channel, they lie so, and
// the taps are read from the last to the first. Others are transposed before the transform, which
// makes four times as many elements of them.
func (w *winogradConv2D) transformWeights(ws *winogradWork, to []float32, panel, channel,
	channels int) {
	c, f := w.conv, &w.conv.config
	width, filter, places := c.columns.width(panel), c.columns.first(panel), w.panelChannels
	if width < c.engine.Set.panel() {
		places = w.narrowChannels
	}
	ws.args = winogradArgs{
		Dst: pointer(to), DstOffsets: &places[0], DstRow: 4 * winogradTile * w.plane(),
		DstColumn: 4 * w.plane(),
		Tiles:     channels, Vectors: width / c.engine.Set.lanes, Scratch: pointer(ws.tile),
	}
	if taps := f.KernelHeight * f.KernelWidth; w.turned {
		ws.args.Src, ws.args.SrcOffsets = pointer(c.w[(channel*taps+taps-1)*f.Filters+filter:]),
			&w.filters[0]
		ws.args.SrcRow, ws.args.SrcColumn = -4*f.KernelWidth*f.Filters, -4*f.Filters
	} else {
		w.transposeTaps(ws.taps, filter, width, channel, channels)
		ws.args.Src, ws.args.SrcOffsets = pointer(ws.taps), &places[0]
		ws.args.SrcRow, ws.args.SrcColumn = 4*f.KernelWidth*channels*width, 4*channels*width
	}
	w.transforms.weights[f.KernelHeight]((*byte)(unsafe.Pointer(&ws.args)))
}

// transposeTaps writes some filters' weights of some channels as taps × channels × filters.
func (w *winogradConv2D) transposeTaps(dst []float32, filter, filters, channel, channels int) {
	c, f := w.conv, &w.conv.config
	for tap := range f.KernelHeight * f.KernelWidth {
		for o := 0; o < filters; o += 8 {
			c.engine.Set.transpose8(&dst[tap*channels*filters+o], 4*filters,
				&c.w[(filter+o)*c.depth+tap*f.Channels+channel], 4*c.depth, channels/8)
		}
	}
}

// inputItem transforms some tiles to where all threads read them.
func (w *winogradConv2D) inputItem(worker, item int) {
	first, source := item*winogradInputTiles, w.conv.x
	if w.conv.before != nil {
		source = w.normal
	}
	w.transformInput(&w.work[worker].own, pointer(source), first, first,
		min(winogradInputTiles, w.chunk-first))
}

// normaliseImage normalises an image to where inputItem reads it.
func (w *winogradConv2D) normaliseImage(worker, image int) {
	c := w.conv
	from, to := image*c.sizeImage(), (image+1)*c.sizeImage()
	c.before.normalise(&c.work[worker].own.normalise, w.normal[from:to], c.x[from:to])
}

// panelItem computes a panel of filters of all tiles. It transforms the weights of a block of
// channels and multiplies with them while they are in the second-level cache: written to memory and
// read again, those of many channels and filters would take longer than the products of few tiles.
func (w *winogradConv2D) panelItem(worker, panel int) {
	c, set, ws := w.conv, w.conv.engine.Set, &w.work[worker].own
	width := c.columns.width(panel)
	for block := range w.blocks() {
		channel, channels := w.block(block)
		w.transformWeights(ws, ws.weights, panel, channel, channels)
		ws.product = rowsArgs{ARow: 4 * c.config.Channels, CRow: 4 * width, M: w.chunk, Length: channels,
			Add: block}
		for element := range winogradElements {
			ws.product.A = pointer(ws.input[element*(w.chunk*c.config.Channels+winogradGap)+channel:])
			ws.product.B = pointer(ws.weights[element*w.plane():])
			ws.product.C = pointer(ws.products[element*(w.part*width+winogradGap):])
			set.rowsProduct(&ws.product, width)
		}
	}
	w.transformOutput(worker, 0, 0, panel, w.chunk)
}
