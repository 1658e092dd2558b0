package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// Conv2DConfig describes a convolution with bias, followed, where asked for, by ReLU and by max
// pooling.
type Conv2DConfig struct {
	Batch, Height, Width, Channels int
	Filters                        int
	KernelHeight, KernelWidth      int
	StrideHeight, StrideWidth      int
	PaddingHeight, PaddingWidth    int
	ReLU                           bool
	MaxPool                        *Window
	// Direct computes every sum as it is written. Otherwise the forward pass may use Winograd's
	// minimal filtering, whose rounding errors are a few times larger and differ between equal
	// positions.
	Direct bool
	// ConstantWeights promises that every Forward is given the same weights: the plan keeps them as the
	// first one packed or transformed them. The bias may change. Which way a plan takes, and the bits
	// of an image, do not depend then on the batch around it; it has no gradients unless it is Direct.
	ConstantWeights bool
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right.
	ExtraHeight, ExtraWidth int
	// FilteredGradients lets the gradients use Winograd's minimal filtering, too; that of the weights
	// does where db is nil. It also lets the weights' gradient be summed in another order than without
	// it: over bands of positions where the kernel has one tap, and in more partial sums where they
	// are small.
	FilteredGradients bool
}

// Conv2D is a plan for y = pool(relu(conv(x, w) + b)) and its gradients at one shape. Tensors are
// channels last: x N×H×W×C, y N×OH×OW×O (of the pooled map, if there is pooling), weights
// O×KH×KW×C, bias O. A plan owns its scratch memory: its methods must not run at the same time as
// each other. A backward method belongs to the last Forward and must be given the same x.
type Conv2D struct {
	engine             Engine
	whole              Engine // the engine as it was given
	config             Conv2DConfig
	convHeight         int // of the convolution's output
	convWidth          int
	outHeight          int // of y, as it is computed: see bands
	outWidth           int
	output             [2]int    // and as it is
	run, depth         int       // elements of one kernel row, and of a filter
	rowSize, imageSize int       // elements of the input as it is read: padded, if there is padding
	input              []float32 // padded images of the batch, where threads share them
	copied             bool      // whether the images are read from copies

	columns panels
	packed  []float32 // weights as the product reads them; nil before the first
	kept    bool      // packed holds the constant weights
	held    uint64    // of which held weights packed is
	bias    []float32
	index   []uint16 // where each maximum came from
	images  int      // a forward item's images
	blocks  []convBlock
	parts   []part
	work    []apart[convWork]

	normalised
	finish   finishing
	among    int             // channels of a position of y, see Among
	split    int             // into how many parts of its panels a block is cut, where blocks are few
	winograd *winogradConv2D // nil where it does not apply
	single   *Conv2D         // for an image by itself, nil before one is not finite
	filtered *inputConv2D    // the same of the input's gradient
	sparse   *sparseConv2D
	dense    *denseConv2D

	filteredWeights *winogradWeights // nil where it does not apply

	tiled, tiledInput *tiledConv2D // in bfloat16; nil where it does not apply
	tiledWeights      *tiledWeights

	share  *Conv2D // for one of the shares of the batch, nil where it has none
	shares int

	// The tensors of the call in progress.
	x, y, w, b, dy, dx, dw, db []float32

	copyTask, packTask, blockTask, groupTask func(worker, item int)
}

// convBlock is a piece of the output that one product call computes for a panel of channels.
type convBlock struct {
	aOffsets []int64 // where the input of each position starts, from the first image of the item
	cOffsets []int64 // where its output goes: into y, or into scratch if there is pooling
	window   int     // first window, if there is pooling
	entries  []poolEntry
}

// convWork is a thread's memory.
type convWork struct {
	product   productArgs
	fetching  fetching
	normalise normaliseArgs
	sparse    sparseArgs
	pool      poolArgs
	gather    gatherArgs
	images    []float32 // padded copies of some images
	gradients []float32 // and of their gradients, where ReLU let them through
	kept      int       // the first image of those, where they are not padded
	scratch   []float32
	row       []float32 // on its way to be rounded to bfloat16
	lists     sparseLists
}

// blockPositions is how many positions a product call aims at: enough that a panel of weights, read
// from the second-level cache, is used often; few enough that the results stay in the first. It is
// a multiple of every tile height.
const blockPositions = 96

// NewConv2D returns a plan, or an error that says what is wrong with the configuration.
func NewConv2D(engine Engine, config Conv2DConfig) (*Conv2D, error) {
	return newConv2D(engine, config, 1)
}

// newConv2D returns the plan for a batch that is so many shares.
func newConv2D(engine Engine, config Conv2DConfig, shares int) (*Conv2D, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if engine.BF16 != nil {
		if err := engine.CheckBF16(); err != nil {
			return nil, err
		}
	}
	f := config
	if f.Batch < 1 || f.Height < 1 || f.Width < 1 || f.Channels < 1 || f.Filters < 1 ||
		f.KernelHeight < 1 || f.KernelWidth < 1 || f.StrideHeight < 1 || f.StrideWidth < 1 ||
		f.PaddingHeight < 0 || f.PaddingWidth < 0 {
		return nil, fmt.Errorf(
			"kernel: convolution %+v: sizes and strides must be positive, padding not negative", f)
	}
	if f.ExtraHeight < 0 || f.ExtraWidth < 0 {
		return nil, fmt.Errorf("kernel: convolution %+v: padding must not be negative", f)
	}
	if tooLarge(f.Batch, f.Height, f.Width, f.Channels, f.Filters, f.KernelHeight, f.KernelWidth,
		f.StrideHeight, f.StrideWidth, f.PaddingHeight, f.PaddingWidth, f.ExtraHeight, f.ExtraWidth) {
		return nil, fmt.Errorf("kernel: convolution %+v: too large", f)
	}
	height, width := f.Height+2*f.PaddingHeight+f.ExtraHeight, f.Width+2*f.PaddingWidth+f.ExtraWidth // padded
	if height < f.KernelHeight || width < f.KernelWidth {
		return nil, fmt.Errorf("kernel: convolution kernel %d×%d does not fit the padded image %d×%d",
			f.KernelHeight, f.KernelWidth, height, width)
	}
	whole, padded := engine, [2]int{height, width}
	if pointwise, ok := f.bands(shares); ok {
		f, height, width = pointwise, pointwise.Height, pointwise.Width
	}
	// Rows of few elements are the vectors of the sparse gradient, few filters those of everything.
	engine.Set = engine.Set.forChannels(f.Filters)
	if f.MaxPool != nil {
		engine.Set = engine.Set.forChannels(f.KernelWidth * f.Channels)
	}
	c := &Conv2D{engine: engine, whole: whole, config: f}
	c.output = [2]int{(padded[0]-f.KernelHeight)/f.StrideHeight + 1,
		(padded[1]-f.KernelWidth)/f.StrideWidth + 1}
	c.convHeight = (height-f.KernelHeight)/f.StrideHeight + 1
	c.convWidth = (width-f.KernelWidth)/f.StrideWidth + 1
	c.outHeight, c.outWidth = c.convHeight, c.convWidth
	if f.MaxPool != nil {
		window := *f.MaxPool
		c.config.MaxPool = &window
		var err error
		if c.outHeight, c.outWidth, err = window.output(c.convHeight, c.convWidth); err != nil {
			return nil, err
		}
		c.output = [2]int{c.outHeight, c.outWidth}
	}
	c.run = f.KernelWidth * f.Channels
	c.depth = f.KernelHeight * c.run
	c.rowSize = width * f.Channels
	c.imageSize = height * c.rowSize
	if c.imageSize > math.MaxInt32/64 || c.outHeight*c.outWidth*f.Filters > math.MaxInt32/64 ||
		c.depth > math.MaxInt32/64/f.Filters || f.Batch > maxElements/max(c.imageSize,
		c.outHeight*c.outWidth*f.Filters) {
		return nil, fmt.Errorf("kernel: convolution %+v: image or weights too large", f)
	}
	set := engine.Set
	c.copied = height > f.Height || width > f.Width || f.MaxPool != nil && c.run%set.lanes != 0
	c.columns, c.among = newPanels(set, f.Filters), f.Filters
	c.bias = aligned(c.columns.padded())
	partBytes := panelBytes
	if f.Direct || f.ConstantWeights {
		partBytes = directPanelBytes
	}
	c.parts = splitDepth(set, partBytes, f.KernelHeight, c.run, 4*c.rowSize)
	c.planBlocks()
	scratch := 0
	if f.MaxPool != nil {
		c.index = make([]uint16, f.Batch*c.outHeight*c.outWidth*f.Filters)
		for _, b := range c.blocks {
			scratch = max(scratch, len(b.aOffsets)*set.panel())
		}
		c.sparse = newSparseConv2D(c)
	} else {
		c.dense = newDenseConv2D(c)
	}
	if engine.BF16 != nil && shares == 1 && f.MaxPool == nil && !f.Direct && !f.ConstantWeights {
		if f.multipliesInTiles() {
			c.tiled, c.tiledInput = newTiledForward(c), newTiledInput(c)
		}
		if f.weightsInTiles() {
			c.tiledWeights = newTiledWeights(c)
		}
		if c.tiled != nil || c.tiledInput != nil || c.tiledWeights != nil {
			engine.BF16.plans++
		}
	}
	if !f.Direct && c.tiled == nil {
		c.winograd = newWinogradConv2D(c)
		c.config.Direct = f.ConstantWeights && c.winograd == nil
	}
	if f.FilteredGradients && c.tiledInput == nil {
		c.filtered = newInputConv2D(c)
	}
	if f.FilteredGradients && c.tiledWeights == nil {
		c.filteredWeights = newWinogradWeights(c)
	}
	if c.winograd != nil && f.MaxPool != nil {
		scratch = max(scratch, c.winograd.scratch())
	}
	c.work = make([]apart[convWork], engine.Pool.Threads())
	for i := range c.work {
		c.work[i].own.scratch = aligned(scratch)
	}
	c.copyTask, c.packTask, c.blockTask, c.groupTask = c.copyImage, c.packPanel, c.forwardItem,
		c.forwardGroup
	return c, nil
}

// Follow has the backward methods of a plan for a share of a batch's images go by what the last
// Forward of the plan for all of them kept: from which positions the maxima of the share came. The
// plans are alike but for their batches.
func (c *Conv2D) Follow(whole *Conv2D, share int) error {
	if c.config.MaxPool == nil && whole.config.MaxPool == nil {
		return nil // nothing was kept
	}
	if f := whole.config; f.Batch%c.config.Batch != 0 || share < 0 ||
		share >= f.Batch/c.config.Batch || len(whole.index) != f.Batch/c.config.Batch*len(c.index) {
		return fmt.Errorf("kernel: share %d of %d images of a convolution of %d", share, c.config.Batch,
			f.Batch)
	}
	c.index = whole.index[share*len(c.index):][:len(c.index)]
	return nil
}

// Output returns the height and width of y.
func (c *Conv2D) Output() (height, width int) { return c.output[0], c.output[1] }

// sizeImage returns the elements of an image of x.
func (c *Conv2D) sizeImage() int { return c.config.Height * c.config.Width * c.config.Channels }

func (c *Conv2D) sizeX() int { return c.config.Batch * c.sizeImage() }

func (c *Conv2D) sizeY() int { return c.config.Batch * c.outHeight * c.outWidth * c.config.Filters }

// position returns where the input of output position (i, j) of the convolution starts in an image,
// in bytes.
func (c *Conv2D) position(i, j int) int {
	return 4 * (i*c.config.StrideHeight*c.rowSize + j*c.config.StrideWidth*c.config.Channels)
}

// Forward computes y from x, w and b.
func (c *Conv2D) Forward(y, x, w, b []float32) error {
	if err := lengths("convolution", size{"y", len(y), c.spanY()}, size{"x", len(x), c.sizeX()},
		size{"w", len(w), c.config.Filters * c.depth}, size{"b", len(b), c.config.Filters}); err != nil {
		return err
	}
	c.x, c.y, c.w, c.b = x, y, w, b
	defer c.release()
	copy(c.bias, b)
	if c.tiled != nil {
		copy(c.tiled.bias, b)
		c.tiled.compute(y)
		return nil
	}
	if c.winograd != nil {
		if c.winograd.forward() {
			return nil
		}
		c.engine.Pool.again.Add(1)
		if c.config.ConstantWeights && c.config.Batch > 1 {
			return c.forwardImages()
		}
		if c.share != nil {
			return c.forwardShares()
		}
	}
	c.forwardDirectly()
	return nil
}

// forwardDirectly shares the work by groups of images or, where there are too few for the threads,
// by blocks of them.
func (c *Conv2D) forwardDirectly() {
	if !c.kept && !c.engine.held(&c.held) {
		c.pack()
		c.kept = c.config.ConstantWeights
	}
	groups := ceil(c.config.Batch, c.images)
	if groups >= 2*c.engine.Pool.Threads() {
		c.reserve(c.images)
		c.engine.Pool.Run(groups, c.groupTask)
		return
	}
	if c.copied {
		// The plans of a network share it, and so find it in the caches.
		c.input = c.engine.Pool.scratch.take(c.config.Batch * c.imageSize)
		defer func() {
			c.engine.Pool.scratch.give(c.input)
			c.input = nil
		}()
		c.engine.Pool.Run(c.config.Batch*copyItems, c.copyTask)
	}
	items := groups * len(c.blocks)
	c.split = 1
	if threads := c.engine.Pool.Threads(); threads > 1 && c.config.MaxPool == nil {
		c.split = min(c.columns.count(), ceil(4*threads, items))
	}
	c.engine.Pool.Run(items*c.split, c.blockTask)
	c.finishAll()
}

// pack stores the call's weights as the product reads them.
func (c *Conv2D) pack() {
	if c.packed == nil {
		c.packed = aligned(c.columns.padded() * c.depth)
	}
	c.engine.Pool.Run(c.columns.count(), c.packTask)
}

// forwardGroup computes all blocks of a group of images.
func (c *Conv2D) forwardGroup(worker, group int) {
	image := group * c.images
	images := min(c.images, c.config.Batch-image)
	source := c.source(worker, image, images)
	c.work[worker].own.fetching.begin(c.imagesBehind(c.x, c.sizeImage(), image+images, c.images))
	for i := range c.blocks {
		c.forwardBlock(worker, &c.blocks[i], source, image, images, 0, c.columns.count())
	}
	c.finished(worker, image, images)
}

// forwardItem computes some panels of one block of a group of images, all of which are copied, if
// they must be.
func (c *Conv2D) forwardItem(worker, item int) {
	first, last := item%c.split*c.columns.count()/c.split, (item%c.split+1)*c.columns.count()/c.split
	item /= c.split
	image := item / len(c.blocks) * c.images
	source := c.x
	if c.copied {
		source = c.input
	}
	c.forwardBlock(worker, &c.blocks[item%len(c.blocks)], pointer(source[image*c.imageSize:]), image,
		min(c.images, c.config.Batch-image),
		first, last)
}

// release forgets the caller's tensors.
func (c *Conv2D) release() {
	c.x, c.y, c.w, c.b, c.dy, c.dx, c.dw, c.db = nil, nil, nil, nil, nil, nil, nil, nil
}

func (c *Conv2D) packPanel(_, panel int) {
	c.columns.packTransposed(c.packed[c.columns.first(panel)*c.depth:], c.w, c.depth, panel)
}

var nan32 = float32(math.NaN())

func floor(relu bool) float32 {
	if relu {
		return 0
	}
	return nan32
}

// forwardBlock computes panels first to last of a block of some images, which start at source.
func (c *Conv2D) forwardBlock(worker int, block *convBlock, source unsafe.Pointer, image, images,
	first, last int) {
	ws := &c.work[worker].own
	positions, pooled := len(block.aOffsets), c.config.MaxPool != nil
	begin := image * c.convHeight * c.convWidth * c.among
	windows := 0
	if pooled {
		windows = len(block.entries) / (c.config.MaxPool.Height * c.config.MaxPool.Width)
	}
	if c.images > 1 && len(c.blocks) == 1 {
		positions, windows = positions/c.images*images, windows/c.images*images
	}
	a := &ws.product
	for panel := first; panel < last; panel++ {
		width := c.columns.width(panel)
		pair := !pooled && panel+1 < last && c.pairs(panel)
		for k := range c.parts {
			c.arrange(a, block.aOffsets, block.cOffsets, panel, k)
			a.A, a.C, a.M = unsafe.Add(source, c.parts[k].aShift), pointer(ws.scratch), positions
			if !pooled {
				a.C = pointer(c.y[begin+c.columns.first(panel):])
				a.Mask = c.columns.mask(panel)
				if k == len(c.parts)-1 {
					a.Floor = floor(c.config.ReLU)
					c.finish.store(a, begin+c.columns.first(panel))
				}
			}
			ws.fetching.ask(a)
			c.multiply(a, width, pair)
			ws.fetching.came(a.Fetch, a.FetchEnd)
		}
		if pair {
			panel++
		}
		if pooled {
			c.poolPanel(ws, block.entries, image*c.outHeight*c.outWidth+block.window, windows, panel)
		}
	}
}

// poolPanel pools a panel of channels of windows from scratch into y, the first window being given.
func (c *Conv2D) poolPanel(ws *convWork, entries []poolEntry, first, windows, panel int) {
	filters, elements := c.config.Filters, c.config.MaxPool.Height*c.config.MaxPool.Width
	at := first*filters + c.columns.first(panel)
	columns, lanes := c.columns.columns(panel), c.engine.Set.lanes
	floor := floor(c.config.ReLU)
	if vectors := columns / lanes; vectors > 0 {
		ws.pool = poolArgs{
			Src: pointer(ws.scratch), Entries: &entries[0],
			Y: pointer(c.y[at:]), YStep: 4 * filters, Index: unsafe.Pointer(&c.index[at]),
			IndexStep: 2 * filters,
			Windows:   windows, Elements: elements, Vectors: vectors, Floor: floor,
		}
		c.engine.Set.poolMax(&ws.pool)
	}
	for channel := columns / lanes * lanes; channel < columns; channel++ {
		for w := range windows {
			i := at + w*filters + channel
			c.y[i], c.index[i] = poolWindow(pointer(ws.scratch), entries[w*elements:(w+1)*elements], channel,
				floor)
		}
	}
}
