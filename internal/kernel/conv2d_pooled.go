package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// PooledConv2D is a plan for a Direct convolution and the max pooling behind it, for evaluation.
// Unlike a Conv2D with a MaxPool it is made for windows that overlap, and keeps nothing for
// gradients. A plan owns what it keeps: Forward must not run at the same time as itself.
//
// An item of work is a band of pooled rows of an image. It goes down a few rows at a time: the rows
// of the convolution that their windows lack are computed into memory of the thread's, and pooled
// there. So a map that is several times as large as a second-level cache, as those behind the
// first convolution of a network are, is neither written to memory nor read again. Each sum is that
// of the convolution alone. Where a window reaches into the padding there is −∞, which no value is
// less than.
type PooledConv2D struct {
	engine        Engine
	conv          *Conv2D // of one image
	pool          Window
	batch         int
	height, width int // of y
	rows          int // of y at a time
	lines, line   int // rows of the convolution in memory, with the padding, and the elements of one
	at            positions
	entries       []poolEntry
	bands         int // of an image
	work          []apart[pooledWork]
	task          func(worker, item int)

	y []float32 // of the call in progress
}

// pooledWork is a thread's.
type pooledWork struct {
	product productArgs
	pool    poolArgs
	lines   []float32
}

// pooledBytes is what the rows of the convolution take at most if they can: with weights and what
// is read they stay in the second-level cache.
const pooledBytes = 256 << 10

// NewPooledConv2D returns a plan, or an error that says what is wrong with the configuration, which
// has the batch and the Window as its MaxPool; it must be Direct and of ConstantWeights.
func NewPooledConv2D(engine Engine, config Conv2DConfig, finish Finish) (*PooledConv2D, error) {
	f := config
	if f.MaxPool == nil || !f.Direct || !f.ConstantWeights || f.ReLU || f.Batch < 1 ||
		tooLarge(f.Batch) {
		return nil, fmt.Errorf("kernel: pooled convolution %+v: it must be Direct, of ConstantWeights, "+
			"of images and windows", f)
	}
	p := &PooledConv2D{engine: engine, pool: *f.MaxPool, batch: f.Batch}
	if p.pool.CeilMode || p.pool.ExtraHeight > 0 || p.pool.ExtraWidth > 0 {
		return nil, fmt.Errorf("kernel: pooled convolution %+v: windows beyond the padding", f)
	}
	f.MaxPool, f.Batch = nil, 1
	var err error
	if p.conv, err = NewConv2D(engine, f); err != nil {
		return nil, err
	}
	p.conv.Finish(finish)
	if p.height, p.width, err = p.pool.output(p.conv.convHeight, p.conv.convWidth); err != nil {
		return nil, err
	}
	if p.batch > maxElements/max(p.conv.imageSize, p.sizeImage()) {
		return nil, fmt.Errorf("kernel: pooled convolution %+v: too large", config)
	}
	p.plan()
	p.work = make([]apart[pooledWork], engine.Pool.Threads())
	p.task = p.band
	return p, nil
}

// plan decides how many rows go together, and makes the tables of where they lie.
func (p *PooledConv2D) plan() {
	w, filters := p.pool, p.conv.config.Filters
	p.line = (p.conv.convWidth + 2*w.PaddingWidth) * filters
	p.rows = min(max(1, (pooledBytes/(4*p.line)-w.Height)/w.StrideHeight+1), p.height)
	p.lines = (p.rows-1)*w.StrideHeight + w.Height
	for l := range min(p.lines, p.conv.convHeight) {
		for k := range p.conv.convWidth {
			p.at.from = append(p.at.from, int64(p.conv.position(l, k)))
			p.at.to = append(p.at.to, int64(4*(l*p.line+k*filters)))
		}
	}
	for i := range p.rows {
		for j := range p.width {
			for u := range w.Height {
				for v := range w.Width {
					p.entries = append(p.entries, poolEntry{src: int32(4 *
						((i*w.StrideHeight+u)*p.line + (j*w.StrideWidth+v)*filters))})
				}
			}
		}
	}
	p.bands = 1
	if threads := p.engine.Pool.Threads(); p.batch < 2*threads {
		p.bands = min(ceil(threads, p.batch), p.height)
	}
}

// Convolution returns the plan of the convolution of one image. Before the first Forward it has to
// Pack its weights, or to Share them.
func (p *PooledConv2D) Convolution() *Conv2D { return p.conv }

// Output returns the height and width of y.
func (p *PooledConv2D) Output() (height, width int) { return p.height, p.width }

// sizeImage returns the elements of an image of y.
func (p *PooledConv2D) sizeImage() int { return p.height * p.width * p.conv.config.Filters }

// Forward computes y from x and the bias.
func (p *PooledConv2D) Forward(y, x, b []float32) error {
	c := p.conv
	if err := lengths("pooled convolution", size{"y", len(y), p.batch * p.sizeImage()},
		size{"x", len(x), p.batch * c.sizeImage()}, size{"b", len(b), c.config.Filters}); err != nil {
		return err
	}
	if !c.kept {
		return fmt.Errorf("kernel: pooled convolution %+v: its weights are not packed", c.config)
	}
	copy(c.bias, b)
	c.reserve(1)
	c.x, p.y = x, y
	memory := p.engine.Pool.scratch.take(len(p.work) * line(p.lines*p.line))
	for i := range p.work {
		p.work[i].own.lines = memory[i*line(p.lines*p.line):][:p.lines*p.line]
	}
	p.engine.Pool.Run(p.batch*p.bands, p.task)
	p.engine.Pool.scratch.give(memory)
	c.release()
	p.y = nil
	for i := range p.work {
		p.work[i].own = pooledWork{}
	}
	return nil
}

// band computes a band of rows of an image.
func (p *PooledConv2D) band(worker, item int) {
	w, ws := p.pool, &p.work[worker].own
	image, band := item/p.bands, item%p.bands
	first, last := band*p.height/p.bands, (band+1)*p.height/p.bands
	source := p.source(worker, image, first*w.StrideHeight-w.PaddingHeight,
		(last-1)*w.StrideHeight-w.PaddingHeight+w.Height)
	p.frame(ws)
	have := 0 // lines that are there, from the top on
	for i := first; i < last; i += p.rows {
		rows := min(p.rows, last-i)
		top, lines := i*w.StrideHeight-w.PaddingHeight, (rows-1)*w.StrideHeight+w.Height
		p.fill(ws, source, top, have, lines)
		filters := p.conv.config.Filters
		p.conv.engine.Set.maxima(&ws.pool, p.y[image*p.sizeImage()+i*p.width*filters:], ws.lines,
			p.entries[:rows*p.width*w.Height*w.Width], w.Height*w.Width, filters)
		// What the next rows' windows have in common with these.
		if have = max(0, w.Height-w.StrideHeight); have > 0 {
			copy(ws.lines, ws.lines[(lines-have)*p.line:lines*p.line])
		}
	}
}

// source returns an image as rows first to last of the convolution read it.
func (p *PooledConv2D) source(worker, image, first, last int) unsafe.Pointer {
	c := p.conv
	f := &c.config
	if !c.copied {
		return pointer(c.x[image*c.imageSize:])
	}
	first, last = max(first, 0), min(last, c.convHeight)
	copies := c.work[worker].own.images
	c.pad(worker, copies, image, max(0, first*f.StrideHeight-f.PaddingHeight),
		min(f.Height, (last-1)*f.StrideHeight-f.PaddingHeight+f.KernelHeight))
	return pointer(copies)
}

// frame fills what is left and right of the lines.
func (p *PooledConv2D) frame(ws *pooledWork) {
	side := p.pool.PaddingWidth * p.conv.config.Filters
	if side == 0 {
		return
	}
	for at := 0; at < len(ws.lines); at += p.line {
		fillLowest(ws.lines[at : at+side])
		fillLowest(ws.lines[at+p.line-side : at+p.line])
	}
}

// fill computes the lines from have on and before lines, the first line being that row of the
// convolution.
func (p *PooledConv2D) fill(ws *pooledWork, source unsafe.Pointer, top, have, lines int) {
	c := p.conv
	for ; have < lines && top+have < 0; have++ {
		fillLowest(ws.lines[have*p.line : (have+1)*p.line])
	}
	if end := min(lines, c.convHeight-top); have < end {
		side := p.pool.PaddingWidth * c.config.Filters
		c.pointwise(&ws.product, &p.at, (end-have)*c.convWidth,
			unsafe.Add(source, c.position(top+have, 0)), pointer(ws.lines[have*p.line+side:]), nil)
		have = end
	}
	for ; have < lines; have++ {
		fillLowest(ws.lines[have*p.line : (have+1)*p.line])
	}
}

func fillLowest(values []float32) {
	lowest := float32(math.Inf(-1))
	for i := range values {
		values[i] = lowest
	}
}
