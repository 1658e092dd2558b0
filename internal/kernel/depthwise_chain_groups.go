package kernel

import (
	"fmt"
	"unsafe"
)

// chainGroups are a chain's items where maps have few rows: groups of channels. An item expands its
// channels of a whole image into a frame of the thread's, with the padding in place, and convolves
// them from there. Nothing of it leaves the core but what the depthwise convolution makes, which is
// projected by blocks of positions when all of it is there.
type chainGroups struct {
	*DepthwiseChain
	groups        []channelGroup
	position, row int // elements of a position and of a row of a frame
	frame         int // elements of it
	block         int // rows that are expanded at a time
	expanded      positions
	step, blocks  int // positions that are projected at a time, and how often in an image
	split         int // into how many parts of its panels a block is cut
	projected     positions
	work          []apart[groupWork]
	middle        []float32 // the depthwise maps of the call in progress, where they are projected

	groupTask, projectTask func(worker, item int)
}

// channelGroup is some panels of the expanding convolution, and their channels.
type channelGroup struct {
	first, last int // panels
	channel     int // the first one
	pieces      []depthwisePiece
}

// groupWork is a thread's.
type groupWork struct {
	product   productArgs
	depthwise depthwiseArgs
	frame     []float32
}

// projectedLeast is how many positions a block has at least that is projected: of small maps there
// would be too few blocks otherwise.
const projectedLeast = 12

func newChainGroups(chain *DepthwiseChain) (*chainGroups, error) {
	c, f := &chainGroups{DepthwiseChain: chain}, &chain.config.Depthwise
	panels, threads := &c.expand.columns, c.engine.Pool.Threads()
	area := (f.Height + 2*f.PaddingHeight + f.ExtraHeight) *
		(f.Width + 2*f.PaddingWidth + f.ExtraWidth)
	// As few groups as give all threads equal shares and let a frame stay in the second-level cache.
	most := max(1, chainBytes/(4*area*panels.first(1)))
	share := ceil(threads, f.Batch)
	count := min(panels.count(), ceil(ceil(panels.count(), most), share)*share)
	channels := 0
	for i := range count {
		g := channelGroup{first: i * panels.count() / count, last: (i + 1) * panels.count() / count}
		g.channel = panels.first(g.first)
		channels = max(channels, min(panels.first(g.last), f.Channels)-g.channel)
		c.groups = append(c.groups, g)
	}
	c.position = oddLines(channels)
	c.row = (f.Width + 2*f.PaddingWidth + f.ExtraWidth) * c.position
	c.frame = area * c.position
	pieces, err := f.pieces(c.engine.Set, c.config.Middle, f.reach(),
		func(*Set) (row, position int) { return c.row, c.position })
	if err != nil {
		return nil, err
	}
	for i := range c.groups {
		g := &c.groups[i]
		for len(pieces) > 0 && (i+1 == len(c.groups) || pieces[0].channel < c.groups[i+1].channel) {
			g.pieces, pieces = append(g.pieces, pieces[0]), pieces[1:]
		}
		if len(g.pieces) == 0 || g.pieces[0].channel != g.channel {
			return nil, fmt.Errorf("kernel: chain %+v: panels of %d channels do not consist of its vectors",
				c.config, panels.first(1))
		}
	}
	c.block = min(max(1, chainPositions/f.Width), f.Height)
	c.expanded = framePositions(c.block, f.Width, c.config.Inputs, c.row, c.position)
	if c.project != nil {
		c.planProjection(threads)
	}
	c.work = make([]apart[groupWork], threads)
	c.groupTask, c.projectTask = c.computeGroup, c.projectBlock
	return c, nil
}

// planProjection cuts the depthwise map into blocks of positions, whole tiles but for the last one.
func (c *chainGroups) planProjection(threads int) {
	positions, pairs := c.height*c.width, ceil(c.project.columns.count(), 2)
	items, tile := 4*threads, c.project.tileRows()
	c.blocks = max(1, min(ceil(items, c.config.Depthwise.Batch*pairs), positions/projectedLeast))
	c.step = max(tile, positions/c.blocks/tile*tile)
	c.blocks = max(1, positions/c.step)
	c.split = min(pairs, ceil(items, c.config.Depthwise.Batch*c.blocks))
	last := positions - (c.blocks-1)*c.step
	c.projected.from = rowOffsets(last, c.config.Depthwise.Channels)
	c.projected.to = rowOffsets(last, c.config.Filters)
}

func (c *chainGroups) forward() {
	f, own, middle := &c.config.Depthwise, line(c.frame), 0
	if c.project != nil {
		middle = f.Batch * c.height * c.width * f.Channels
	}
	memory := c.engine.Pool.scratch.take(len(c.work)*own + middle)
	for i := range c.work {
		c.work[i].own.frame = memory[i*own:][:c.frame]
	}
	c.middle = c.y
	if c.project != nil {
		c.middle = memory[len(c.work)*own:]
	}
	c.engine.Pool.Run(f.Batch*len(c.groups), c.groupTask)
	if c.project != nil {
		c.engine.Pool.Run(f.Batch*c.blocks*c.split, c.projectTask)
	}
	c.engine.Pool.scratch.give(memory)
	c.middle = nil
	for i := range c.work {
		c.work[i].own = groupWork{}
	}
}

// computeGroup expands the channels of a group and convolves them.
func (c *chainGroups) computeGroup(worker, item int) {
	f, ws := &c.config.Depthwise, &c.work[worker].own
	image, g := item/len(c.groups), &c.groups[item%len(c.groups)]
	c.clearPadding(ws.frame)
	for row := 0; row < f.Height; row += c.block {
		n := min(c.block, f.Height-row) * f.Width
		from := c.x[(image*f.Height+row)*f.Width*c.config.Inputs:]
		to := ws.frame[(f.PaddingHeight+row)*c.row+f.PaddingWidth*c.position:]
		c.expand.pointwisePanels(&ws.product, &c.expanded, n, pointer(from), pointer(to), nil, g.first,
			g.last)
	}
	for i := range g.pieces {
		p, a := &g.pieces[i], &ws.depthwise
		c.arrange(a, p, c.position)
		a.Taps = &p.taps[0][0]
		for r := range c.height {
			a.X = pointer(ws.frame[r*f.StrideHeight*c.row+p.channel-g.channel:])
			a.Y = pointer(c.middle[(image*c.height+r)*c.width*f.Channels+p.channel:])
			a.Vectors = 1 // which the loop counts down
			p.set.depthwise((*byte)(unsafe.Pointer(a)))
		}
	}
}

// clearPadding makes what lies around an image in a frame zero.
func (c *chainGroups) clearPadding(frame []float32) {
	f := &c.config.Depthwise
	left, right := f.PaddingWidth*c.position, (f.PaddingWidth+f.Width)*c.position
	clear(frame[:f.PaddingHeight*c.row])
	clear(frame[(f.PaddingHeight+f.Height)*c.row:])
	for i := range f.Height {
		row := frame[(f.PaddingHeight+i)*c.row:][:c.row]
		clear(row[:left])
		clear(row[right:])
	}
}

// projectBlock projects a block of positions of an image to some of the filters.
func (c *chainGroups) projectBlock(worker, item int) {
	f, ws := &c.config.Depthwise, &c.work[worker].own
	image, block := item/c.split/c.blocks, item/c.split%c.blocks
	first, n := block*c.step, c.step
	if block == c.blocks-1 {
		n = c.height*c.width - first
	}
	at := image*c.height*c.width + first
	from, last := c.project.columns.share(item%c.split, c.split)
	to := at*c.config.Filters + c.project.columns.first(from)
	var z unsafe.Pointer
	if c.z != nil {
		z = pointer(c.z[to:])
	}
	c.project.pointwisePanels(&ws.product, &c.projected, n, pointer(c.middle[at*f.Channels:]),
		pointer(c.y[to:]), z, from, last)
}
