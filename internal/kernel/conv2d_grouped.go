package kernel

import "fmt"

// GroupedConv2DConfig describes a convolution whose channels and filters are divided into groups,
// each of which sees nothing of the others, or whose kernel is dilated. Channels and Filters are
// those of all groups. Nothing is fused.
type GroupedConv2DConfig struct {
	Conv2DConfig
	Groups                        int
	DilationHeight, DilationWidth int
}

// GroupedConv2D is a plan for such a convolution. Tensors lie as Conv2D's; the weights are
// O×KH×KW×(C/Groups). Each group is a Conv2D of its own on a copy of its channels, and a dilated
// kernel one with zeros between its taps. A plan owns its scratch memory: its methods must not run
// at the same time as each other.
type GroupedConv2D struct {
	config          GroupedConv2DConfig
	pool            *Pool
	group           *Conv2D
	channels        int // of a group
	filters         int
	taps            []int     // where each tap's channels lie in a dilated filter; nil if it is not dilated
	w, dw           []float32 // a group's dilated weights
	x, dx, y, dy    []float32 // a group's
	from, to        []float32
	width, narrow   int // channels of all groups, and of one
	first, rows     int // the group's first channel; positions of an image
	gather, scatter func(worker, image int)
}

// NewGroupedConv2D returns a plan, or an error that says what is wrong with the configuration.
func NewGroupedConv2D(engine Engine, config GroupedConv2DConfig) (*GroupedConv2D, error) {
	return newGroupedConv2D(engine, config, 1)
}

// newGroupedConv2D returns the plan for a batch that is so many shares.
func newGroupedConv2D(engine Engine, config GroupedConv2DConfig, shares int) (*GroupedConv2D,
	error) {
	f := config
	if f.ReLU || f.MaxPool != nil || f.ConstantWeights {
		return nil, fmt.Errorf(
			"kernel: grouped convolution %+v: nothing is fused, and weights may change", f)
	}
	if f.Groups < 1 || f.Channels%f.Groups != 0 || f.Filters%f.Groups != 0 {
		return nil, fmt.Errorf("kernel: %d groups of %d channels and %d filters", f.Groups, f.Channels,
			f.Filters)
	}
	if _, _, err := f.slide(f.ExtraHeight, f.ExtraWidth, f.DilationHeight,
		f.DilationWidth); err != nil {
		return nil, err
	}
	g := &GroupedConv2D{config: f, pool: engine.Pool, channels: f.Channels / f.Groups,
		filters: f.Filters / f.Groups}
	inner := f.Conv2DConfig
	inner.Channels, inner.Filters = g.channels, g.filters
	inner.KernelHeight, inner.KernelWidth = f.DilationHeight*(f.KernelHeight-1)+
		1, f.DilationWidth*(f.KernelWidth-1)+1
	// Its images are copied one by one.
	inner.FilteredGradients = inner.FilteredGradients && inner.KernelHeight*inner.KernelWidth > 1
	engine.BF16 = nil // few channels, or taps that are zero
	if f.Groups > 1 {
		engine.Weights = nil // the plan is given another group's with each call
	}
	var err error
	if g.group, err = newConv2D(engine, inner, shares); err != nil {
		return nil, err
	}
	if inner.KernelHeight != f.KernelHeight || inner.KernelWidth != f.KernelWidth {
		for u := range f.KernelHeight {
			for v := range f.KernelWidth {
				g.taps = append(g.taps, (u*f.DilationHeight*inner.KernelWidth+v*f.DilationWidth)*g.channels)
			}
		}
		g.w, g.dw = make([]float32, g.filters*g.group.depth), make([]float32, g.filters*g.group.depth)
	}
	if f.Groups > 1 {
		g.x, g.y = make([]float32, g.group.sizeX()), make([]float32, g.group.sizeY())
	}
	g.gather, g.scatter = g.gatherImage, g.scatterImage
	return g, nil
}

// Output returns the height and width of y.
func (g *GroupedConv2D) Output() (height, width int) { return g.group.Output() }

func (g *GroupedConv2D) sizeX() int { return g.config.Groups * g.group.sizeX() }
func (g *GroupedConv2D) sizeY() int { return g.config.Groups * g.group.sizeY() }
func (g *GroupedConv2D) sizeW() int {
	return g.config.Filters * g.config.KernelHeight * g.config.KernelWidth * g.channels
}

// gatherImage copies the group's channels of an image; scatterImage copies them back.
func (g *GroupedConv2D) gatherImage(_, image int) {
	for r := image * g.rows; r < (image+1)*g.rows; r++ {
		copy(g.to[r*g.narrow:(r+1)*g.narrow], g.from[r*g.width+g.first:])
	}
}

func (g *GroupedConv2D) scatterImage(_, image int) {
	for r := image * g.rows; r < (image+1)*g.rows; r++ {
		copy(g.to[r*g.width+g.first:][:g.narrow], g.from[r*g.narrow:])
	}
}

// take returns a group's channels of x or, with output, of y.
func (g *GroupedConv2D) take(scratch, values []float32, group int, output bool) []float32 {
	if g.config.Groups == 1 {
		return values
	}
	g.move(scratch, values, group, output, g.gather)
	return scratch
}

// give returns where a group's channels of values are computed; put then brings them there.
func (g *GroupedConv2D) give(scratch, values []float32) []float32 {
	if g.config.Groups == 1 {
		return values
	}
	return scratch
}

func (g *GroupedConv2D) put(values, scratch []float32, group int, output bool) {
	if g.config.Groups > 1 {
		g.move(values, scratch, group, output, g.scatter)
	}
}

func (g *GroupedConv2D) move(to, from []float32, group int, output bool,
	task func(worker, image int)) {
	g.to, g.from, g.narrow, g.rows = to, from, g.channels, g.config.Height*g.config.Width
	if output {
		g.narrow, g.rows = g.filters, g.group.outHeight*g.group.outWidth
	}
	g.width, g.first = g.narrow*g.config.Groups, g.narrow*group
	g.pool.Run(g.config.Batch, task)
	g.to, g.from = nil, nil
}

// weights returns a group's part of w, dilated.
func (g *GroupedConv2D) weights(w []float32, group int) []float32 {
	n := g.sizeW() / g.config.Groups
	w = w[group*n : (group+1)*n]
	if g.taps == nil {
		return w
	}
	g.eachTap(func(at, dilated int) { copy(g.w[dilated:dilated+g.channels], w[at:]) })
	return g.w
}

// eachTap calls f with where each tap's channels lie in the weights of a group and in its dilated
// ones.
func (g *GroupedConv2D) eachTap(f func(at, dilated int)) {
	at := 0
	for o := range g.filters {
		for _, tap := range g.taps {
			f(at, o*g.group.depth+tap)
			at += g.channels
		}
	}
}

// Forward computes y from x, w and b.
func (g *GroupedConv2D) Forward(y, x, w, b []float32) error {
	if err := lengths("grouped convolution", size{"y", len(y), g.sizeY()},
		size{"x", len(x), g.sizeX()}, size{"w", len(w), g.sizeW()}, size{"b", len(b),
			g.config.Filters}); err != nil {
		return err
	}
	for group := range g.config.Groups {
		to := g.give(g.y, y)
		bias := b[group*g.filters : (group+1)*g.filters]
		if err := g.group.Forward(to, g.take(g.x, x, group, false), g.weights(w, group),
			bias); err != nil {
			return err
		}
		g.put(y, to, group, true)
	}
	return nil
}

// haveGradients makes room for a group's gradients, which evaluation does not need.
func (g *GroupedConv2D) haveGradients() {
	if g.config.Groups > 1 && g.dx == nil {
		g.dx, g.dy = make([]float32, g.group.sizeX()), make([]float32, g.group.sizeY())
	}
}

// BackwardParameters computes dw and, unless it is nil, db from dy and x; y is not read.
func (g *GroupedConv2D) BackwardParameters(dw, db, dy, _, x []float32) error {
	if err := lengths("gradient of grouped convolution parameters", size{"dw", len(dw), g.sizeW()},
		optional("db", db, g.config.Filters), size{"dy", len(dy), g.sizeY()}, size{"x", len(x),
			g.sizeX()}); err != nil {
		return err
	}
	g.haveGradients()
	for group := range g.config.Groups {
		n := g.sizeW() / g.config.Groups
		own := dw[group*n : (group+1)*n]
		to := own
		if g.taps != nil {
			to = g.dw
		}
		bias := db
		if db != nil {
			bias = db[group*g.filters : (group+1)*g.filters]
		}
		gradient, input := g.take(g.dy, dy, group, true), g.take(g.x, x, group, false)
		if err := g.group.BackwardParameters(to, bias, gradient, nil, input); err != nil {
			return err
		}
		if g.taps != nil {
			g.eachTap(func(at, dilated int) { copy(own[at:at+g.channels], g.dw[dilated:]) })
		}
	}
	return nil
}

// BackwardInput computes dx from dy and w; y is not read.
func (g *GroupedConv2D) BackwardInput(dx, dy, _, w []float32) error {
	if err := lengths("gradient of grouped convolution input", size{"dx", len(dx), g.sizeX()},
		size{"dy", len(dy), g.sizeY()}, size{"w", len(w), g.sizeW()}); err != nil {
		return err
	}
	g.haveGradients()
	for group := range g.config.Groups {
		to := g.give(g.dx, dx)
		if err := g.group.BackwardInput(to, g.take(g.dy, dy, group, true), nil,
			g.weights(w, group)); err != nil {
			return err
		}
		g.put(dx, to, group, false)
	}
	return nil
}
