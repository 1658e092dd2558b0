package kernel

import "unsafe"

// denseConv2D is the gradient of a convolution that no max pooling follows, by matrix products.
//
// The weights' gradient is, for a panel of output channels, Σ over positions of x[position+tap] · dy[position]: a row of
// the product's A is a tap, a row of B the gradient of one position, read where it lies.
//
// The input's gradient at (h, k) takes the taps (u, v) with u ≡ h+PH (mod SH), v ≡ k+PW (mod SW). For each of the
// SH·SW phases it is a convolution of stride 1 of dy, zero-padded, with those taps in reverse order.
type denseConv2D struct {
	conv *Conv2D

	top, left       int // padding of dy, in positions
	rowSize         int // of padded dy, in elements
	imageSize       int
	gradient        []float32 // padded dy, where ReLU let it through
	transposed      []float32 // dw as taps × channels
	tapOffsets      []int64
	rowOffsets      []int64
	biasSums        []float32
	one             []float32
	columns         panels // of input channels
	phases          []phase
	images          int            // of an input item
	together        int            // images of a product of the parameters' gradient
	scatter         *scatterConv2D // nil where this way is better
	empty           bool           // a phase has no taps
	masked          *float32       // the gradient that BackwardParameters left in d.gradient; nil: none
	maskTask        func(worker, item int)
	parametersTask  func(worker, item int)
	untransposeTask func(worker, item int)
	packTask        func(worker, item int)
	inputTask       func(worker, item int)
}

// phase is the input positions of one residue of both coordinates.
type phase struct {
	rowTaps, columnTaps []int // kernel rows and columns, in the order in which dy is read
	packed              []float32
	parts               []part
	blocks              []convBlock
}

// tapBlock is how many taps' gradients are one item of work, a multiple of every tile height.
const tapBlock = 96

// gradientPositions is how many positions of small images a weight gradient's product sums at a time: enough to be worth
// loading and storing the sums, few enough that both operands stay in the first-level cache.
const gradientPositions = 256

func newDenseConv2D(c *Conv2D) *denseConv2D {
	d := &denseConv2D{conv: c}
	d.maskTask, d.parametersTask, d.untransposeTask = d.maskImage, d.parametersItem, d.untransposePanel
	d.packTask, d.inputTask = d.packItem, d.inputItem
	return d
}

// prepare allocates what both gradients need, the first time.
func (d *denseConv2D) prepare() {
	if d.gradient != nil {
		return
	}
	f, c := &d.conv.config, d.conv
	d.top, d.left = ceil(f.KernelHeight, f.StrideHeight)-1, ceil(f.KernelWidth, f.StrideWidth)-1
	bottom := max(0, (f.Height-1+f.PaddingHeight)/f.StrideHeight-(c.convHeight-1))
	right := max(0, (f.Width-1+f.PaddingWidth)/f.StrideWidth-(c.convWidth-1))
	d.rowSize = (d.left + c.convWidth + right) * f.Filters
	d.imageSize = (d.top + c.convHeight + bottom) * d.rowSize
	d.gradient = aligned(f.Batch*d.imageSize + slack)[:f.Batch*d.imageSize]
}

func (d *denseConv2D) prepareParameters() {
	if d.transposed != nil {
		return
	}
	c := d.conv
	wide := c.columns.padded()
	d.transposed = aligned(c.depth * wide)
	d.biasSums = aligned(wide)
	d.one = aligned(1)
	d.one[0] = 1
	d.together = min(max(1, gradientPositions/(c.convHeight*c.convWidth)), c.config.Batch)
	for tap := range c.depth {
		u, rest := tap/c.run, tap%c.run
		d.tapOffsets = append(d.tapOffsets, int64(4*(u*c.rowSize+rest)))
		d.rowOffsets = append(d.rowOffsets, int64(4*tap*wide))
	}
}

func (d *denseConv2D) prepareInput() {
	if d.phases != nil {
		return
	}
	f, c := &d.conv.config, d.conv
	set := c.engine.Set.forChannels(f.Channels)
	d.columns = newPanels(set, f.Channels)
	// Taps of a residue, in the order of increasing output row: decreasing kernel row.
	taps := func(residue, kernel, stride int) []int {
		var t []int
		for u := residue; u < kernel; u += stride {
			t = append([]int{u}, t...)
		}
		return t
	}
	d.images = min(max(1, blockPositions*f.StrideHeight*f.StrideWidth/(f.Height*f.Width)), f.Batch)
	for rowResidue := range f.StrideHeight {
		for columnResidue := range f.StrideWidth {
			p := phase{rowTaps: taps(rowResidue, f.KernelHeight, f.StrideHeight), columnTaps: taps(columnResidue, f.KernelWidth, f.StrideWidth)}
			d.planPhase(&p, rowResidue, columnResidue)
			if len(p.blocks) == 0 {
				continue
			}
			if len(p.rowTaps) == 0 || len(p.columnTaps) == 0 {
				d.empty = true
				continue
			}
			run := len(p.columnTaps) * f.Filters
			p.parts = splitDepth(set, len(p.rowTaps), run, 4*d.rowSize)
			d.phases = append(d.phases, p)
		}
	}
	if d.scatter = newScatterConv2D(d); d.scatter != nil {
		return
	}
	for i := range d.phases {
		p := &d.phases[i]
		p.packed = aligned(d.columns.padded() * len(p.rowTaps) * len(p.columnTaps) * f.Filters)
	}
}

// planPhase lists the input positions of a phase, for one image or several small ones.
func (d *denseConv2D) planPhase(p *phase, rowResidue, columnResidue int) {
	f := &d.conv.config
	var b convBlock
	for image := range d.images {
		for h := range f.Height {
			if (h+f.PaddingHeight)%f.StrideHeight != rowResidue {
				continue
			}
			for k := range f.Width {
				if (k+f.PaddingWidth)%f.StrideWidth != columnResidue {
					continue
				}
				i := (h+f.PaddingHeight)/f.StrideHeight - (len(p.rowTaps) - 1) + d.top
				j := (k+f.PaddingWidth)/f.StrideWidth - (len(p.columnTaps) - 1) + d.left
				b.aOffsets = append(b.aOffsets, int64(4*(image*d.imageSize+i*d.rowSize+j*f.Filters)))
				b.cOffsets = append(b.cOffsets, int64(4*((image*f.Height+h)*f.Width+k)*f.Channels))
				if d.images == 1 && len(b.aOffsets) == blockPositions {
					p.blocks = append(p.blocks, b)
					b = convBlock{}
				}
			}
		}
	}
	if len(b.aOffsets) > 0 {
		p.blocks = append(p.blocks, b)
	}
}

// maskImage copies an image's gradient into the middle of its padded copy, where ReLU let it through.
func (d *denseConv2D) maskImage(_, image int) {
	c := d.conv
	row := c.convWidth * c.config.Filters
	for i := range c.convHeight {
		dst := d.gradient[image*d.imageSize+(i+d.top)*d.rowSize+d.left*c.config.Filters:][:row]
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
	d.prepare()
	d.prepareParameters()
	c.engine.Pool.Run(c.config.Batch, d.maskTask)
	d.masked = &c.dy[0]
	c.engine.Pool.Run(c.columns.count()*ceil(c.depth, tapBlock), d.parametersTask)
	c.engine.Pool.Run(c.columns.count(), d.untransposeTask)
	copy(c.db, d.biasSums)
}

func (d *denseConv2D) parametersItem(worker, item int) {
	c, f := d.conv, &d.conv.config
	blocks := ceil(c.depth, tapBlock)
	tap := item % blocks * tapBlock
	a, width, first := &c.work[worker].product, c.columns.width(item/blocks), c.columns.first(item/blocks)
	// The gradient's rows and images are apart by the padding that is for the input's gradient.
	b := productArgs{
		Runs: c.convHeight, Length: c.convWidth, BStep: 4 * f.Filters, BJump: 4 * (d.rowSize - c.convWidth*f.Filters),
		BGroupJump: 4 * (d.imageSize - c.convHeight*d.rowSize), Floor: nan32,
	}
	for image := 0; image < f.Batch; image += d.together {
		images := min(d.together, f.Batch-image)
		b.Groups, b.B = images, pointer(d.gradient[image*d.imageSize+d.top*d.rowSize+d.left*f.Filters+first:])
		if b.Init = nil; image == 0 {
			b.Init = pointer(c.columns.zeros)
		}
		*a = b
		a.A, a.AOffsets, a.C, a.COffsets = c.source(image), &d.tapOffsets[tap], pointer(d.transposed[first:]), &d.rowOffsets[tap]
		a.M = min(tapBlock, c.depth-tap)
		a.AStep = 4 * f.StrideWidth * f.Channels
		a.AJump = 4 * (f.StrideHeight*c.rowSize - c.convWidth*f.StrideWidth*f.Channels)
		a.AGroupJump = 4 * (c.imageSize - c.convHeight*f.StrideHeight*c.rowSize)
		c.engine.Set.productPanel(a, width)
		if tap > 0 {
			continue
		}
		*a = b
		a.A, a.AOffsets, a.C, a.COffsets, a.M = pointer(d.one), &d.rowOffsets[0], pointer(d.biasSums[first:]), &d.rowOffsets[0], 1
		c.engine.Set.productPanel(a, width)
	}
}

// untransposePanel turns a panel of the taps × channels gradient into rows of dw.
func (d *denseConv2D) untransposePanel(_, panel int) {
	c := d.conv
	first, columns, wide := c.columns.first(panel), c.columns.columns(panel), c.columns.padded()
	taps, done := c.depth&^7, 0
	for ; done+8 <= columns && taps > 0; done += 8 {
		for tap := 0; tap < taps; tap += 8 {
			c.engine.Set.transpose8(&c.dw[(first+done)*c.depth+tap], 4*c.depth, &d.transposed[tap*wide+first+done], 4*wide, 1)
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

func (d *denseConv2D) backwardInput() {
	c := d.conv
	d.prepare()
	d.prepareInput()
	if d.masked != &c.dy[0] {
		c.engine.Pool.Run(c.config.Batch, d.maskTask)
	}
	d.masked = nil
	if d.scatter != nil {
		d.scatter.backwardInput()
		return
	}
	if d.empty {
		clear(c.dx)
	}
	c.engine.Pool.Run(len(d.phases)*d.columns.count(), d.packTask)
	items := 0
	for i := range d.phases {
		items += len(d.phases[i].blocks)
	}
	c.engine.Pool.Run(items*ceil(c.config.Batch, d.images), d.inputTask)
}

// packItem stores a panel of input channels of the weights of a phase, a row for each tap and output channel.
func (d *denseConv2D) packItem(_, item int) {
	c, f := d.conv, &d.conv.config
	p, panel := &d.phases[item/d.columns.count()], item%d.columns.count()
	width, first := d.columns.width(panel), d.columns.first(panel)
	dst := p.packed[first*len(p.rowTaps)*len(p.columnTaps)*f.Filters:]
	for _, u := range p.rowTaps {
		for _, v := range p.columnTaps {
			w := c.w[(u*f.KernelWidth+v)*f.Channels:]
			d.columns.packRows(dst, w, f.Filters, c.depth, panel)
			dst = dst[min(len(dst), f.Filters*width):]
		}
	}
}

func (d *denseConv2D) inputItem(worker, item int) {
	c, f := d.conv, &d.conv.config
	groups := ceil(f.Batch, d.images)
	image := item % groups * d.images
	number := item / groups
	p := &d.phases[0]
	for i := range d.phases {
		if p = &d.phases[i]; number < len(p.blocks) {
			break
		}
		number -= len(p.blocks)
	}
	block := &p.blocks[number]
	positions := len(block.aOffsets)
	if d.images > 1 {
		positions = positions / d.images * min(d.images, f.Batch-image)
	}
	a := &c.work[worker].product
	depth := len(p.rowTaps) * len(p.columnTaps) * f.Filters
	for panel := range d.columns.count() {
		width, first := d.columns.width(panel), d.columns.first(panel)
		for k, part := range p.parts {
			*a = productArgs{
				A: unsafe.Add(pointer(d.gradient[image*d.imageSize:]), part.aShift), AOffsets: &block.aOffsets[0],
				C: pointer(c.dx[image*f.Height*f.Width*f.Channels+first:]), COffsets: &block.cOffsets[0],
				B: pointer(p.packed[first*depth+part.bRow*width:]), Mask: d.columns.mask(panel),
				M: positions, Runs: part.runs, Length: part.length, AStep: 4, AJump: part.aJump, BStep: 4 * width, Floor: nan32,
			}
			if k == 0 {
				a.Init = pointer(d.columns.zeros)
			}
			d.columns.set.productPanel(a, width)
		}
	}
}
