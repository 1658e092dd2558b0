package kernel

import (
	"fmt"
	"unsafe"
)

// PreActivatedConfig describes a convolution of one tap behind a normalisation with constant
// statistics, as DenseNets have them: y = finish(clamp(x·scale + shift)·Wᵀ + b + z) at each position
// of some images.
type PreActivatedConfig struct {
	Batch, Height, Width, Channels, Filters int
	Low, High                               float32 // of the clamp; NaN does not bound
	Finish                                  Finish
	Border                                  Border // around each image of y, which stays as it is
	// PerImage says that scale has numbers of their own for each image, as squeeze-and-excitation
	// makes them (Hu et al. 2018, arXiv:1709.01507), and that there is no shift.
	PerImage bool
}

func (c *PreActivatedConfig) positions() int { return c.Batch * c.Height * c.Width }

// Features are some of the channels of a map: a row of so many for each position.
type Features struct {
	Values   []float32
	Channels int
}

// PreActivated is a plan for such a convolution. A plan owns what it keeps: Forward must not run at
// the same time as itself.
//
// Positions have no neighbours here, so that they go in blocks: a block is normalised into memory
// of the thread's, from where the maps of its channels lie, and multiplied there. The normalised
// map, which is as large as all that the layers before have made, is nowhere. Each sum is that of
// Conv2D, and each factor's product that of ScaleRows.
type PreActivated struct {
	engine Engine
	config PreActivatedConfig
	conv   *Conv2D
	row    int // elements of a normalised position
	image  int // positions of an image, or of all where images differ in nothing
	step   int // positions of a block
	blocks int // of an image
	split  int // into how many parts of its panels a block is cut, where blocks are few
	at     positions
	work   []apart[preActivatedWork]
	task   func(worker, item int)

	// The call in progress.
	y, scale, shift, z []float32
	x                  []Features

	zeros []float32 // the shift where there is none
}

// preActivatedWork is a thread's.
type preActivatedWork struct {
	product productArgs
	affine  affineArgs
	block   []float32 // normalised positions
}

const (
	// preActivatedBytes is what a block takes at most if it can: with the weights it stays in the
	// second-level cache.
	preActivatedBytes = 256 << 10
	// preActivatedLeast is how many positions a block has at least where there are as many.
	preActivatedLeast = 48
)

// NewPreActivated returns a plan, or an error that says what is wrong with the configuration.
func NewPreActivated(engine Engine, config PreActivatedConfig) (*PreActivated, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := &config
	if f.Batch < 1 || f.Height < 1 || f.Width < 1 || tooLarge(f.Batch, f.Height, f.Width) {
		return nil, fmt.Errorf("kernel: pre-activation %+v: no positions, or too many", config)
	}
	conv, err := newPointwise(engine, config.Channels, config.Filters, config.Finish)
	if err != nil {
		return nil, err
	}
	if f.positions() > maxElements/max(f.Channels, f.Filters) ||
		f.Border != (Border{}) && !f.Border.fits(f.Batch, f.Height, f.Width, f.Filters) {
		return nil, fmt.Errorf("kernel: pre-activation %+v: too large", config)
	}
	p := &PreActivated{engine: engine, config: config, conv: conv}
	if f.PerImage {
		p.zeros = aligned(f.Channels)
	}
	p.planBlocks()
	p.at.from = rowOffsets(p.step, p.row)
	if p.at.to = rowOffsets(p.step, f.Filters); f.Border != (Border{}) {
		p.at.to = f.Border.offsets(1, f.Height, f.Width, f.Filters)
	}
	p.work = make([]apart[preActivatedWork], engine.Pool.Threads())
	p.task = p.compute
	return p, nil
}

// planBlocks cuts the positions.
func (p *PreActivated) planBlocks() {
	f, threads := &p.config, p.engine.Pool.Threads()
	p.row = oddLines(f.Channels)
	most := min(blockPositions, max(preActivatedLeast, preActivatedBytes/(4*p.row)))
	if threads > 1 {
		most = min(most, max(preActivatedLeast, f.positions()/(8*threads)))
	}
	if p.image = f.positions(); f.Border != (Border{}) || f.PerImage {
		p.image = f.Height * f.Width
	}
	tile := p.conv.tileRows()
	p.step = ceil(ceil(p.image, max(1, (p.image+most/2)/most)), tile) * tile
	p.blocks, p.split = ceil(p.image, p.step), 1
	if threads > 1 {
		p.split = min(ceil(p.conv.columns.count(), 2),
			ceil(4*threads, p.blocks*(f.positions()/p.image)))
	}
}

// Memory returns about how many bytes a plan for so many threads takes, and a call.
func (c PreActivatedConfig) Memory(threads int) int {
	const positions = 2 * blockPositions // more than a block has
	return positions*(threads*4*oddLines(c.Channels)+16) + 4*c.Channels*(c.Filters+64) +
		8*c.Height*c.Width + 4*c.Channels
}

// Pointwise returns the plan of the convolution. Before the first Forward it has to Pack its
// weights, or to Share them.
func (p *PreActivated) Pointwise() *Conv2D { return p.conv }

// spanY is how many elements y has, with the borders between its rows.
func (p *PreActivated) spanY() int {
	f := &p.config
	return f.Border.span(f.Batch, f.Height, f.Width, f.Filters)
}

// Forward computes y, from its first position to its last, from the maps whose channels x has, one
// map after the other, from the factors and summands of the channels, and from the convolution's
// bias. With PerImage shift is nil and scale has N×C numbers. z, unless it is nil, has y's shape,
// which has no border then, and is added before y is finished; the two may not overlap.
func (p *PreActivated) Forward(y []float32, x []Features, scale, shift, b, z []float32) error {
	f, channels := &p.config, 0
	factors, shifts := f.Channels, f.Channels
	if f.PerImage {
		factors, shifts = f.Batch*f.Channels, 0
	}
	for _, part := range x {
		if part.Channels < 0 || part.Channels > f.Channels-channels ||
			len(part.Values) != f.positions()*part.Channels {
			return fmt.Errorf("kernel: pre-activation %+v: features of %d channels with %d elements",
				*f, part.Channels, len(part.Values))
		}
		channels += part.Channels
	}
	if err := lengths("pre-activation", size{"y", len(y), p.spanY()},
		size{"x's channels", channels, f.Channels}, size{"scale", len(scale), factors},
		size{"shift", len(shift), shifts}, size{"b", len(b), f.Filters},
		optional("z", z, len(y))); err != nil {
		return err
	}
	if z != nil && f.Border != (Border{}) {
		return fmt.Errorf("kernel: pre-activation %+v: nothing is added between borders", *f)
	}
	if f.PerImage {
		shift = p.zeros
	}
	if !p.conv.kept {
		return fmt.Errorf("kernel: pre-activation %+v: its weights are not packed", *f)
	}
	copy(p.conv.bias, b)
	p.y, p.x, p.scale, p.shift, p.z = y, x, scale, shift, z
	block := line(p.step * p.row)
	memory := p.engine.Pool.scratch.take(len(p.work) * block)
	for i := range p.work {
		p.work[i].own.block = memory[i*block : (i+1)*block]
	}
	p.engine.Pool.Run(f.positions()/p.image*p.blocks*p.split, p.task)
	p.engine.Pool.scratch.give(memory)
	p.y, p.x, p.scale, p.shift, p.z = nil, nil, nil, nil, nil
	for i := range p.work {
		p.work[i].own = preActivatedWork{}
	}
	return nil
}

// compute normalises a block and multiplies it by some panels of the weights. Where several items
// are of one block, each normalises it: that is little beside a panel's sums.
func (p *PreActivated) compute(worker, item int) {
	f, ws := &p.config, &p.work[worker].own
	block := item / p.split
	image, at := block/p.blocks, block%p.blocks*p.step
	first, rows := image*p.image+at, min(p.step, p.image-at)
	scale, channel := p.scale, 0
	if f.PerImage {
		scale = scale[image*f.Channels:]
	}
	for _, part := range p.x {
		n := part.Channels
		if n == 0 {
			continue
		}
		p.engine.Set.scaleRows(&ws.affine, ws.block[channel:], p.row,
			part.Values[first*n:(first+rows)*n], scale[channel:channel+n], p.shift[channel:channel+n],
			f.Low, f.High)
		channel += n
	}
	places, y := p.at, p.y[image*f.Border.stride(f.Height, f.Width, f.Filters):]
	if f.Border == (Border{}) {
		y = p.y[first*f.Filters:]
	} else {
		places.to = places.to[at:]
	}
	from, last := p.conv.columns.share(item%p.split, p.split)
	column := p.conv.columns.first(from)
	var z unsafe.Pointer
	if p.z != nil {
		z = pointer(p.z[first*f.Filters+column:])
	}
	p.conv.pointwisePanels(&ws.product, &places, rows, pointer(ws.block), pointer(y[column:]), z, from,
		last)
}
