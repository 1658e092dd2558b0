package kernel

import (
	"fmt"
	"unsafe"
)

// Pool2DConfig describes pooling of images N×H×W×C.
type Pool2DConfig struct {
	Batch, Height, Width, Channels int
	Window                         Window
}

// pool2D is what maximum and average pooling share.
type pool2D struct {
	engine        Engine
	config        Pool2DConfig
	height, width int // of y
	entries       []poolEntry
	elements      int
	divisor       float32   // of whole windows
	divisors      []float32 // by window
	index         []uint16
	padded        bool // a window has elements outside
	work          []apart[poolArgs]
	averageWork   []apart[averageArgs]
	mask          []int32 // of the last vector of channels

	x, y []float32 // or their gradients

	bands                     int // into how many an image's windows are cut where images are few
	forwardTask, backwardTask func(worker, image int)
}

func newPool2D(engine Engine, config Pool2DConfig) (*pool2D, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if config.Batch < 1 || config.Height < 1 || config.Width < 1 || config.Channels < 1 {
		return nil, fmt.Errorf("kernel: pooling %+v: sizes must be positive", config)
	}
	if tooLarge(config.Batch, config.Height, config.Width, config.Channels) {
		return nil, fmt.Errorf("kernel: pooling %+v: too large", config)
	}
	engine.Set = engine.Set.forChannels(config.Channels)
	p := &pool2D{engine: engine, config: config, elements: config.Window.Height * config.Window.Width}
	var err error
	if p.height, p.width, err = config.Window.output(config.Height, config.Width); err != nil {
		return nil, err
	}
	if p.imageX() > 1<<28 || p.imageY() > 1<<28 || config.Batch > maxElements/p.imageX() ||
		config.Batch > maxElements/p.imageY() {
		return nil, fmt.Errorf("kernel: pooling %+v: image too large", config)
	}
	p.divisor = float32(p.elements)
	w := config.Window
	for i := range p.height {
		for j := range p.width {
			first := len(p.entries)
			for u := range w.Height {
				for v := range w.Width {
					h, k := i*w.StrideHeight+u-w.PaddingHeight, j*w.StrideWidth+v-w.PaddingWidth
					if h >= 0 && h < config.Height && k >= 0 && k < config.Width {
						p.entries = append(p.entries,
							poolEntry{src: int32(4 * (h*config.Width + k) * config.Channels),
								position: int32(u*w.Width + v)})
					}
				}
			}
			p.padded = p.padded || len(p.entries) < first+p.elements
			p.entries = padWindow(p.entries, first+p.elements)
			p.divisors = append(p.divisors, float32(w.values(i, j, config.Height, config.Width)))
		}
	}
	return p, nil
}

func (p *pool2D) imageX() int { return p.config.Height * p.config.Width * p.config.Channels }
func (p *pool2D) imageY() int { return p.height * p.width * p.config.Channels }

// Output returns the height and width of y.
func (p *pool2D) Output() (height, width int) { return p.height, p.width }

func (p *pool2D) run(operation string, x, y []float32, task func(worker, image int)) error {
	return p.runItems(operation, x, y, p.config.Batch, task)
}

func (p *pool2D) runItems(operation string, x, y []float32, items int,
	task func(worker, item int)) error {
	if err := lengths(operation, size{"input", len(x), p.config.Batch * p.imageX()},
		size{"output", len(y), p.config.Batch * p.imageY()}); err != nil {
		return err
	}
	p.x, p.y = x, y
	p.engine.Pool.Run(items, task)
	p.x, p.y = nil, nil
	return nil
}

// MaxPool2D is a plan for max pooling, N×H×W×C to N×OH×OW×C, by PyTorch's rules: the first of equal
// maxima wins, padding never does, NaN does. Its methods must not run at the same time as each
// other; Backward belongs to the last Forward.
type MaxPool2D struct{ *pool2D }

// NewMaxPool2D returns a plan, or an error that says what is wrong with the configuration.
func NewMaxPool2D(engine Engine, config Pool2DConfig) (*MaxPool2D, error) {
	p, err := newPool2D(engine, config)
	if err != nil {
		return nil, err
	}
	p.index = make([]uint16, config.Batch*p.imageY())
	p.planBands()
	p.forwardTask, p.backwardTask = p.maxBand, p.maxGradientImage
	return &MaxPool2D{p}, nil
}

// planBands cuts images into bands where they are few.
func (p *pool2D) planBands() {
	p.work = make([]apart[poolArgs], p.engine.Pool.Threads())
	p.bands = 1
	if threads := p.engine.Pool.Threads(); threads > 1 && p.config.Batch < 2*threads {
		p.bands = min(p.height, ceil(4*threads, p.config.Batch))
	}
}

// Forward computes y from x.
func (p *MaxPool2D) Forward(y, x []float32) error {
	return p.runItems("max pooling", x, y, p.config.Batch*p.bands, p.forwardTask)
}

// Backward computes dx from dy.
func (p *MaxPool2D) Backward(dx, dy []float32) error {
	return p.run("gradient of max pooling", dx, dy, p.backwardTask)
}

// band returns the image that an item is of, and its first and last window of that.
func (p *pool2D) band(item int) (image, first, last int) {
	image, band := item/p.bands, item%p.bands
	return image, band * p.height / p.bands * p.width, (band + 1) * p.height / p.bands * p.width
}

// maximaBand computes some rows of windows of an image, and no more than their maxima.
func (p *pool2D) maximaBand(worker, item int) {
	image, first, last := p.band(item)
	channels := p.config.Channels
	p.engine.Set.maxima(&p.work[worker].own, p.y[image*p.imageY()+first*channels:],
		p.x[image*p.imageX():], p.entries[first*p.elements:last*p.elements], p.elements, channels)
}

// maxima computes the maxima of windows of so many entries in x, for all channels, into y.
func (s *Set) maxima(a *poolArgs, y, x []float32, entries []poolEntry, elements, channels int) {
	windows, vectors := len(entries)/elements, channels/s.lanes
	if vectors > 0 && windows > 0 {
		*a = poolArgs{
			Src: pointer(x), Entries: &entries[0], Y: pointer(y), YStep: 4 * channels,
			Windows: windows, Elements: elements, Vectors: vectors,
		}
		s.poolMaxima((*byte)(unsafe.Pointer(a)))
	}
	for c := vectors * s.lanes; c < channels; c++ {
		for w := range windows {
			y[w*channels+c], _ = poolWindow(pointer(x), entries[w*elements:(w+1)*elements], c, nan32)
		}
	}
}

// maxBand computes some rows of windows of an image.
func (p *pool2D) maxBand(worker, item int) {
	image, first, last := p.band(item)
	if first == last {
		return
	}
	channels, lanes := p.config.Channels, p.engine.Set.lanes
	at := image*p.imageY() + first*channels
	x, y, index, entries := p.x[image*p.imageX():], p.y[at:], p.index[at:],
		p.entries[first*p.elements:]
	if vectors := channels / lanes; vectors > 0 {
		a := &p.work[worker].own
		*a = poolArgs{
			Src: pointer(x), Entries: &entries[0], Y: pointer(y), YStep: 4 * channels,
			Index: unsafe.Pointer(&index[0]), IndexStep: 2 * channels,
			Windows: last - first, Elements: p.elements, Vectors: vectors, Floor: nan32,
		}
		p.engine.Set.poolMax(a)
	}
	for c := channels / lanes * lanes; c < channels; c++ {
		for w := range last - first {
			y[w*channels+c], index[w*channels+c] = poolWindow(pointer(x),
				entries[w*p.elements:(w+1)*p.elements], c, nan32)
		}
	}
}

func (p *pool2D) maxGradientImage(_, image int) {
	channels, window := p.config.Channels, p.config.Window
	dx := p.x[image*p.imageX() : (image+1)*p.imageX()]
	clear(dx)
	for w := range p.height * p.width {
		at := image*p.imageY() + w*channels
		dy, index := p.y[at:at+channels], p.index[at:at+channels]
		top, left := w/p.width*window.StrideHeight-window.PaddingHeight,
			w%p.width*window.StrideWidth-window.PaddingWidth
		for c, g := range dy {
			u, v := int(index[c])/window.Width, int(index[c])%window.Width
			dx[((top+u)*p.config.Width+left+v)*channels+c] += g
		}
	}
}

// Maxima2D is MaxPool2D without a gradient: it does not keep where the maxima came from.
type Maxima2D struct{ *pool2D }

// NewMaxima2D returns a plan, or an error that says what is wrong with the configuration.
func NewMaxima2D(engine Engine, config Pool2DConfig) (*Maxima2D, error) {
	p, err := newPool2D(engine, config)
	if err != nil {
		return nil, err
	}
	p.planBands()
	p.forwardTask = p.maximaBand
	return &Maxima2D{p}, nil
}

// Forward computes y from x.
func (p *Maxima2D) Forward(y, x []float32) error {
	return p.runItems("max pooling", x, y, p.config.Batch*p.bands, p.forwardTask)
}

// AvgPool2D is a plan for average pooling, N×H×W×C to N×OH×OW×C; padding counts as zeros
// (count_include_pad, PyTorch's default), unless the window excludes it. Its methods must not run
// at the same time as each other.
type AvgPool2D struct{ *pool2D }

// NewAvgPool2D returns a plan, or an error that says what is wrong with the configuration.
func NewAvgPool2D(engine Engine, config Pool2DConfig) (*AvgPool2D, error) {
	p, err := newPool2D(engine, config)
	if err != nil {
		return nil, err
	}
	p.averageWork = make([]apart[averageArgs], engine.Pool.Threads())
	p.mask = make([]int32, p.engine.Set.lanes)
	for i := range config.Channels - (ceil(config.Channels, len(p.mask))-1)*len(p.mask) {
		p.mask[i] = -1
	}
	p.forwardTask, p.backwardTask = p.averageImage, p.averageGradientImage
	return &AvgPool2D{p}, nil
}

// Forward computes y from x.
func (p *AvgPool2D) Forward(y, x []float32) error {
	return p.run("average pooling", x, y, p.forwardTask)
}

// Backward computes dx from dy.
func (p *AvgPool2D) Backward(dx, dy []float32) error {
	return p.run("gradient of average pooling", dx, dy, p.backwardTask)
}

func (p *pool2D) averageImage(worker, image int) {
	if p.padded {
		p.averagePaddedImage(image)
		return
	}
	p.averages(worker, image, p.engine.Set.poolAverage)
}

func (p *pool2D) averageGradientImage(worker, image int) {
	clear(p.x[image*p.imageX() : (image+1)*p.imageX()])
	if p.padded {
		p.averageGradientPaddedImage(image)
		return
	}
	p.averages(worker, image, p.engine.Set.poolSpread)
}

// averages runs a loop over the windows of an image, none of which has padding.
func (p *pool2D) averages(worker, image int, loop func(args *byte)) {
	a := &p.averageWork[worker].own
	*a = averageArgs{
		X: pointer(p.x[image*p.imageX():]), Entries: &p.entries[0], Y: pointer(p.y[image*p.imageY():]),
		YStep:   4 * p.config.Channels,
		Windows: p.height * p.width, Elements: p.elements,
		Vectors: ceil(p.config.Channels, p.engine.Set.lanes),
		Mask:    unsafe.Pointer(&p.mask[0]), Divisor: p.divisor,
	}
	loop((*byte)(unsafe.Pointer(a)))
}

func (p *pool2D) averagePaddedImage(image int) {
	for w := range p.height * p.width {
		y := p.y[image*p.imageY()+w*p.config.Channels:][:p.config.Channels]
		clear(y)
		for _, e := range p.inside(w) {
			p.engine.Set.addScaledSlice(y, p.x[image*p.imageX()+int(e.src)/4:][:len(y)], 1)
		}
		for c := range y {
			y[c] /= p.divisors[w]
		}
	}
}

func (p *pool2D) averageGradientPaddedImage(image int) {
	for w := range p.height * p.width {
		dy := p.y[image*p.imageY()+w*p.config.Channels:][:p.config.Channels]
		for _, e := range p.inside(w) {
			p.engine.Set.addScaledSlice(p.x[image*p.imageX()+int(e.src)/4:][:len(dy)], dy, 1/p.divisors[w])
		}
	}
}

// inside returns a window's elements without those that stand for padding.
func (p *pool2D) inside(window int) []poolEntry {
	entries := p.entries[window*p.elements : (window+1)*p.elements]
	for k := 1; k < len(entries); k++ {
		if entries[k] == entries[k-1] {
			return entries[:k]
		}
	}
	return entries
}
