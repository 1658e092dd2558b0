package kernel

// planBlocks cuts an image's output, or that of several small images, into blocks.
func (c *Conv2D) planBlocks() {
	if c.config.MaxPool != nil {
		c.planPooledBlocks()
		return
	}
	positions := c.convHeight * c.convWidth
	most := blockPositions
	if 4*c.depth*c.config.Filters > manyWeights {
		most = manyPositions
	}
	c.images = min(max(1, most/positions), c.config.Batch)
	total := c.images * positions
	// As many positions each as near as tiles allow: a short last block would read all weights for
	// few.
	step := ceil(ceil(total, max(1, (total+most/2)/most)), tileRows) * tileRows
	if c.config.Direct && most == blockPositions {
		step = min(step, c.sharedStep(total))
	}
	for first := 0; first < total; first += step {
		var b convBlock
		for p := first; p < min(first+step, total); p++ {
			image, at := p/positions, p%positions
			b.aOffsets = append(b.aOffsets,
				int64(4*image*c.imageSize+c.position(at/c.convWidth, at%c.convWidth)))
			b.cOffsets = append(b.cOffsets, int64(4*p*c.config.Filters))
		}
		c.blocks = append(c.blocks, b)
	}
}

// sharedStep returns how many of the positions of an item's images a block has at most for the
// threads to have equal shares: with few images and panels, blocks are what there is to share.
// Where the last item has fewer images, all are one block, of which it computes the beginning.
func (c *Conv2D) sharedStep(total int) int {
	threads, groups := c.engine.Pool.Threads(), ceil(c.config.Batch, c.images)
	if threads == 1 || groups >= 2*threads || c.config.Batch%c.images > 0 {
		return total
	}
	blocks := min(ceil(8*threads, groups*ceil(c.columns.count(), 2)), max(1, total/leastPositions))
	tile := c.tileRows()
	return ceil(ceil(total, blocks), tile) * tile
}

// leastPositions is how many positions a block has at least.
const leastPositions = 24

// Where weights are of more bytes than manyWeights, each block reads them from behind the
// second-level cache. So it has more positions then, whose input, unlike all of the weights, stays
// in that cache.
const manyWeights, manyPositions = 768 << 10, 240

// tileRows is a multiple of the heights of the sets' tiles, 6 and 8.
const tileRows = 24

// planPooledBlocks makes blocks of whole windows: the positions that they need, and for each window
// the table of its elements. Positions that no window needs are not computed; those of windows that
// overlap are computed once a block.
func (c *Conv2D) planPooledBlocks() {
	windows := c.outHeight * c.outWidth
	pool := c.config.MaxPool
	c.images = min(max(1, blockPositions/(windows*pool.Height*pool.Width)), c.config.Batch)
	b, known := convBlock{}, map[int]int{}
	for w := range c.images * windows {
		if fresh := c.missing(w, known); len(b.entries) > 0 && len(known)+fresh > blockPositions {
			c.blocks = append(c.blocks, b)
			b = convBlock{window: w}
			clear(known)
		}
		c.addWindow(&b, w, known)
	}
	c.blocks = append(c.blocks, b)
}

// key numbers the convolution's output positions of all images of an item.
func (c *Conv2D) key(window, i, j int) int {
	return (window/(c.outHeight*c.outWidth)*c.convHeight+i)*c.convWidth + j
}

// missing counts the positions of a window that are not known yet.
func (c *Conv2D) missing(window int, known map[int]int) int {
	count := 0
	c.visitWindow(window%(c.outHeight*c.outWidth), func(_, i, j int) {
		if _, ok := known[c.key(window, i, j)]; !ok {
			count++
		}
	})
	return count
}

// addWindow appends a window to a block, with the positions that it is the first to need.
func (c *Conv2D) addWindow(b *convBlock, window int, known map[int]int) {
	elements, rowBytes := c.config.MaxPool.Height*c.config.MaxPool.Width, 4*c.engine.Set.panel()
	image, first := window/(c.outHeight*c.outWidth), len(b.entries)
	c.visitWindow(window%(c.outHeight*c.outWidth), func(position, i, j int) {
		key := c.key(window, i, j)
		if _, ok := known[key]; !ok {
			known[key] = len(b.aOffsets)
			b.aOffsets = append(b.aOffsets, int64(4*image*c.imageSize+c.position(i, j)))
			b.cOffsets = append(b.cOffsets, int64(len(b.cOffsets)*rowBytes))
		}
		b.entries = append(b.entries, poolEntry{src: int32(known[key] * rowBytes),
			position: int32(position)})
	})
	b.entries = padWindow(b.entries, first+elements)
}

// padWindow repeats a window's last element up to the given number of entries, in place of
// positions outside: an equal never wins, and NaN wins with the same position.
func padWindow(entries []poolEntry, end int) []poolEntry {
	for len(entries) < end {
		entries = append(entries, entries[len(entries)-1])
	}
	return entries
}

// visitWindow calls f for the positions of a pooling window that are inside the convolution's
// output.
func (c *Conv2D) visitWindow(window int, f func(position, i, j int)) {
	pool := c.config.MaxPool
	top := window/c.outWidth*pool.StrideHeight - pool.PaddingHeight
	left := window%c.outWidth*pool.StrideWidth - pool.PaddingWidth
	for u := range pool.Height {
		for v := range pool.Width {
			if i, j := top+u, left+v; i >= 0 && i < c.convHeight && j >= 0 && j < c.convWidth {
				f(u*pool.Width+v, i, j)
			}
		}
	}
}

// part is a piece of the product's sum, of a few kilobytes of B.
type part struct {
	aShift, aJump int // bytes
	bRow          int
	runs, length  int
}

// panelBytes is what a part's panel of B takes at most, directPanelBytes that of a Direct plan: its
// panel is read from the second-level cache, which has it ahead of its use, and sums are stored and
// loaded less often.
const panelBytes, directPanelBytes = 16 << 10, 128 << 10

// splitDepth cuts a sum of runs of length elements, the runs rowBytes apart in A, into parts whose
// panels take so many bytes at most. It does not change the order of the sum.
func splitDepth(set *Set, panelBytes, runs, length, rowBytes int) []part {
	if runs > 1 && rowBytes == 4*length {
		runs, length = 1, runs*length
	}
	limit := panelBytes / (4 * set.panel())
	var parts []part
	if length > limit {
		step := ceil(length, ceil(length, limit))
		for r := range runs {
			for k := 0; k < length; k += step {
				parts = append(parts, part{aShift: r*rowBytes + 4*k, bRow: r*length + k, runs: 1,
					length: min(step, length-k)})
			}
		}
		return parts
	}
	step := ceil(runs, ceil(runs, max(1, limit/length)))
	for r := 0; r < runs; r += step {
		parts = append(parts, part{
			aShift: r * rowBytes, aJump: rowBytes - 4*length,
			bRow: r * length, runs: min(step, runs-r), length: length,
		})
	}
	return parts
}
