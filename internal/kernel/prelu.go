package kernel

// PReLU is a plan for y = x where x > 0 and w·x elsewhere, and its gradients: x N×C, and w C
// numbers, or a single one. Backward computes dx = dy where x > 0 and w·dy elsewhere, and dw, the
// sums of x·dy where not. Its methods must not run at the same time as each other.
type PReLU struct {
	engine         Engine
	rows, channels int
	shared         bool
	slopes         []float32 // by channel
	partial        []float64 // by item and channel: sums of dw
	x, y, dx, dy   []float32

	forwardTask, backTask func(worker, item int)
}

// NewPReLU returns a plan for that many rows of channels; shared is for a single slope.
func NewPReLU(engine Engine, rows, channels int, shared bool) (*PReLU, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if err := (ChannelsConfig{rows, 1, channels}).check("PReLU"); err != nil {
		return nil, err
	}
	p := &PReLU{engine: engine, rows: rows, channels: channels, shared: shared,
		slopes: make([]float32, channels)}
	p.forwardTask, p.backTask = p.forwardItem, p.backItem
	return p, nil
}

// take spreads a single slope over the channels.
func (p *PReLU) take(w []float32) error {
	if !p.shared {
		copy(p.slopes, w)
		return lengths("PReLU", size{"w", len(w), p.channels})
	}
	if err := lengths("PReLU", size{"w", len(w), 1}); err != nil {
		return err
	}
	for c := range p.slopes {
		p.slopes[c] = w[0]
	}
	return nil
}

// Forward computes y from x and w.
func (p *PReLU) Forward(y, x, w []float32) error {
	n := p.rows * p.channels
	if err := lengths("PReLU", size{"y", len(y), n}, size{"x", len(x), n}); err != nil {
		return err
	}
	if err := p.take(w); err != nil {
		return err
	}
	p.y, p.x = y, x
	p.engine.Pool.Run(ceil(p.rows, blockRows), p.forwardTask)
	p.y, p.x = nil, nil
	return nil
}

// block is an item's elements.
func (p *PReLU) block(item int) (first, last int) {
	return item * blockRows * p.channels, min((item+1)*blockRows, p.rows) * p.channels
}

func (p *PReLU) forwardItem(_, item int) {
	for at, last := p.block(item); at < last; at += p.channels {
		x, y := p.x[at:at+p.channels], p.y[at:at+p.channels]
		for c, slope := range p.slopes {
			y[c] = x[c] * ifPositive(x[c], 1, slope)
		}
	}
}

// Backward computes dx and dw from dy, x and w: each that is not nil.
func (p *PReLU) Backward(dx, dw, dy, x, w []float32) error {
	n := p.rows * p.channels
	sizes := []size{{"dy", len(dy), n}, {"x", len(x), n}}
	if dx != nil {
		sizes = append(sizes, size{"dx", len(dx), n})
	}
	if dw != nil {
		sizes = append(sizes, size{"dw", len(dw), len(w)})
	}
	if err := lengths("gradient of PReLU", sizes...); err != nil {
		return err
	}
	if err := p.take(w); err != nil {
		return err
	}
	items := ceil(p.rows, blockRows)
	if p.partial == nil {
		p.partial = make([]float64, items*p.channels)
	}
	p.dx, p.dy, p.x = dx, dy, x
	p.engine.Pool.Run(items, p.backTask)
	p.dx, p.dy, p.x = nil, nil, nil
	if dw == nil {
		return nil
	}
	for c := range p.channels {
		for item := 1; item < items; item++ {
			p.partial[c] += p.partial[item*p.channels+c]
		}
		if p.shared && c > 0 {
			p.partial[0] += p.partial[c]
		}
	}
	for c := range dw {
		dw[c] = float32(p.partial[c])
	}
	return nil
}

func (p *PReLU) backItem(_, item int) {
	sums := p.partial[item*p.channels : (item+1)*p.channels]
	clear(sums)
	for at, last := p.block(item); at < last; at += p.channels {
		x, dy := p.x[at:at+p.channels], p.dy[at:at+p.channels]
		for c := range sums {
			sums[c] += float64(ifPositive(x[c], 0, x[c])) * float64(dy[c])
		}
		if p.dx == nil {
			continue
		}
		dx := p.dx[at : at+p.channels]
		for c, slope := range p.slopes {
			dx[c] = dy[c] * ifPositive(x[c], 1, slope)
		}
	}
}
