package kernel

import "unsafe"

// denseConv2D is the gradient of a convolution that no max pooling follows, by matrix products.
//
// The weights' gradient is, for a panel of output channels, Σ over positions of x[position+tap] ·
// dy[position]: a row of the product's A is a tap, a row of B the gradient of one position, read
// where it lies.
//
// The input's gradient at (h, k) takes the taps (u, v) with u ≡ h+PH (mod SH), v ≡ k+PW (mod SW).
// For each of the SH·SW phases it is a convolution of stride 1 of dy, zero-padded, with those taps
// in reverse order.
type denseConv2D struct {
	conv *Conv2D

	top, left       int // padding of dy, in positions
	rowSize         int // of padded dy, in elements
	imageSize       int
	transposed      []float32 // during a call: partial sums of dw as taps × channels
	tapOffsets      []int64
	rowOffsets      []int64
	biasSums        []float32
	one             []float32
	columns         panels // of input channels
	phases          []phase
	images          int            // of an input item
	together        int            // images of a product of the parameters' gradient
	partials        int            // sums of dw and db, each over some of the images
	splits          int            // items that share the blocks of one of them
	scatter         *scatterConv2D // nil where this way is better
	withInput       bool           // the parameters' gradient takes the input's along
	empty           bool           // a phase has no taps
	parametersTask  func(worker, item int)
	addTask         func(worker, item int)
	untransposeTask func(worker, item int)
	packTask        func(worker, item int)
	inputTask       func(worker, item int)
}

// phase is the input positions of one residue of both coordinates.
type phase struct {
	rowTaps, columnTaps []int     // kernel rows and columns, in the order in which dy is read
	packed              []float32 // during a call
	parts               []part
	blocks              []convBlock
}

// tapBlock is how many taps' gradients are one item of work, a multiple of every tile height.
const tapBlock = 96

// gradientPositions is how many positions of small images a weight gradient's product sums at a
// time: enough to be worth loading and storing the sums, few enough that both operands stay in the
// first-level cache.
const gradientPositions = 256

// gradientPartials is how many partial sums of the weights' gradient there are: as many threads
// share it without reading each other's images. The number of threads must not change it, as sums
// in another order are other sums.
const gradientPartials = 4

// gradientManyPartials is how many there are where they are small, of at most gradientSmall
// elements.
const gradientManyPartials, gradientSmall = 16, 1 << 15

func newDenseConv2D(c *Conv2D) *denseConv2D {
	f := &c.config
	d := &denseConv2D{conv: c, top: ceil(f.KernelHeight, f.StrideHeight) - 1,
		left: ceil(f.KernelWidth, f.StrideWidth) - 1}
	bottom := max(0, (f.Height-1+f.PaddingHeight)/f.StrideHeight-(c.convHeight-1))
	right := max(0, (f.Width-1+f.PaddingWidth)/f.StrideWidth-(c.convWidth-1))
	d.rowSize = (d.left + c.convWidth + right) * f.Filters
	d.imageSize = (d.top + c.convHeight + bottom) * d.rowSize
	d.parametersTask, d.addTask, d.untransposeTask = d.parametersItem, d.addSpan, d.untransposePanel
	d.packTask, d.inputTask = d.packItem, d.inputItem
	return d
}

func (d *denseConv2D) prepareParameters() {
	if d.biasSums != nil {
		return
	}
	c := d.conv
	d.together = min(max(1, gradientPositions/(c.convHeight*c.convWidth)), c.config.Batch)
	partials := gradientPartials
	if c.config.FilteredGradients && c.depth*c.columns.padded() <= gradientSmall {
		partials = gradientManyPartials
	}
	d.partials = min(partials, ceil(c.config.Batch, d.together))
	d.splits = min(ceil(c.engine.Pool.Threads(), d.partials), d.blocks())
	d.biasSums = aligned(d.partials * c.columns.padded())
	d.one = aligned(1)
	d.one[0] = 1
	for tap := range c.depth {
		u, rest := tap/c.run, tap%c.run
		d.tapOffsets = append(d.tapOffsets, int64(4*(u*c.rowSize+rest)))
		d.rowOffsets = append(d.rowOffsets, int64(4*tap*c.columns.padded()))
	}
}

// readsOnce reports whether each image's gradient is read by one item of the parameters' gradient.
func (d *denseConv2D) readsOnce() bool {
	d.prepareParameters()
	return d.splits == 1
}

// blocks returns how many pieces of dw a product computes.
func (d *denseConv2D) blocks() int { return d.conv.columns.count() * ceil(d.conv.depth, tapBlock) }

// reserve makes room for the gradients of as many images in every thread's memory, the first time.
func (d *denseConv2D) reserve(images int) {
	for i := range d.conv.work {
		if ws := &d.conv.work[i].own; len(ws.gradients) < images*d.imageSize {
			ws.gradients = aligned(images * d.imageSize)
		}
	}
}

// gradients returns padded copies of some images' gradients, where ReLU let them through. As the
// copies of the images, they are made anew for each use. Where nothing is to be padded or left out,
// it is the gradients themselves.
func (d *denseConv2D) gradients(worker, image, images int) []float32 {
	c := d.conv
	if d.keepsGradients() {
		first := image - c.work[worker].own.kept
		return c.work[worker].own.gradients[first*d.imageSize : (first+images)*d.imageSize]
	}
	if !c.config.ReLU && d.imageSize == c.convHeight*c.convWidth*c.config.Filters {
		return c.dy[image*d.imageSize : (image+images)*d.imageSize]
	}
	return d.copies(worker, image, images)
}

// copies returns padded copies of some images' gradients, which may be read past their end.
func (d *denseConv2D) copies(worker, image, images int) []float32 {
	copies := d.conv.work[worker].own.gradients
	for i := range images {
		d.mask(copies[i*d.imageSize:], image+i)
	}
	return copies
}

// mask copies an image's gradient into the middle of a padded one, where ReLU let it through.
func (d *denseConv2D) mask(padded []float32, image int) {
	c := d.conv
	row := c.convWidth * c.config.Filters
	for i := range c.convHeight {
		dst := padded[(i+d.top)*d.rowSize+d.left*c.config.Filters:][:row]
		at := (image*c.convHeight + i) * row
		if c.config.ReLU {
			c.engine.Set.reluGradients(dst, c.dy[at:at+row], c.y[at:at+row])
		} else {
			copy(dst, c.dy[at:at+row])
		}
	}
}

func (d *denseConv2D) backwardParameters() {
	c := d.conv
	d.prepareParameters()
	memory := c.engine.Pool.scratch.take(d.partials * c.depth * c.columns.padded())
	d.transposed = memory
	defer func() {
		c.engine.Pool.scratch.give(memory)
		d.transposed = nil
	}()
	c.reserve(d.together)
	d.reserve(d.together)
	c.engine.Pool.Run(d.partials*d.splits, d.parametersTask)
	if d.partials > 1 {
		c.engine.Pool.Run(ceil(c.depth*c.columns.padded(), span), d.addTask)
		for k, part := 1, c.columns.padded(); k < d.partials; k++ {
			c.engine.Set.addScaledSlice(d.biasSums[:part], d.biasSums[k*part:(k+1)*part], 1)
		}
	}
	c.engine.Pool.Run(c.columns.count(), d.untransposeTask)
	copy(c.db, d.biasSums)
}

// parametersItem sums some blocks of dw over some of the images, a few at a time, which stay in the
// second-level cache from block to block.
func (d *denseConv2D) parametersItem(worker, item int) {
	c := d.conv
	part, split := item/d.splits, item%d.splits
	groups := ceil(c.config.Batch, d.together)
	for group := part * groups / d.partials; group < (part+1)*groups/d.partials; group++ {
		image := group * d.together
		images := min(d.together, c.config.Batch-image)
		if c.asItReads {
			d.differentiate(worker, image, images)
		}
		source, gradient := c.source(worker, image, images), d.gradientRows(worker, image, images)
		d.fetchBehind(worker, image+images)
		for block := split * d.blocks() / d.splits; block < (split+1)*d.blocks()/d.splits; block++ {
			d.parametersBlock(worker, part, block, images, source, gradient, group == part*groups/d.partials)
		}
		for i := 0; d.withInput && i < images; i += d.images {
			d.inputImages(worker, image+i, min(d.images, images-i))
		}
	}
}

// differentiate makes the gradient of y of that of some images' normalised values: in the thread's
// own memory where the products of these images are the only ones to read it, so that it is never
// written to memory, or in dy.
func (d *denseConv2D) differentiate(worker, image, images int) {
	c := d.conv
	if !d.keepsGradients() {
		c.differentiateImages(worker, image, images)
		return
	}
	ws := &c.work[worker].own
	ws.kept = image
	c.differentiateTo(worker, ws.gradients[:images*d.imageSize], image, images)
}

// keepsGradients reports whether the thread's own copies of gradients, which are not padded, are
// those of a normalisation's differentiation.
func (d *denseConv2D) keepsGradients() bool {
	c := d.conv
	return c.asItReads && d.withInput && !c.config.ReLU && c.columns.stored() == c.config.Filters &&
		d.imageSize == c.convHeight*c.convWidth*c.config.Filters
}

// fetchBehind has the products of some images fetch what those of the next images read.
func (d *denseConv2D) fetchBehind(worker, image int) {
	c := d.conv
	behind := func(of []float32, size int) []float32 {
		return c.imagesBehind(of, size, image, d.together)
	}
	var y []float32
	size := c.sizeY() / c.config.Batch
	if c.asItReads {
		y = behind(c.y, size)
	}
	c.work[worker].own.fetching.begin(behind(c.dy, size), y, behind(c.x, c.sizeImage()))
}

// gradientRows are some images' gradients with what lies between their rows and between the images,
// in elements.
type gradientRows struct {
	values           []float32
	between, outside int
}

// gradientRows returns the gradients where they lie, unless ReLU has to be passed or the panels in
// which they are read would end behind them; copies have the padding that is for the input's
// gradient.
func (d *denseConv2D) gradientRows(worker, image, images int) gradientRows {
	c, f := d.conv, &d.conv.config
	if d.keepsGradients() {
		return gradientRows{values: c.work[worker].own.gradients[:images*d.imageSize]}
	}
	row := c.convWidth * f.Filters
	if size := c.convHeight * row; !f.ReLU && c.columns.stored() == f.Filters {
		return gradientRows{values: c.dy[image*size : (image+images)*size]}
	}
	return gradientRows{
		values:  d.copies(worker, image, images)[d.top*d.rowSize+d.left*f.Filters:],
		between: d.rowSize - row, outside: d.imageSize - c.convHeight*d.rowSize,
	}
}

// parametersBlock adds some images' part to a block of a partial sum of dw, and to that of db with
// the first taps.
func (d *denseConv2D) parametersBlock(worker, part, block, images int, source unsafe.Pointer,
	gradient gradientRows, first bool) {
	c, f := d.conv, &d.conv.config
	tap, panel := block/c.columns.count()*tapBlock, block%c.columns.count()
	a, width, column := &c.work[worker].own.product, c.columns.width(panel), c.columns.first(panel)
	b := productArgs{
		B:      pointer(gradient.values[column:]),
		Groups: images, Runs: c.convHeight, Length: c.convWidth, BStep: 4 * f.Filters,
		BJump:      4 * gradient.between,
		BGroupJump: 4 * gradient.outside, Floor: nan32,
	}
	if first {
		b.Init = pointer(c.columns.zeros)
	}
	*a = b
	a.A, a.AOffsets = source, &d.tapOffsets[tap]
	a.C, a.COffsets = pointer(d.transposed[part*c.depth*c.columns.padded()+column:]),
		&d.rowOffsets[tap]
	a.M = min(tapBlock, c.depth-tap)
	a.AStep = 4 * f.StrideWidth * f.Channels
	a.AJump = 4 * (f.StrideHeight*c.rowSize - c.convWidth*f.StrideWidth*f.Channels)
	a.AGroupJump = 4 * (c.imageSize - c.convHeight*f.StrideHeight*c.rowSize)
	ws := &c.work[worker].own
	ws.fetching.ask(a)
	c.engine.Set.productPanel(a, width)
	ws.fetching.came(a.Fetch, a.FetchEnd)
	if tap > 0 || c.db == nil {
		return
	}
	*a = b
	a.A, a.AOffsets, a.M = pointer(d.one), &d.rowOffsets[0], 1
	a.C, a.COffsets = pointer(d.biasSums[part*c.columns.padded()+column:]), &d.rowOffsets[0]
	c.engine.Set.productPanel(a, width)
}

// addSpan adds a span of the partial sums up, in their order.
func (d *denseConv2D) addSpan(_, item int) {
	n := d.conv.depth * d.conv.columns.padded()
	from, to := item*span, min((item+1)*span, n)
	for k := 1; k < d.partials; k++ {
		d.conv.engine.Set.addScaledSlice(d.transposed[from:to], d.transposed[k*n+from:k*n+to], 1)
	}
}

// untransposePanel turns a panel of the taps × channels gradient into rows of dw.
func (d *denseConv2D) untransposePanel(_, panel int) {
	c := d.conv
	first, columns, wide := c.columns.first(panel), c.columns.columns(panel), c.columns.padded()
	taps, done := c.depth&^7, 0
	for ; done+8 <= columns && taps > 0; done += 8 {
		for tap := 0; tap < taps; tap += 8 {
			c.engine.Set.transpose8(&c.dw[(first+done)*c.depth+tap], 4*c.depth,
				&d.transposed[tap*wide+first+done], 4*wide, 1)
		}
		for o := done; o < done+8; o++ {
			for tap := taps; tap < c.depth; tap++ {
				c.dw[(first+o)*c.depth+tap] = d.transposed[tap*wide+first+o]
			}
		}
	}
	for o := done; o < columns; o++ {
		for tap := range c.depth {
			c.dw[(first+o)*c.depth+tap] = d.transposed[tap*wide+first+o]
		}
	}
}
