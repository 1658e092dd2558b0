package kernel

import "unsafe"

// sparseConv2D is the gradient of a convolution that max pooling follows. Of each window one position receives the
// gradient, and none where ReLU cut it off; so the sums run over the positions that have one. That is exact: what is left
// out are products with zero.
type sparseConv2D struct {
	conv      *Conv2D
	elements  int     // of a window
	positions []int32 // where in an image the input of each position of each window starts, in bytes; -1 outside
	chunks    []chunk
	mask      []int32
	images    int // taken together
	weights   []float32
	padded    [][]float32 // by worker: gradient of padded images

	parametersTask, inputTask func(worker, item int)
}

// sparseLists is a thread's lists of gradients.
type sparseLists struct {
	items   []item
	buckets []bucket
	counts  []int32
}

// chunk is a part of a filter, rows kernel rows by vectors, that is summed in registers.
type chunk struct {
	row, rows      int
	first, vectors int // in vectors of a kernel row
	partial        bool
}

// registersForSums is how many vectors a chunk may have.
const registersForSums = 12

func sparseChunks(kernelHeight, run, lanes int) []chunk {
	vectors := ceil(run, lanes)
	rows, columns := 1, ceil(vectors, ceil(vectors, registersForSums))
	if columns == vectors {
		rows = min(5, registersForSums/vectors)
		rows = ceil(kernelHeight, ceil(kernelHeight, rows))
	}
	var chunks []chunk
	for r := 0; r < kernelHeight; r += rows {
		for v := 0; v < vectors; v += columns {
			k := chunk{row: r, rows: min(rows, kernelHeight-r), first: v, vectors: min(columns, vectors-v)}
			k.partial = k.first+k.vectors == vectors && run%lanes != 0
			chunks = append(chunks, k)
		}
	}
	return chunks
}

// channelBlock is how many output channels' weight gradients are one item of work.
const channelBlock = 8

func newSparseConv2D(c *Conv2D) *sparseConv2D {
	s := &sparseConv2D{conv: c, elements: c.config.MaxPool.Height * c.config.MaxPool.Width}
	windows := c.outHeight * c.outWidth
	s.positions = make([]int32, windows*s.elements)
	for w := range windows {
		for p := range s.elements {
			s.positions[w*s.elements+p] = -1
		}
		c.visitWindow(w, func(position, i, j int) { s.positions[w*s.elements+position] = int32(c.position(i, j)) })
	}
	lanes := c.engine.Set.lanes
	s.chunks = sparseChunks(c.config.KernelHeight, c.run, lanes)
	if rest := c.run % lanes; rest != 0 {
		s.mask = make([]int32, lanes)
		for i := range rest {
			s.mask[i] = -1
		}
	}
	// Two images of some 16 KB, or more smaller ones, keep the sums' traffic low beside the products.
	s.images = min(max(1, (10<<10)/c.imageSize), c.config.Batch)
	s.parametersTask, s.inputTask = s.parametersItem, s.inputItem
	return s
}

func (s *sparseConv2D) backwardParameters() {
	c := s.conv
	windows := c.outHeight * c.outWidth
	for i := range c.work {
		l := &c.work[i].lists
		s.grow(l, channelBlock*s.images*windows, channelBlock)
	}
	c.engine.Pool.Run(ceil(c.config.Filters, channelBlock), s.parametersTask)
}

// grow makes room in a thread's lists, the first time that they are used.
func (s *sparseConv2D) grow(l *sparseLists, items, buckets int) {
	if len(l.items) < items {
		l.items = make([]item, items)
	}
	if len(l.buckets) < buckets {
		l.buckets = make([]bucket, buckets)
	}
	if len(l.counts) < max(channelBlock, s.elements) {
		l.counts = make([]int32, max(channelBlock, s.elements))
	}
}

// parametersItem computes the gradients of the weights and biases of a block of output channels.
func (s *sparseConv2D) parametersItem(worker, block int) {
	c := s.conv
	ws, filters := &c.work[worker], c.config.Filters
	first := block * channelBlock
	channels := min(channelBlock, filters-first)
	clear(c.dw[first*c.depth : (first+channels)*c.depth])
	clear(c.db[first : first+channels])
	windows := c.outHeight * c.outWidth
	capacity := s.images * windows
	for image := 0; image < c.config.Batch; image += s.images {
		images := min(s.images, c.config.Batch-image)
		counts := ws.lists.counts[:channels]
		clear(counts)
		for i := range images * windows {
			at := (image*windows+i)*filters + first
			gradients, index := c.dy[at:at+channels], c.index[at:at+channels]
			base, window := int32(i/windows*c.imageSize*4), i%windows*s.elements
			for k, g := range gradients {
				if p := index[k]; p != positionNone && g != 0 {
					ws.lists.items[k*capacity+int(counts[k])] = item{value: g, src: base + s.positions[window+int(p)]}
					counts[k]++
				}
			}
		}
		for k, n := range counts {
			ws.lists.buckets[k] = bucket{dst: int32(4 * k * c.depth), count: n, start: int32(8 * k * capacity)}
			sum := c.db[first+k]
			for _, it := range ws.lists.items[k*capacity : k*capacity+int(n)] {
				sum += it.value
			}
			c.db[first+k] = sum
		}
		for _, k := range s.chunks {
			ws.sparse = sparseArgs{
				Dst:     pointer(c.dw[first*c.depth+k.row*c.run+k.first*c.engine.Set.lanes:]),
				Src:     unsafe.Add(c.source(image), 4*(k.row*c.rowSize+k.first*c.engine.Set.lanes)),
				Buckets: &ws.lists.buckets[0], Count: channels, Items: &ws.lists.items[0],
				DstRow: 4 * c.run, SrcRow: 4 * c.rowSize,
			}
			if k.partial {
				ws.sparse.Mask = unsafe.Pointer(&s.mask[0])
			}
			c.engine.Set.sparse(k.rows, k.vectors, &ws.sparse)
		}
	}
}

func (s *sparseConv2D) backwardInput() {
	c := s.conv
	windows := c.outHeight * c.outWidth
	padded := c.config.PaddingHeight > 0 || c.config.PaddingWidth > 0
	if padded && s.padded == nil {
		s.padded = make([][]float32, len(c.work))
		for i := range s.padded {
			s.padded[i] = aligned(s.images * c.imageSize)
		}
	}
	if c.run%c.engine.Set.lanes != 0 {
		if s.weights == nil {
			s.weights = aligned(len(c.w))
		}
		copy(s.weights, c.w)
	}
	buckets := s.images * windows * s.elements
	for i := range c.work {
		s.grow(&c.work[i].lists, buckets*c.config.Filters, buckets)
	}
	c.engine.Pool.Run(ceil(c.config.Batch, s.images), s.inputTask)
}

// inputItem computes the gradient of some images. The channels of a window that have a gradient are sorted by the
// position that it goes to, so that the sum over them is taken in registers.
func (s *sparseConv2D) inputItem(worker, item int) {
	c := s.conv
	ws := &c.work[worker]
	image := item * s.images
	images := min(s.images, c.config.Batch-image)
	size := c.config.Height * c.config.Width * c.config.Channels
	dx := c.dx[image*size : (image+images)*size]
	if s.padded != nil {
		dx = s.padded[worker][:images*c.imageSize]
	}
	clear(dx)
	used := s.sortByPosition(ws, image, images)
	weights := c.w
	if c.run%c.engine.Set.lanes != 0 {
		weights = s.weights
	}
	if used > 0 {
		for _, k := range s.chunks {
			ws.sparse = sparseArgs{
				Dst:     unsafe.Add(pointer(dx), 4*(k.row*c.rowSize+k.first*c.engine.Set.lanes)),
				Src:     unsafe.Add(pointer(weights), 4*(k.row*c.run+k.first*c.engine.Set.lanes)),
				Buckets: &ws.lists.buckets[0], Count: used, Items: &ws.lists.items[0],
				DstRow: 4 * c.rowSize, SrcRow: 4 * c.run,
			}
			if k.partial {
				ws.sparse.Mask = unsafe.Pointer(&s.mask[0])
			}
			c.engine.Set.sparse(k.rows, k.vectors, &ws.sparse)
		}
	}
	if s.padded != nil {
		row := c.config.Width * c.config.Channels
		for i := range images * c.config.Height {
			n, h := i/c.config.Height, i%c.config.Height
			src := n*c.imageSize + (h+c.config.PaddingHeight)*c.rowSize + c.config.PaddingWidth*c.config.Channels
			copy(c.dx[(image*c.config.Height+i)*row:(image*c.config.Height+i+1)*row], dx[src:])
		}
	}
}

// sortByPosition fills the lists with a bucket for each position of each window that has gradients, and returns how many
// there are.
func (s *sparseConv2D) sortByPosition(ws *convWork, image, images int) int {
	c := s.conv
	windows, filters := c.outHeight*c.outWidth, c.config.Filters
	counts := ws.lists.counts[:s.elements]
	used := 0
	for i := range images * windows {
		at := (image*windows + i) * filters
		gradients, index := c.dy[at:at+filters], c.index[at:at+filters]
		clear(counts)
		region := i * s.elements * filters
		for o, g := range gradients {
			if p := index[o]; p != positionNone && g != 0 {
				ws.lists.items[region+int(p)*filters+int(counts[p])] = item{value: g, src: int32(4 * o * c.depth)}
				counts[p]++
			}
		}
		for p, n := range counts {
			if n > 0 {
				ws.lists.buckets[used] = bucket{
					dst:   int32(4*(i/windows)*c.imageSize) + s.positions[i%windows*s.elements+p],
					count: n, start: int32(8 * (region + p*filters)),
				}
				used++
			}
		}
	}
	return used
}
