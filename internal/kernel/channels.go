package kernel

import "fmt"

// ChannelsConfig describes rows of channels: Batch images of Area rows, of Channels numbers each.
type ChannelsConfig struct{ Batch, Area, Channels int }

func (f ChannelsConfig) check(what string) error {
	if f.Batch < 1 || f.Area < 1 || f.Channels < 1 {
		return fmt.Errorf("kernel: %s %+v: sizes must be positive", what, f)
	}
	if f.Batch > maxElements/f.Area || f.Batch*f.Area > maxElements/f.Channels {
		return fmt.Errorf("kernel: %s %+v: too large", what, f)
	}
	return nil
}

func (f ChannelsConfig) rows() int     { return f.Batch * f.Area }
func (f ChannelsConfig) elements() int { return f.rows() * f.Channels }

// blockRows is how many rows are one item of work where sums over rows are taken: these are float32
// within a block and float64 over the blocks, in their order.
const blockRows = 64

// Scale is a plan for y = s∘x and its gradients: x N×A×C, and s C numbers for all images, or, with
// perImage, N×C of which each image has its own. Its methods must not run at the same time as each
// other.
type Scale struct {
	engine   Engine
	config   ChannelsConfig
	perImage bool
	blocks   int         // of an image
	partial  []float32   // by image and block: sums of channels
	products [][]float32 // by worker: a row
	sums     [][]float64 // by worker: sums of channels

	y, x, s                         []float32
	forwardTask, blockTask, sumTask func(worker, item int)
}

// NewScale returns a plan.
func NewScale(engine Engine, config ChannelsConfig, perImage bool) (*Scale, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if err := config.check("scale"); err != nil {
		return nil, err
	}
	engine.Set = engine.Set.forChannels(config.Channels)
	s := &Scale{engine: engine, config: config, perImage: perImage,
		blocks: ceil(config.Area, blockRows)}
	for range engine.Pool.Threads() {
		s.products = append(s.products, aligned(config.Channels))
		s.sums = append(s.sums, make([]float64, config.Channels))
	}
	s.forwardTask, s.blockTask, s.sumTask = s.forwardItem, s.blockItem, s.sumItem
	return s, nil
}

func (s *Scale) factors() int {
	if s.perImage {
		return s.config.Batch * s.config.Channels
	}
	return s.config.Channels
}

// of is the part of s that is an image's.
func (s *Scale) of(factors []float32, image int) []float32 {
	if s.perImage {
		factors = factors[image*s.config.Channels:]
	}
	return factors[:s.config.Channels]
}

// Forward computes y = s∘x; with dx for y and dy for x it is the gradient of the input.
func (s *Scale) Forward(y, x, factors []float32) error {
	n := s.config.elements()
	if err := lengths("scale", size{"y", len(y), n}, size{"x", len(x), n},
		size{"s", len(factors), s.factors()}); err != nil {
		return err
	}
	s.y, s.x, s.s = y, x, factors
	s.engine.Pool.Run(s.config.Batch*s.blocks, s.forwardTask)
	s.y, s.x, s.s = nil, nil, nil
	return nil
}

// block returns the image of an item, and the elements of its rows.
func (s *Scale) block(item int) (image, first, last int) {
	f := s.config
	image = item / s.blocks
	row := item % s.blocks * blockRows
	first = (image*f.Area + row) * f.Channels
	return image, first, first + min(blockRows, f.Area-row)*f.Channels
}

func (s *Scale) forwardItem(_, item int) {
	image, first, last := s.block(item)
	factors := s.of(s.s, image)
	for at := first; at < last; at += len(factors) {
		s.engine.Set.multiplySlice(s.y[at:at+len(factors)], s.x[at:at+len(factors)], factors)
	}
}

// BackwardScale computes ds, the sums of x∘dy over the rows of each image, or of all.
func (s *Scale) BackwardScale(ds, dy, x []float32) error {
	n := s.config.elements()
	if err := lengths("gradient of scale", size{"ds", len(ds), s.factors()}, size{"dy", len(dy), n},
		size{"x", len(x), n}); err != nil {
		return err
	}
	items := s.config.Batch * s.blocks
	if s.partial == nil {
		s.partial = aligned(items * s.config.Channels)
	}
	s.y, s.x, s.s = dy, x, ds
	s.engine.Pool.Run(items, s.blockTask)
	if s.perImage {
		s.engine.Pool.Run(s.config.Batch, s.sumTask)
	} else {
		s.addUp(s.sums[0], ds, 0, items)
	}
	s.y, s.x, s.s = nil, nil, nil
	return nil
}

func (s *Scale) blockItem(worker, item int) {
	channels, set := s.config.Channels, s.engine.Set
	_, first, last := s.block(item)
	sums, products := s.partial[item*channels:(item+1)*channels], s.products[worker]
	clear(sums)
	for at := first; at < last; at += channels {
		set.multiplySlice(products, s.y[at:at+channels], s.x[at:at+channels])
		set.addScaledSlice(sums, products, 1)
	}
}

func (s *Scale) sumItem(worker, image int) {
	s.addUp(s.sums[worker], s.of(s.s, image), image*s.blocks, (image+1)*s.blocks)
}

// addUp writes the sums of some items' blocks.
func (s *Scale) addUp(sums []float64, ds []float32, first, last int) {
	clear(sums)
	for item := first; item < last; item++ {
		for c, x := range s.partial[item*len(sums) : (item+1)*len(sums)] {
			sums[c] += float64(x)
		}
	}
	for c, sum := range sums {
		ds[c] = float32(sum)
	}
}

// Concat is a plan that joins rows of channels: N×A×C₁, N×A×C₂, … to N×A×(C₁+C₂+…).
type Concat struct {
	engine   Engine
	rows     int
	channels []int
	total    int

	y                 []float32
	parts             [][]float32
	joinTask, cutTask func(worker, item int)
}

// NewConcat returns a plan for that many rows.
func NewConcat(engine Engine, rows int, channels []int) (*Concat, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	c := &Concat{engine: engine, rows: rows, channels: channels}
	for _, n := range channels {
		if n < 1 {
			return nil, fmt.Errorf("kernel: concatenation of %v channels: each must be positive", channels)
		}
		c.total += n
	}
	if err := (ChannelsConfig{rows, 1, c.total}).check("concatenation"); err != nil {
		return nil, err
	}
	c.joinTask = func(_, item int) {
		c.each(item, func(part, whole []float32) { copy(whole, part) })
	}
	c.cutTask = func(_, item int) {
		c.each(item, func(part, whole []float32) { copy(part, whole) })
	}
	return c, nil
}

// each calls f with each part of each of the item's rows and its place in the whole.
func (c *Concat) each(item int, f func(part, whole []float32)) {
	at := 0
	for i, n := range c.channels {
		if c.parts[i] != nil {
			for row := item * blockRows; row < min((item+1)*blockRows, c.rows); row++ {
				f(c.parts[i][row*n:(row+1)*n], c.y[row*c.total+at:][:n])
			}
		}
		at += n
	}
}

// Join writes y from the parts.
func (c *Concat) Join(y []float32, parts [][]float32) error {
	return c.run(y, parts, false, c.joinTask)
}

// Cut writes the parts from y, but for those that are nil.
func (c *Concat) Cut(parts [][]float32, y []float32) error {
	return c.run(y, parts, true, c.cutTask)
}

func (c *Concat) run(y []float32, parts [][]float32, some bool, task func(worker, item int)) error {
	sizes := []size{{"the whole", len(y), c.rows * c.total},
		{"list of parts", len(parts), len(c.channels)}}
	for i, n := range c.channels {
		if i < len(parts) && (parts[i] != nil || !some) {
			sizes = append(sizes, size{fmt.Sprintf("part %d", i), len(parts[i]), c.rows * n})
		}
	}
	if err := lengths("concatenation", sizes...); err != nil {
		return err
	}
	c.y, c.parts = y, parts
	c.engine.Pool.Run(ceil(c.rows, blockRows), task)
	c.y, c.parts = nil, nil
	return nil
}
