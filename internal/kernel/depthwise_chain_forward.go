package kernel

import (
	"fmt"
	"unsafe"
)

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
	ring, middle := c.ring*c.row, 0
	if c.project != nil {
		middle = line(c.rows * c.width * f.Channels)
	}
	memory := c.engine.Pool.scratch.take(len(c.work) * (ring + middle))
	for i := range c.work {
		own := memory[i*(ring+middle):]
		c.work[i].own.ring, c.work[i].own.middle = own[:ring], own[ring:ring+middle]
	}
	c.engine.Pool.Run(f.Batch*c.bands, c.task)
	c.engine.Pool.scratch.give(memory)
	c.x, c.y, c.kernels, c.z = nil, nil, nil, nil
	for i := range c.work {
		c.work[i].own = chainWork{}
	}
	return nil
}

// band computes a band of rows of an image.
func (c *DepthwiseChain) band(worker, item int) {
	f, ws := &c.config.Depthwise, &c.work[worker].own
	image, band := item/c.bands, item%c.bands
	last := (band + 1) * c.height / c.bands
	for r := range c.ring {
		row := ws.ring[r*c.row:][:c.row]
		clear(row[:f.PaddingWidth*c.position])
		clear(row[(f.PaddingWidth+f.Width)*c.position:])
	}
	next := -f.PaddingHeight // the input row that the ring lacks first
	for i := band * c.height / c.bands; i < last; i += c.rows {
		rows := min(c.rows, last-i)
		top := i*f.StrideHeight - f.PaddingHeight
		next = max(next, top)
		for end := top + (rows-1)*f.StrideHeight + f.reach(); next < end; {
			next += c.fill(ws, image, next, end)
		}
		c.filter(ws, image, i, rows)
		if c.project != nil {
			at := (image*c.height + i) * c.width * c.config.Filters
			var z unsafe.Pointer
			if c.z != nil {
				z = pointer(c.z[at:])
			}
			c.project.pointwise(&ws.product, &c.projected, rows*c.width, pointer(ws.middle),
				pointer(c.y[at:]), z)
		}
	}
}

// slot returns the row of the ring that an input row, which may be one of padding, lies in.
func (c *DepthwiseChain) slot(row int) int {
	return (row + c.config.Depthwise.PaddingHeight) % c.ring
}

// fill brings input rows, from row on and before end, into the ring, and returns how many.
func (c *DepthwiseChain) fill(ws *chainWork, image, row, end int) int {
	f, slot := &c.config.Depthwise, c.slot(row)
	to := ws.ring[slot*c.row:]
	if row < 0 || row >= f.Height {
		clear(to[:c.row])
		return 1
	}
	to = to[f.PaddingWidth*c.position:]
	at := (image*f.Height + row) * f.Width
	if c.expand != nil {
		rows := min(end-row, c.ring-slot, f.Height-row, c.block)
		c.expand.pointwise(&ws.product, &c.expanded, rows*f.Width, pointer(c.x[at*c.config.Inputs:]),
			pointer(to), nil)
		return rows
	}
	from := c.x[at*f.Channels:][:f.Width*f.Channels]
	for k := range f.Width {
		copy(to[k*c.position:], from[k*f.Channels:][:f.Channels])
	}
	return 1
}

// filter computes rows of the depthwise convolution, the first one being given.
func (c *DepthwiseChain) filter(ws *chainWork, image, first, rows int) {
	f := &c.config.Depthwise
	to := ws.middle
	if c.project == nil {
		to = c.y[(image*c.height+first)*c.width*f.Channels:]
	}
	for i := range c.pieces {
		p, a := &c.pieces[i], &ws.depthwise
		*a = depthwiseArgs{
			X: pointer(ws.ring[p.channel:]), XStep: 4 * f.StrideWidth * c.position,
			W: pointer(c.kernels[p.channel:]), Count: len(p.taps[0]),
			YStep: 4 * f.Channels, Positions: c.width, Bias: pointer(c.bias[p.channel:]),
			Low: c.config.Middle.Low, High: c.config.Middle.High, Gate: pointer(p.gate),
		}
		for r := range rows {
			a.Taps = &p.taps[c.slot((first+r)*f.StrideHeight-f.PaddingHeight)][0]
			a.Y = pointer(to[r*c.width*f.Channels+p.channel:])
			a.Vectors = 1 // which the loop counts down
			p.set.depthwise((*byte)(unsafe.Pointer(a)))
		}
	}
}
