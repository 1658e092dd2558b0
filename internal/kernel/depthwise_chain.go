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
	// ByChannels shares the work among the threads by channels rather than by rows, which is for maps
	// of few rows; there must be a convolution before the depthwise one.
	ByChannels bool
}

// DepthwiseChain is a plan for such convolutions as one. Tensors are channels last. A plan owns
// what it keeps: Forward must not run at the same time as itself. Each sum is that of the
// convolution alone.
type DepthwiseChain struct {
	engine          Engine
	config          DepthwiseChainConfig
	height, width   int       // of y
	expand, project *Conv2D   // nil for none
	bias            []float32 // of the depthwise convolution
	way             chainWay

	x, y, kernels, z []float32 // of the call in progress
}

// chainWay is how a chain is cut into items of work.
type chainWay interface {
	// forward computes y of the call in progress.
	forward()
}

const (
	// chainBytes is what lies between the convolutions takes at most of a thread's memory if it can:
	// with weights, and what is read and written, it stays in the second-level cache.
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
	if config.ByChannels && config.Inputs == 0 {
		return nil, fmt.Errorf("kernel: chain %+v: nothing makes its channels", config)
	}
	framed, frame := f.Width+2*f.PaddingWidth+f.ExtraWidth, f.reach()
	if config.ByChannels {
		frame = f.Height + 2*f.PaddingHeight + f.ExtraHeight
	}
	if framed > math.MaxInt32/64/oddLines(f.Channels)/frame || f.Batch > maxElements/max(
		f.Height*f.Width*max(f.Channels, config.Inputs), height*width*max(f.Channels, config.Filters)) {
		return nil, fmt.Errorf("kernel: chain %+v: too large", config)
	}
	c := &DepthwiseChain{engine: engine, config: config, height: height, width: width,
		bias: aligned(f.Channels)}
	if config.Inputs > 0 {
		if c.expand, err = newPointwise(engine, config.Inputs, f.Channels, config.Expand); err != nil {
			return nil, err
		}
	}
	if config.Filters > 0 {
		if c.project, err = newPointwise(engine, f.Channels, config.Filters, config.Project); err != nil {
			return nil, err
		}
	}
	if config.ByChannels {
		c.way, err = newChainGroups(c)
	} else {
		c.way, err = newChainBands(c)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Pointwise returns the plans of the convolutions before and behind the depthwise one, nil for
// none. Before the first Forward each has to Pack its weights, or to Share them.
func (c *DepthwiseChain) Pointwise() (expand, project *Conv2D) { return c.expand, c.project }

// Output returns the height and width of y.
func (c *DepthwiseChain) Output() (height, width int) { return c.height, c.width }

// ChainBias are the biases of a chain's convolutions; that of the depthwise one may be nil.
type ChainBias struct{ Expand, Middle, Project []float32 }

// Forward computes y from x, the depthwise weights (KH×KW×C) and the biases. z, unless it is nil,
// has y's shape and is added before y is finished; the two may not overlap.
func (c *DepthwiseChain) Forward(y, x, kernels []float32, bias ChainBias, z []float32) error {
	f := &c.config.Depthwise
	inputs, filters := c.config.Inputs, c.config.Filters
	if inputs == 0 {
		inputs = f.Channels
	}
	if filters == 0 {
		filters = f.Channels
	}
	if err := lengths("chain",
		size{"y", len(y), f.Batch * c.height * c.width * filters},
		size{"x", len(x), f.Batch * f.Height * f.Width * inputs},
		size{"kernels", len(kernels), f.KernelHeight * f.KernelWidth * f.Channels},
		optional("b", bias.Middle, f.Channels), optional("z", z, len(y))); err != nil {
		return err
	}
	for _, p := range []struct {
		plan *Conv2D
		bias []float32
	}{{c.expand, bias.Expand}, {c.project, bias.Project}} {
		if p.plan == nil {
			continue
		}
		if !p.plan.kept || len(p.bias) != p.plan.config.Filters {
			return fmt.Errorf("kernel: chain %+v: weights are not packed, or the bias is of %d filters",
				c.config, len(p.bias))
		}
		copy(p.plan.bias, p.bias)
	}
	if c.project == nil && z != nil {
		return fmt.Errorf("kernel: chain %+v: nothing to add to", c.config)
	}
	clear(c.bias)
	copy(c.bias, bias.Middle)
	c.x, c.y, c.kernels, c.z = x, y, kernels, z
	c.way.forward()
	c.x, c.y, c.kernels, c.z = nil, nil, nil, nil
	return nil
}

// arrange fills in what the depthwise rows of a piece are made of, whose input positions lie so many
// elements apart, but where they are read and written.
func (c *DepthwiseChain) arrange(a *depthwiseArgs, p *depthwisePiece, position int) {
	f := &c.config.Depthwise
	*a = depthwiseArgs{
		XStep: 4 * f.StrideWidth * position, W: pointer(c.kernels[p.channel:]), Count: len(p.taps[0]),
		YStep: 4 * f.Channels, Positions: c.width, Bias: pointer(c.bias[p.channel:]),
		Low: c.config.Middle.Low, High: c.config.Middle.High, Gate: pointer(p.gate),
	}
}

// ChainMemory returns about how many bytes a plan for so many threads takes, and a call.
func (c DepthwiseChainConfig) ChainMemory(threads int) int {
	f := &c.Depthwise
	width := f.Width + 2*f.PaddingWidth + f.ExtraWidth
	weights := 4 * f.Channels * (c.Inputs + c.Filters + 64)
	if height, outWidth, err := f.output(); c.ByChannels && err == nil {
		area := width * (f.Height + 2*f.PaddingHeight + f.ExtraHeight)
		return threads*max(2*chainBytes, 4*4*maxLanes*area) + weights +
			4*f.Batch*height*outWidth*f.Channels + 16*(f.Width+chainPositions+height*outWidth)
	}
	row := 4 * (f.Channels + 32) * width
	ring := max(chainBytes, row*f.reach())
	return threads*(2*ring+1<<10) + weights + 16*(max(chainPositions, f.Width)+ring/row*f.Width)
}
