package kernel

// scatterConv2D is the input's gradient of a convolution, by adding each output position's part to
// the input positions that it read: for kernel row u, the KW·C values Σ over o of
// dy[i,j,o]·w[o,u,:,:] lie in one row of dx.
//
// Summing instead all parts of each input position, as denseConv2D does, stores every element once.
// But its rows are C wide, of which a vector may fill little, and it multiplies the zeros that dy
// is padded with.
//
// The rows of a product are the output rows i of some images at one column j, which no element of
// dx has in common.
type scatterConv2D struct {
	dense *denseConv2D

	runs     panels      // of the KW·C elements
	packed   []float32   // by kernel row: O rows of each panel
	images   int         // of an item
	aOffsets []int64     // by image and output row
	cOffsets []int64     // the same
	sums     [][]float32 // by worker: padded images, where there is padding
	packTask func(worker, item int)
	task     func(worker, item int)
}

// scatterOverhead is what a row's load and store cost, in steps of its sum.
const scatterOverhead = 6

// newScatterConv2D returns nil where denseConv2D's own way multiplies less.
func newScatterConv2D(d *denseConv2D) *scatterConv2D {
	c, f := d.conv, &d.conv.config
	runs := newPanels(c.engine.Set.forChannels(c.run), c.run)
	own := 0
	for i := range d.phases {
		p := &d.phases[i]
		for _, b := range p.blocks {
			own += len(b.aOffsets) * len(p.rowTaps) * len(p.columnTaps) * f.Filters * d.columns.stored()
		}
	}
	if own /= d.images; c.convHeight*c.convWidth*f.KernelHeight*(f.Filters+scatterOverhead)*runs.stored() >= own {
		return nil
	}
	s := &scatterConv2D{dense: d, runs: runs}
	s.packTask, s.task = s.packRow, s.item
	s.packed = aligned(f.KernelHeight * f.Filters * runs.padded())
	s.images = min(max(1, blockPositions/c.convHeight), f.Batch)
	for image := range s.images {
		for i := range c.convHeight {
			s.aOffsets = append(s.aOffsets, int64(4*(image*d.imageSize+i*d.rowSize)))
			s.cOffsets = append(s.cOffsets, int64(4*(image*c.imageSize+i*f.StrideHeight*c.rowSize)))
		}
	}
	s.sums = c.paddedGradients(s.images)
	return s
}

func (s *scatterConv2D) backwardInput() {
	c := s.dense.conv
	s.dense.reserve(s.images)
	c.engine.Pool.Run(c.config.KernelHeight, s.packTask)
	c.engine.Pool.Run(ceil(c.config.Batch, s.images), s.task)
}

// packRow stores a kernel row of the weights.
func (s *scatterConv2D) packRow(_, row int) {
	c, f := s.dense.conv, &s.dense.conv.config
	for panel := range s.runs.count() {
		s.runs.packRows(s.packed[(row*s.runs.padded()+s.runs.first(panel))*f.Filters:], c.w[row*c.run:],
			f.Filters, c.depth, panel)
	}
}

func (s *scatterConv2D) item(worker, item int) {
	d, c, f := s.dense, s.dense.conv, &s.dense.conv.config
	image := item * s.images
	images := min(s.images, f.Batch-image)
	gradient := d.gradients(worker, image, images)
	sums := c.dx[image*f.Height*f.Width*f.Channels:]
	if s.sums != nil {
		sums = s.sums[worker]
	}
	clear(sums[:images*c.imageSize])
	a := &c.work[worker].own.product
	for u := range f.KernelHeight {
		for j := range c.convWidth {
			for panel := range s.runs.count() {
				width, first := s.runs.width(panel), s.runs.first(panel)
				*a = productArgs{
					A: pointer(gradient[d.top*d.rowSize+(d.left+j)*f.Filters:]), AOffsets: &s.aOffsets[0],
					C: pointer(sums[u*c.rowSize+j*f.StrideWidth*f.Channels+first:]), COffsets: &s.cOffsets[0],
					B: pointer(s.packed[(u*s.runs.padded()+first)*f.Filters:]), Mask: s.runs.mask(panel),
					M: images * c.convHeight, Runs: 1, Length: f.Filters, AStep: 4, BStep: 4 * width, Floor: nan32,
				}
				s.runs.set.productPanel(a, width)
			}
		}
	}
	if s.sums != nil {
		c.unpad(sums, image, images)
	}
	c.finishInput(worker, image, images)
}
