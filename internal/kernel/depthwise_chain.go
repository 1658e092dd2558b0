package kernel

import (
	"fmt"
	"math"
)

// DepthwiseChainConfig describes a depthwise convolution and the pointwise ones around it: that
// before it, which makes its channels of as many Inputs, and that behind it, which makes Filters of
// them. 0 stands for none, of one of the two at most.
type DepthwiseChainConfig struct {
	Depthwise       DepthwiseConfig
	Inputs, Filters int
	// Finishes are what is done with the sums of each.
	Expand, Middle, Project Finish
}

// DepthwiseChain is a plan for such convolutions as one. Tensors are channels last. A plan owns
// what it keeps: Forward must not run at the same time as itself.
//
// An item of work is a band of output rows of an image. It goes down a few rows at a time: the rows
// of the expanded map that the depthwise convolution lacks are computed into a ring, with the
// padding in place, from there the depthwise rows, and of these the projection. So what lies
// between them stays in the second-level cache, of maps that are several times as large. Each sum
// is that of the convolution alone.
type DepthwiseChain struct {
	engine          Engine
	config          DepthwiseChainConfig
	height, width   int     // of y
	expand, project *Conv2D // nil for none
	pieces          []depthwisePiece
	bands           int // of an image
	rows            int // of outputs at a time
	ring            int // rows of it
	position, row   int // elements of a position and of a row there
	block           int // rows that are expanded at a time
	expanded        positions
	projected       positions
	bias            []float32 // of the depthwise convolution
	work            []apart[chainWork]
	task            func(worker, item int)

	x, y, kernels, z []float32
}

// chainWork is a thread's.
type chainWork struct {
	product   productArgs
	depthwise depthwiseArgs
	ring      []float32
	middle    []float32 // the depthwise rows, where they are projected
}

const (
	// chainBytes is what a ring takes at most if it can: with weights, and what is read and written,
	// it stays in the second-level cache.
	chainBytes = 256 << 10
	// chainPositions is how many positions are expanded at a time, of several short rows.
	chainPositions = 96
)

// NewDepthwiseChain returns a plan, or an error that says what is wrong with the configuration.
// Channels of the depthwise convolution must be whole vectors of the engine's set, or of its half.
func NewDepthwiseChain(engine Engine, config DepthwiseChainConfig) (*DepthwiseChain, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := config.Depthwise
	height, width, err := f.output()
	if err != nil {
		return nil, err
	}
	if config.Inputs < 0 || config.Filters < 0 || config.Inputs+config.Filters == 0 {
		return nil, fmt.Errorf("kernel: chain %+v: no pointwise convolution", config)
	}
	c := &DepthwiseChain{engine: engine, config: config, height: height, width: width}
	c.position = oddLines(f.Channels)
	framed := f.Width + 2*f.PaddingWidth + f.ExtraWidth
	if framed > math.MaxInt32/64/c.position/f.reach() || f.Batch > maxElements/max(
		f.Height*f.Width*max(f.Channels, config.Inputs), height*width*max(f.Channels, config.Filters)) {
		return nil, fmt.Errorf("kernel: chain %+v: too large", config)
	}
	c.row = framed * c.position
	c.rows = min(max(1, (chainBytes/(4*c.row)-f.reach())/f.StrideHeight+1), height)
	c.ring = (c.rows-1)*f.StrideHeight + f.reach()
	size := func(*Set) (row, position int) { return c.row, c.position }
	if c.pieces, err = f.pieces(engine.Set, config.Middle, c.ring, size); err != nil {
		return nil, err
	}
	if err := c.planPointwise(); err != nil {
		return nil, err
	}
	threads := engine.Pool.Threads()
	c.bands = 1
	if f.Batch < 2*threads {
		c.bands = min(ceil(threads, f.Batch), height)
	}
	c.bias = aligned(f.Channels)
	c.work = make([]apart[chainWork], threads)
	c.task = c.band
	return c, nil
}

// planPointwise makes the plans of the pointwise convolutions, and the tables of where they read
// and write.
func (c *DepthwiseChain) planPointwise() error {
	f := &c.config.Depthwise
	plan := func(channels, filters int, finish Finish) (*Conv2D, error) {
		p, err := NewConv2D(c.engine, Conv2DConfig{
			Batch: 1, Height: 1, Width: 1, Channels: channels, Filters: filters, KernelHeight: 1,
			KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, Direct: true, ConstantWeights: true,
		})
		if err == nil {
			p.Finish(finish)
		}
		return p, err
	}
	var err error
	c.block = f.Height
	if c.config.Inputs > 0 {
		if c.expand, err = plan(c.config.Inputs, f.Channels, c.config.Expand); err != nil {
			return err
		}
		c.block = max(1, chainPositions/f.Width)
		for row := range min(c.block, c.ring) {
			for k := range f.Width {
				c.expanded.from = append(c.expanded.from, int64(4*(row*f.Width+k)*c.config.Inputs))
				c.expanded.to = append(c.expanded.to, int64(4*(row*c.row+k*c.position)))
			}
		}
	}
	if c.config.Filters > 0 {
		if c.project, err = plan(f.Channels, c.config.Filters, c.config.Project); err != nil {
			return err
		}
		c.projected.from = rowOffsets(c.rows*c.width, f.Channels)
		c.projected.to = rowOffsets(c.rows*c.width, c.config.Filters)
	}
	return nil
}

// Pointwise returns the plans of the convolutions before and behind the depthwise one, nil for
// none. Before the first Forward each has to Pack its weights, or to Share them.
func (c *DepthwiseChain) Pointwise() (expand, project *Conv2D) { return c.expand, c.project }

// Output returns the height and width of y.
func (c *DepthwiseChain) Output() (height, width int) { return c.height, c.width }

// ChainMemory returns about how many bytes a plan for so many threads takes, and a call.
func (c DepthwiseChainConfig) ChainMemory(threads int) int {
	f := &c.Depthwise
	row := 4 * (f.Channels + 32) * (f.Width + 2*f.PaddingWidth + f.ExtraWidth)
	ring := max(chainBytes, row*f.reach())
	return threads*(2*ring+1<<10) + 4*f.Channels*(c.Inputs+c.Filters+64) +
		16*(max(chainPositions, f.Width)+ring/row*f.Width)
}
