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
// of one or two tiles they take longer to come than the direct sum's.
func winogradPays(f *Conv2DConfig, tiles, positions int) bool {
	const fewest = 4
	return tiles >= fewest &&
		5*winogradElements*tiles <= 2*f.KernelHeight*f.KernelWidth*positions
}

// deal makes chunks of equal size, and says how the threads share the work.
func (w *winogradConv2D) deal() {
	c, f := w.conv, &w.conv.config
	all, threads := w.images*w.tiles, c.engine.Pool.Threads()
	w.chunk = min(all, winogradInputTiles*ceil(ceil(all, ceil(all, winogradChunk)), winogradInputTiles))
	if threads == 1 || w.items() >= 2*threads {
		return
	}
	w.images, w.chunk = f.Batch, f.Batch*w.tiles
	w.parts = max(1, min(ceil(2*threads, c.columns.count()), w.chunk/winogradPartTiles))
}

// items returns how many items of work the products are.
func (w *winogradConv2D) items() int {
	c, f := w.conv, &w.conv.config
	switch {
	case w.parts > 0:
		return c.columns.count() * w.parts
	case f.ConstantWeights && f.MaxPool == nil:
		return ceil(f.Batch, w.images) * ceil(w.images*w.tiles, w.chunk)
	}
	return ceil(f.Batch, w.images)
}

// chunkItem computes a chunk of the tiles of some images.
func (w *winogradConv2D) chunkItem(worker, item int) {
	c, chunks := w.conv, ceil(w.images*w.tiles, w.chunk)
	image, first := item/chunks*w.images, item%chunks*w.chunk
	tiles := min(w.images, c.config.Batch-image)*w.tiles - first
	if tiles > 0 {
		w.forwardChunk(worker, pointer(c.x[image*c.sizeImage():]), image, first, min(w.chunk, tiles))
	}
}

// partItem computes a part of all tiles and a panel of filters of the input that is transformed.
func (w *winogradConv2D) partItem(worker, item int) {
	c, set, ws := w.conv, w.conv.engine.Set, &w.work[worker].own
	panel, part := item/w.parts, item%w.parts
	first, end := part*w.chunk/w.parts, (part+1)*w.chunk/w.parts
	channels, width := c.config.Channels, c.columns.width(panel)
	ws.product = rowsArgs{ARow: 4 * channels, CRow: 4 * width, M: end - first, Length: channels}
	for element := range winogradElements {
		ws.product.A = pointer(ws.input[element*(w.chunk*channels+winogradGap)+first*channels:])
		ws.product.B = pointer(ws.weights[element*w.plane()+c.columns.first(panel)*channels:])
		ws.product.C = pointer(ws.products[element*(w.chunk*width+winogradGap):])
		set.rowsProduct(&ws.product, width)
	}
	w.transformOutput(worker, 0, first, panel, end-first)
}

// keep makes the transformed weights be there during a call.
func (w *winogradConv2D) keep() {
	if w.kept == nil {
		w.kept = aligned(line(winogradElements * w.plane()))
		w.give()
		w.conv.engine.Pool.Run(w.conv.columns.count()*w.blocks(), w.weightsTask)
	}
	w.give()
}

// give tells the threads where the transformed weights are.
func (w *winogradConv2D) give() {
	for i := range w.work {
		w.work[i].own.weights = w.kept
	}
}

// transform transforms the constant weights before the first call.
func (w *winogradConv2D) transform() {
	pool := w.conv.engine.Pool
	memory := w.take()
	defer func() {
		pool.scratch.give(memory)
		w.forget()
	}()
	w.keep()
}

// forwardImages computes each image by itself: a result was not finite, and whose is nobody
// else's matter.
func (c *Conv2D) forwardImages() error {
	f := c.config
	f.Batch = 1
	one, err := newConv2D(c.whole, f, 1)
	if err != nil {
		return err
	}
	one.finish, one.winograd.kept, one.packed, one.kept = c.finish, c.winograd.kept, c.packed, c.kept
	if one.among != c.among {
		if err := one.Among(c.among); err != nil {
			return err
		}
	}
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
	c.packed, c.kept = one.packed, one.kept
	return nil
}
