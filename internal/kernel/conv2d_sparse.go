package kernel

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// sparseConv2D is the gradient of a convolution that max pooling follows. Of each window one
// position receives the gradient, and none where ReLU cut it off; so the sums run over the
// positions that have one. That is exact: what is left out are products with zero.
type sparseConv2D struct {
	conv      *Conv2D
	elements  int     // of a window
	positions []int32 // where in an image the input of each position of each window starts, in bytes; -1 outside
	chunks    []chunk
	mask      []int32
	images    int // taken together
	cached    int // that stay in the second-level cache from one block of channels to the next
	splits    int // items of the parameters' gradient
	capacity  int // of a channel's list
	weights   []float32
	padded    [][]float32 // by worker: gradient of padded images

	parametersTask, inputTask func(worker, item int)
}

// sparseLists is a thread's lists of gradients.
type sparseLists struct {
	items   []item
	buckets []bucket
	counts  []int32
	cursors [channelBlock]int
	sums    [channelBlock]float32
}

// chunk is the parts of a filter that one kernel sums in registers: rows kernel rows by vectors
// each, at every shift. The shifts' dst is in a filter, their src in an image.
type chunk struct {
	rows, vectors int
	partial       bool
	shifts        []shift
	swapped       []shift // dst in an image, src in a filter
}

// registersForSums is how many vectors a chunk may have.
const registersForSums = 12

func sparseChunks(c *Conv2D) []chunk {
	lanes, kernelHeight := c.engine.Set.lanes, c.config.KernelHeight
	vectors := ceil(c.run, lanes)
	rows, columns := 1, ceil(vectors, ceil(vectors, registersForSums))
	if columns == vectors {
		rows = min(5, registersForSums/vectors)
		rows = ceil(kernelHeight, ceil(kernelHeight, rows))
	}
	var chunks []chunk
	for r := 0; r < kernelHeight; r += rows {
		for v := 0; v < vectors; v += columns {
			k := chunk{rows: min(rows, kernelHeight-r), vectors: min(columns, vectors-v)}
			k.partial = v+k.vectors == vectors && c.run%lanes != 0
			filter, image := 4*(r*c.run+v*lanes), 4*(r*c.rowSize+v*lanes)
			at := slices.IndexFunc(chunks, func(o chunk) bool {
				return o.rows == k.rows && o.vectors == k.vectors && o.partial == k.partial
			})
			if at < 0 {
				at, chunks = len(chunks), append(chunks, k)
			}
			chunks[at].shifts = append(chunks[at].shifts, shift{filter, image})
			chunks[at].swapped = append(chunks[at].swapped, shift{image, filter})
		}
	}
	return chunks
}

// channelBlock is how many output channels' weight gradients are summed side by side.
const channelBlock = 8

// cachedBytes is what of a core's second-level cache may hold images and their gradients.
const cachedBytes = 512 << 10

func newSparseConv2D(c *Conv2D) *sparseConv2D {
	s := &sparseConv2D{conv: c, elements: c.config.MaxPool.Height * c.config.MaxPool.Width}
	windows := c.outHeight * c.outWidth
	s.positions = make([]int32, windows*s.elements, windows*s.elements+8) // read in eights
	for w := range windows {
		for p := range s.elements {
			s.positions[w*s.elements+p] = -1
		}
		c.visitWindow(w, func(position, i, j int) {
			s.positions[w*s.elements+position] = int32(c.position(i, j))
		})
	}
	lanes := c.engine.Set.lanes
	s.chunks = sparseChunks(c)
	if rest := c.run % lanes; rest != 0 {
		s.mask = make([]int32, lanes)
		for i := range rest {
			s.mask[i] = -1
		}
	}
	// Small images are taken together, as far as they fit the first-level cache: that keeps the sums'
	// traffic low.
	s.images = min(max(1, (5<<10)/c.imageSize), c.config.Batch)
	s.images = max(1, min(s.images, maxListed/s.listed()))
	s.capacity = s.images*windows + 1
	perImage := 4*c.imageSize + 6*windows*c.config.Filters
	s.cached = min(max(1, cachedBytes/perImage/s.images)*s.images, c.config.Batch)
	s.splits = min(ceil(c.config.Filters, channelBlock), 2*c.engine.Pool.Threads())
	s.parametersTask, s.inputTask = s.parametersItem, s.inputItem
	return s
}

// maxListed is how many items a thread's list may have: kernels find them by an offset in bytes of
// 32 bits.
const maxListed = math.MaxInt32 / 8

// listed is how many items the list for the input's gradient has of an image: for each position of
// each window, room for all filters.
func (s *sparseConv2D) listed() int {
	return len(s.positions) * s.conv.config.Filters
}

func (s *sparseConv2D) backwardParameters() {
	c := s.conv
	for i := range c.work {
		l := &c.work[i].own.lists
		s.grow(l, channelBlock*s.capacity, channelBlock)
	}
	c.reserve(s.cached)
	c.engine.Pool.Run(s.splits, s.parametersTask)
}

// grow makes room in a thread's lists, the first time that they are used.
func (s *sparseConv2D) grow(l *sparseLists, items, buckets int) {
	if len(l.items) < items {
		l.items = make([]item, items)
	}
	if len(l.buckets) < buckets {
		l.buckets = make([]bucket, buckets)
	}
	if n := max(channelBlock, s.elements); len(l.counts) < n {
		l.counts = make([]int32, n, n+32) // no other thread's in the same cache line
	}
}

// parametersItem computes the gradients of the weights and biases of some blocks of output
// channels, over as many images at a time as stay in the second-level cache.
func (s *sparseConv2D) parametersItem(worker, item int) {
	c := s.conv
	blocks := ceil(c.config.Filters, channelBlock)
	from, to := item*blocks/s.splits, (item+1)*blocks/s.splits
	channels := min(to*channelBlock, c.config.Filters)
	clear(c.dw[from*channelBlock*c.depth : channels*c.depth])
	if c.db != nil {
		clear(c.db[from*channelBlock : channels])
	}
	for image := 0; image < c.config.Batch; image += s.cached {
		end := min(image+s.cached, c.config.Batch)
		source := c.source(worker, image, end-image)
		for block := from; block < to; block++ {
			for i := image; i < end; i += s.images {
				s.parametersBlock(worker, block, unsafe.Add(source, 4*(i-image)*c.imageSize), i,
					min(s.images, end-i))
			}
		}
	}
}

// parametersBlock adds the part of some images, which start at source, to the gradients of a block
// of output channels.
func (s *sparseConv2D) parametersBlock(worker, block int, source unsafe.Pointer, image,
	images int) {
	c := s.conv
	ws, first := &c.work[worker].own, block*channelBlock
	channels := min(channelBlock, c.config.Filters-first)
	s.listChannels(ws, image, images, first, channels)
	for k := range channels {
		start := k * s.capacity
		if c.db != nil {
			c.db[first+k] += ws.lists.sums[k]
		}
		ws.lists.buckets[k] = bucket{dst: int32(4 * k * c.depth),
			count: int32(ws.lists.cursors[k] - start), start: int32(8 * start)}
	}
	for i := range s.chunks {
		k := &s.chunks[i]
		ws.sparse = sparseArgs{
			Dst: pointer(c.dw[first*c.depth:]), Src: source,
			Buckets: &ws.lists.buckets[0], Count: channels, Items: &ws.lists.items[0],
			DstRow: 4 * c.run, SrcRow: 4 * c.rowSize, Mask: s.lanes(k), Shifts: &k.shifts[0],
			Pieces: len(k.shifts),
		}
		c.engine.Set.sparse(k.rows, k.vectors, &ws.sparse)
	}
}

// lanes returns the mask of a chunk's last vectors.
func (s *sparseConv2D) lanes(k *chunk) unsafe.Pointer {
	if k.partial {
		return unsafe.Pointer(&s.mask[0])
	}
	return nil
}

// listChannels lists the gradients of a block of channels of some images, channel k from item
// k·capacity on, and adds them to the sums.
func (s *sparseConv2D) listChannels(ws *convWork, image, images, first, channels int) {
	c := s.conv
	l, windows, filters := &ws.lists, c.outHeight*c.outWidth, c.config.Filters
	for k := range l.cursors {
		l.cursors[k], l.sums[k] = k*s.capacity, 0
	}
	for i := range images {
		at, base := (image+i)*windows*filters+first, 4*i*c.imageSize
		if channels == channelBlock && s.elements <= 8 {
			ws.gather = gatherArgs{
				Gradient: pointer(c.dy[at:]), GradientStep: 4 * filters, Index: unsafe.Pointer(&c.index[at]),
				IndexStep: 2 * filters,
				Positions: unsafe.Pointer(&s.positions[0]), PositionStep: 4 * s.elements, Windows: windows,
				Base:  base,
				Items: &l.items[0], Cursors: &l.cursors, Sums: &l.sums,
			}
			c.engine.Set.gather(&ws.gather)
			continue
		}
		for w := range windows {
			gradients, index := c.dy[at:at+channels], c.index[at:at+channels]
			for k, g := range gradients {
				if p := index[k]; p != positionNone && g != 0 {
					l.items[l.cursors[k]] = item{value: g, src: int32(base) + s.positions[w*s.elements+int(p)]}
					l.cursors[k]++
					l.sums[k] += g
				}
			}
			at += filters
		}
	}
}

func (s *sparseConv2D) backwardInput() error {
	c := s.conv
	windows := c.outHeight * c.outWidth
	if s.listed() > maxListed {
		return fmt.Errorf(
			"kernel: gradient of convolution input: %d windows of %d elements times %d filters are more than %d; pool less, or with a larger stride",
			windows, s.elements, c.config.Filters, maxListed)
	}
	if s.padded == nil {
		s.padded = c.paddedGradients(s.images)
	}
	if c.run%c.engine.Set.lanes != 0 {
		if s.weights == nil {
			s.weights = aligned(len(c.w))
		}
		copy(s.weights, c.w)
	}
	buckets := s.images * windows * s.elements
	for i := range c.work {
		s.grow(&c.work[i].own.lists, buckets*c.config.Filters, buckets)
	}
	c.engine.Pool.Run(ceil(c.config.Batch, s.images), s.inputTask)
	return nil
}

// inputItem computes the gradient of some images. The channels of a window that have a gradient are
// sorted by the position that it goes to, so that the sum over them is taken in registers.
func (s *sparseConv2D) inputItem(worker, item int) {
	c := s.conv
	ws := &c.work[worker].own
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
		for i := range s.chunks {
			k := &s.chunks[i]
			for j := range k.swapped { // one at a time: that part of all filters stays in the first-level cache
				ws.sparse = sparseArgs{
					Dst: pointer(dx), Src: pointer(weights),
					Buckets: &ws.lists.buckets[0], Count: used, Items: &ws.lists.items[0],
					DstRow: 4 * c.rowSize, SrcRow: 4 * c.run, Mask: s.lanes(k), Shifts: &k.swapped[j], Pieces: 1,
				}
				c.engine.Set.sparse(k.rows, k.vectors, &ws.sparse)
			}
		}
	}
	if s.padded != nil {
		c.unpad(dx, image, images)
	}
}

// sortByPosition fills the lists with a bucket for each position of each window that has gradients,
// and returns how many there are.
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
				ws.lists.items[region+int(p)*filters+int(counts[p])] = item{value: g,
					src: int32(4 * o * c.depth)}
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
