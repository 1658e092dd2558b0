package kernel

// Where weights are constant, as in evaluation, Winograd's filtering transforms them once. A chunk
// of tiles is an item of its own then, whatever the images; and where chunks are few for the
// threads, these share the transformed input and take parts of its products with a panel of
// filters.

// winogradPartTiles is how many tiles such a part has, at least.
const winogradPartTiles = 8

// winogradPays reports whether Winograd's filtering takes less time than the direct sum of an image
// of so many tiles and positions where weights are transformed already. It does not ask for the
// batch, so that an image has the same bits in any. Transformed weights are several times as many:
// of few tiles they take longer to come than the direct sum's, unless the second-level cache holds
// them.
func winogradPays(f *Conv2DConfig, tiles, positions int) bool {
	const fewest, fewestFromMemory, near = 4, 5, 1 << 18 // near: elements, 1 MB
	if tiles < fewest ||
		tiles < fewestFromMemory && winogradElements*f.Channels*f.Filters > near {
		return false
	}
	return 5*winogradElements*tiles <= 2*f.KernelHeight*f.KernelWidth*positions
}

// FiltersConv2D reports whether a plan of ConstantWeights is computed by Winograd's filtering, and
// then how many bytes its transformed weights take, which plans Share, and about how many it works
// in, which plans of one pool have in common.
func FiltersConv2D(engine Engine, f Conv2DConfig) (weights, scratch int, ok bool) {
	if f.Direct || !f.ConstantWeights || engine.check() != nil {
		return 0, 0, false
	}
	set := engine.Set.forChannels(f.Filters)
	if f.MaxPool != nil {
		set = engine.Set.forChannels(f.KernelWidth * f.Channels)
	}
	down, across, ok := winogradTiles(&f, set,
		f.Height+2*f.PaddingHeight+f.ExtraHeight-f.KernelHeight+1,
		f.Width+2*f.PaddingWidth+f.ExtraWidth-f.KernelWidth+1)
	if !ok {
		return 0, 0, false
	}
	threads, chunk := engine.Pool.Threads(), max(winogradChunk, 2*across)
	if f.MaxPool != nil {
		chunk = max(chunk, down*across)
	}
	element := 4 * winogradElements
	return element * f.Channels * (f.Filters + set.panel()),
		element * 2 * chunk * threads * (f.Channels + set.panel()), true
}

// deal cuts the tiles of some images into chunks, and says how the threads share the work.
func (w *winogradConv2D) deal(down, across int) {
	c, f := w.conv, &w.conv.config
	threads, all := c.engine.Pool.Threads(), w.images*w.tiles
	w.cut(all, ceil(all, winogradChunk), down, across)
	if threads > 1 && w.items() < 2*threads {
		w.images, w.shared = f.Batch, true
		all = w.images * w.tiles
		w.cut(all, min(ceil(2*threads, c.columns.count()), ceil(all, winogradPartTiles)), down, across)
		w.part, w.chunk = w.chunk, all
	}
}

// cut cuts tiles into about as many chunks of about the same size, and notes the largest. The last
// tiles of a row, or of a map, lie over their neighbours where they do not fit (see plan), and the
// later one's results stay: such tiles are not cut apart, as threads take them in any order.
func (w *winogradConv2D) cut(all, chunks, down, across int) {
	apart := func(tile int) bool {
		tile %= w.tiles
		return tile == 0 ||
			(w.conv.convHeight%w.size == 0 || tile <= (down-2)*across) &&
				(w.conv.convWidth%w.size == 0 || tile%across != across-1)
	}
	w.cuts, w.chunk = append(w.cuts[:0], 0), 0
	for first := 0; first < all; {
		end := min(all, first+ceil(all, chunks))
		for end > first && end < all && !apart(end) {
			end--
		}
		if end == first { // none before
			for end = min(all, first+ceil(all, chunks)); end < all && !apart(end); {
				end++
			}
		}
		w.cuts, w.chunk = append(w.cuts, end), max(w.chunk, end-first)
		first = end
	}
}

// items returns how many items of work the products are.
func (w *winogradConv2D) items() int {
	groups := ceil(w.conv.config.Batch, w.images)
	switch {
	case w.shared:
		return w.conv.columns.count() * (len(w.cuts) - 1)
	case w.cuts != nil:
		return groups * (len(w.cuts) - 1)
	}
	return groups
}

// chunkItem computes a chunk of the tiles of some images.
func (w *winogradConv2D) chunkItem(worker, item int) {
	c, chunks := w.conv, len(w.cuts)-1
	image := item / chunks * w.images
	first, end := w.cuts[item%chunks], w.cuts[item%chunks+1]
	tiles := min(end, min(w.images, c.config.Batch-image)*w.tiles) - first
	if tiles > 0 {
		w.forwardChunk(worker, pointer(c.x[image*c.sizeImage():]), image, first, tiles)
	}
}

// partItem computes some of the tiles and a panel of filters of the input that is transformed.
func (w *winogradConv2D) partItem(worker, item int) {
	c, set, ws := w.conv, w.conv.engine.Set, &w.work[worker].own
	panel, part := item/(len(w.cuts)-1), item%(len(w.cuts)-1)
	first, end := w.cuts[part], w.cuts[part+1]
	channels, width := c.config.Channels, c.columns.width(panel)
	ws.product = rowsArgs{ARow: 4 * channels, CRow: 4 * width, M: end - first, Length: channels}
	for element := range winogradElements {
		ws.product.A = pointer(ws.input[element*(w.chunk*channels+winogradGap)+first*channels:])
		ws.product.B = pointer(ws.weights[element*w.plane()+c.columns.first(panel)*channels:])
		ws.product.C = pointer(ws.products[element*(w.part*width+winogradGap):])
		set.rowsProduct(&ws.product, width)
	}
	w.transformOutput(worker, 0, first, panel, end-first)
}

// transform transforms the constant weights before the first call.
func (w *winogradConv2D) transform() {
	pool := w.conv.engine.Pool
	memory := w.take()
	defer func() {
		pool.scratch.give(memory)
		w.forget()
	}()
	w.prepare()
}

// forwardImages computes each image by itself: a result was not finite, and whose is nobody
// else's matter.
func (c *Conv2D) forwardImages() error {
	one, err := c.forOneImage()
	if err != nil {
		return err
	}
	defer func() { one.finish.add = nil }()
	sizeY := c.outHeight * c.outWidth * c.among
	for image := range c.config.Batch {
		from := image * sizeY
		if c.finish.add != nil {
			one.finish.add = c.finish.add[from:][:one.spanY()]
		}
		err := one.Forward(c.y[from:][:one.spanY()], c.x[image*c.sizeImage():][:c.sizeImage()], c.w, c.b)
		if err != nil {
			return err
		}
	}
	return nil
}

// forOneImage returns the plan for one of the images.
func (c *Conv2D) forOneImage() (*Conv2D, error) {
	if c.single != nil {
		return c.single, nil
	}
	f := c.config
	f.Batch = 1
	one, err := newConv2D(c.whole, f, 1)
	if err != nil {
		return nil, err
	}
	one.finish, one.winograd.kept, one.winograd.ready = c.finish, c.winograd.kept, true
	one.finish.add = nil // of each call
	if one.among != c.among {
		if err := one.Among(c.among); err != nil {
			return nil, err
		}
	}
	c.single = one
	return one, nil
}
