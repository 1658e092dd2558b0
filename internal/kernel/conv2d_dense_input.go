package kernel

import "unsafe"

func (d *denseConv2D) prepareInput() {
	if d.phases != nil {
		return
	}
	f, c := &d.conv.config, d.conv
	d.phases = []phase{} // of which there may be none
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
			p := phase{rowTaps: taps(rowResidue, f.KernelHeight, f.StrideHeight),
				columnTaps: taps(columnResidue, f.KernelWidth, f.StrideWidth)}
			d.planPhase(&p, rowResidue, columnResidue)
			if len(p.blocks) == 0 {
				continue
			}
			if len(p.rowTaps) == 0 || len(p.columnTaps) == 0 {
				d.empty = true
				continue
			}
			run := len(p.columnTaps) * f.Filters
			p.parts = splitDepth(set, panelBytes, len(p.rowTaps), run, 4*d.rowSize)
			d.phases = append(d.phases, p)
		}
	}
	if d.scatter = newScatterConv2D(d); d.scatter != nil {
		return
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

func (d *denseConv2D) backwardInput() {
	c := d.conv
	d.prepareInput()
	if d.scatter != nil {
		d.scatter.backwardInput()
		return
	}
	memory := d.packInput()
	defer d.unpackInput(memory)
	c.engine.Pool.Run(ceil(c.config.Batch, d.images), d.inputTask)
}

// backward computes all gradients, those of the input of some images right behind their part of the
// parameters' gradient, while they are in the caches. It reports false, having done nothing, where
// the threads would not share that evenly or another way is better.
func (d *denseConv2D) backward() bool {
	d.prepareParameters()
	d.prepareInput()
	if d.scatter != nil || d.splits > 1 {
		return false
	}
	memory := d.packInput()
	defer d.unpackInput(memory)
	d.withInput = true
	d.backwardParameters()
	d.withInput = false
	return true
}

// packInput packs the weights as the input's gradient reads them, into memory that unpackInput
// gives back.
func (d *denseConv2D) packInput() []float32 {
	c := d.conv
	if d.empty {
		clear(c.dx)
	}
	memory := c.engine.Pool.scratch.take(d.packedSize())
	rest := memory
	for i := range d.phases {
		n := d.phases[i].packedSize(d)
		d.phases[i].packed, rest = rest[:n], rest[n:]
	}
	c.engine.Pool.Run(len(d.phases)*d.columns.count(), d.packTask)
	d.reserve(d.images)
	return memory
}

func (d *denseConv2D) unpackInput(memory []float32) {
	d.conv.engine.Pool.scratch.give(memory)
	for i := range d.phases {
		d.phases[i].packed = nil
	}
}

// packedSize returns how many elements the packed weights of a phase take, and of all phases.
func (p *phase) packedSize(d *denseConv2D) int {
	return line(d.columns.padded() * len(p.rowTaps) * len(p.columnTaps) * d.conv.config.Filters)
}

func (d *denseConv2D) packedSize() int {
	size := 0
	for i := range d.phases {
		size += d.phases[i].packedSize(d)
	}
	return size
}

// packItem stores a panel of input channels of the weights of a phase, a row for each tap and
// output channel.
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

// inputItem computes the gradient of some images.
func (d *denseConv2D) inputItem(worker, item int) {
	image := item * d.images
	d.inputImages(worker, image, min(d.images, d.conv.config.Batch-image))
}

func (d *denseConv2D) inputImages(worker, image, images int) {
	gradient := pointer(d.gradients(worker, image, images))
	for i := range d.phases {
		p := &d.phases[i]
		for b := range p.blocks {
			d.inputBlock(worker, p, &p.blocks[b], gradient, image, images)
		}
	}
	d.conv.finishInput(worker, image, images)
}

// inputBlock computes a block of a phase of some images, whose padded gradients start at gradient.
func (d *denseConv2D) inputBlock(worker int, p *phase, block *convBlock, gradient unsafe.Pointer,
	image, images int) {
	c, f := d.conv, &d.conv.config
	positions := len(block.aOffsets)
	if d.images > 1 {
		positions = positions / d.images * images
	}
	ws := &c.work[worker].own
	a := &ws.product
	depth := len(p.rowTaps) * len(p.columnTaps) * f.Filters
	for panel := range d.columns.count() {
		width, first := d.columns.width(panel), d.columns.first(panel)
		for k, part := range p.parts {
			*a = productArgs{
				A: unsafe.Add(gradient, part.aShift), AOffsets: &block.aOffsets[0],
				C: pointer(c.dx[image*f.Height*f.Width*f.Channels+first:]), COffsets: &block.cOffsets[0],
				B: pointer(p.packed[first*depth+part.bRow*width:]), Mask: d.columns.mask(panel),
				M: positions, Runs: part.runs, Length: part.length, AStep: 4, AJump: part.aJump,
				BStep: 4 * width, Floor: nan32,
			}
			if k == 0 {
				a.Init = pointer(d.columns.zeros)
			}
			ws.fetching.ask(a)
			d.columns.set.productPanel(a, width)
			ws.fetching.came(a.Fetch, a.FetchEnd)
		}
	}
}
