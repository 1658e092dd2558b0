package kernel

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// DepthwiseConfig describes a depthwise convolution: each channel has a kernel of its own.
type DepthwiseConfig struct {
	Batch, Height, Width, Channels int
	KernelHeight, KernelWidth      int
	StrideHeight, StrideWidth      int
	PaddingHeight, PaddingWidth    int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right.
	ExtraHeight, ExtraWidth       int
	DilationHeight, DilationWidth int
}

// output returns the size of y, or an error that says what is wrong with the configuration.
func (f DepthwiseConfig) output() (height, width int, err error) {
	shape := Conv2DConfig{
		Batch: f.Batch, Height: f.Height, Width: f.Width, Channels: f.Channels, Filters: 1,
		KernelHeight: f.KernelHeight, KernelWidth: f.KernelWidth, StrideHeight: f.StrideHeight,
		StrideWidth:   f.StrideWidth,
		PaddingHeight: f.PaddingHeight, PaddingWidth: f.PaddingWidth,
	}
	return shape.slide(f.ExtraHeight, f.ExtraWidth, f.DilationHeight, f.DilationWidth)
}

// Depthwise is a plan for a depthwise convolution with bias and its gradients. Tensors are channels
// last: x N×H×W×C, y N×OH×OW×C, weights KH×KW×C, bias C. A plan owns its scratch memory: its
// methods must not run at the same time as each other. Images are read as rows of whole vectors of
// channels with their padding, a band of them at a time, which stays in the second-level cache.
type Depthwise struct {
	engine      Engine
	config      DepthwiseConfig
	height      int // of y
	width       int
	channels    int // with those that fill the last vector
	vectors     int
	x           paddedImage
	taps        []depthwiseTap
	phases      []depthwisePhase // of dx
	gradient    paddedImage      // of dy, as the phases read it
	weights     []float32        // of the padded channels
	bias, zeros []float32
	above       int // the least of the phases
	bandRows    int // of y, that are computed at a time
	partials    int
	partial     []float32 // by part: dw, then db
	work        []apart[depthwiseWork]

	before, behind *BatchNorm // see NormaliseBefore and NormaliseBehind
	measures       *BatchNorm // see Measure
	share          *Depthwise // for one of the shares of the batch, nil where it has none

	callX, callY, callDy, callDx, callDw, callDb []float32
	differentiates                               bool // dy is that of what is behind

	forwardTask, parametersTask, inputTask func(worker, item int)
}

// paddedImage is how an image is copied into a frame of zeros.
type paddedImage struct {
	height, width, top, left int // of the image, and where in the frame it begins
	row, size                int // elements of the frame's rows, and of the frame
}

// depthwisePhase is the input positions of one residue of both coordinates, with the taps that
// reach them. row and column are the first of them. x is in bytes the place of the first row's
// positions in the padded gradient, above the lowest row that a tap reaches from there: above is
// that row, below the highest, both of the gradient without its padding.
type depthwisePhase struct {
	row, column, rows, columns int
	x                          int
	above, below               int
	taps                       []depthwiseTap
}

type depthwiseWork struct {
	args         depthwiseArgs
	gradientArgs depthwiseGradientArgs
	normalise    normaliseArgs
	fetching     fetching
	x, dy        rowWindow
	y            []float32 // a row of positions of padded channels
	row          []float32 // of normalised positions
}

// depthwisePartials is how many partial sums of the weights' gradient there are, each over some of
// the images. The number of threads must not change it.
const depthwisePartials = 16

// maxDepthwiseTaps is how many taps of a kernel row the gradient's loop takes.
const maxDepthwiseTaps = 8

// NewDepthwise returns a plan, or an error that says what is wrong with the configuration.
func NewDepthwise(engine Engine, config DepthwiseConfig) (*Depthwise, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := config
	oh, ow, err := f.output()
	if err != nil {
		return nil, err
	}
	engine.Set = engine.Set.forWholeVectors(f.Channels)
	d := &Depthwise{engine: engine, config: f, height: oh, width: ow}
	d.vectors = ceil(f.Channels, engine.Set.lanes)
	d.channels = d.vectors * engine.Set.lanes
	d.x = d.frame(f.Height, f.Width, f.PaddingHeight, f.PaddingWidth, f.PaddingHeight+f.ExtraHeight,
		f.PaddingWidth+f.ExtraWidth)
	for u := range f.KernelHeight {
		for v := range f.KernelWidth {
			d.taps = append(d.taps, depthwiseTap{
				x: 4 * (u*f.DilationHeight*d.x.row + v*f.DilationWidth*d.channels),
				w: 4 * (u*f.KernelWidth + v) * d.channels,
			})
		}
	}
	d.planInput()
	if max(d.x.size, d.gradient.size, oh*ow*d.channels) > math.MaxInt32/64 ||
		len(d.taps) > math.MaxInt32/64/d.channels ||
		f.Batch > maxElements/max(d.x.size, oh*ow*d.channels) {
		return nil, fmt.Errorf("kernel: depthwise convolution %+v: image or weights too large", f)
	}
	if d.channels != f.Channels {
		d.weights = aligned(len(d.taps) * d.channels)
	}
	d.bias, d.zeros = aligned(d.channels), aligned(d.channels)
	d.partials = min(depthwisePartials, f.Batch)
	d.bandRows = depthwiseRows(4 * f.StrideHeight * d.x.row)
	d.work = make([]apart[depthwiseWork], engine.Pool.Threads())
	d.forwardTask, d.parametersTask, d.inputTask = d.forwardImage, d.parametersItem, d.inputImage
	return d, nil
}

// slide returns the size of the output of a convolution with that much additional padding and that
// dilation, or an error.
func (f Conv2DConfig) slide(extraHeight, extraWidth, dilationHeight, dilationWidth int) (oh, ow int,
	err error) {
	if min(f.Batch, f.Height, f.Width, f.Channels, f.Filters, f.KernelHeight, f.KernelWidth,
		f.StrideHeight, f.StrideWidth, dilationHeight, dilationWidth) < 1 ||
		min(f.PaddingHeight, f.PaddingWidth, extraHeight, extraWidth) < 0 {
		return 0, 0, fmt.Errorf(
			"kernel: convolution %+v: sizes, strides and dilation must be positive, padding not negative", f)
	}
	if tooLarge(f.Batch, f.Height, f.Width, f.Channels, f.Filters, f.KernelHeight, f.KernelWidth,
		f.StrideHeight, f.StrideWidth, f.PaddingHeight, f.PaddingWidth, extraHeight, extraWidth,
		dilationHeight, dilationWidth) {
		return 0, 0, fmt.Errorf("kernel: convolution %+v: too large", f)
	}
	height := f.Height + 2*f.PaddingHeight + extraHeight - dilationHeight*(f.KernelHeight-1) - 1
	width := f.Width + 2*f.PaddingWidth + extraWidth - dilationWidth*(f.KernelWidth-1) - 1
	if height < 0 || width < 0 {
		return 0, 0, fmt.Errorf("kernel: convolution kernel %d×%d does not fit the padded image of %+v",
			f.KernelHeight, f.KernelWidth, f)
	}
	return height/f.StrideHeight + 1, width/f.StrideWidth + 1, nil
}

// frame describes an image of whole vectors of channels with that padding.
func (d *Depthwise) frame(height, width, top, left, bottom, right int) paddedImage {
	row := (left + width + right) * d.channels
	return paddedImage{height: height, width: width, top: top, left: left, row: row,
		size: (top + height + bottom) * row}
}

// planInput lists the phases of dx: input position h has tap u where h + padding − u·dilation is a
// multiple of the stride, of the gradient at the quotient.
func (d *Depthwise) planInput() {
	f := &d.config
	type reach struct{ taps, at []int } // taps, and where in dy the first position sees through them
	side := func(first, padding, kernel, stride, dilation int) (r reach) {
		for u := range kernel {
			if at := first + padding - u*dilation; at%stride == 0 {
				r.taps, r.at = append(r.taps, u), append(r.at, at/stride)
			}
		}
		if r.taps == nil {
			r.at = []int{0} // a row of zeros, wherever it is read from
		}
		return r
	}
	var rows, columns []reach
	top, left, bottom, right := 0, 0, 0, 0
	bounds := func(r reach, count, size int, before, after *int) {
		for _, at := range r.at {
			*before, *after = max(*before, -at), max(*after, at+count-size)
		}
	}
	for h := range min(f.StrideHeight, f.Height) {
		rows = append(rows, side(h, f.PaddingHeight, f.KernelHeight, f.StrideHeight, f.DilationHeight))
		bounds(rows[h], ceil(f.Height-h, f.StrideHeight), d.height, &top, &bottom)
	}
	for k := range min(f.StrideWidth, f.Width) {
		columns = append(columns, side(k, f.PaddingWidth, f.KernelWidth, f.StrideWidth, f.DilationWidth))
		bounds(columns[k], ceil(f.Width-k, f.StrideWidth), d.width, &left, &right)
	}
	d.gradient = d.frame(d.height, d.width, top, left, bottom, right)
	for h, row := range rows {
		for k, column := range columns {
			p := depthwisePhase{row: h, column: k, rows: ceil(f.Height-h, f.StrideHeight),
				columns: ceil(f.Width-k, f.StrideWidth)}
			p.above, p.below = slices.Min(row.at), slices.Max(row.at)
			d.above = min(d.above, p.above)
			p.x = 4 * left * d.channels
			for i, u := range row.taps {
				for j, v := range column.taps {
					p.taps = append(p.taps, depthwiseTap{
						x: 4 * ((row.at[i]-p.above)*d.gradient.row + column.at[j]*d.channels),
						w: 4 * (u*f.KernelWidth + v) * d.channels,
					})
				}
			}
			d.phases = append(d.phases, p)
		}
	}
}

// Output returns the height and width of y.
func (d *Depthwise) Output() (height, width int) { return d.height, d.width }

func (d *Depthwise) sizeX() int {
	return d.config.Batch * d.config.Height * d.config.Width * d.config.Channels
}
func (d *Depthwise) sizeY() int { return d.config.Batch * d.height * d.width * d.config.Channels }
func (d *Depthwise) sizeW() int { return len(d.taps) * d.config.Channels }

// packed returns the weights with padded channels.
func (d *Depthwise) packed(w []float32) []float32 {
	if d.weights == nil {
		return w
	}
	c := d.config.Channels
	for tap := range d.taps {
		copy(d.weights[tap*d.channels:], w[tap*c:(tap+1)*c])
	}
	return d.weights
}

// Forward computes y from x, w and b; b may be nil.
func (d *Depthwise) Forward(y, x, w, b []float32) error {
	if err := lengths("depthwise convolution", size{"y", len(y), d.sizeY()},
		size{"x", len(x), d.sizeX()}, size{"w", len(w), d.sizeW()}, optional("b", b,
			d.config.Channels)); err != nil {
		return err
	}
	clear(d.bias)
	copy(d.bias, b)
	d.callX, d.callY = x, y
	d.pack(w)
	d.engine.Pool.Run(d.config.Batch, d.forwardTask)
	d.release()
	return nil
}

// pack gives the weights to all threads.
func (d *Depthwise) pack(w []float32) {
	packed := pointer(d.packed(w))
	for i := range d.work {
		d.work[i].own.args.W = packed
	}
}

func (d *Depthwise) release() {
	d.callX, d.callY, d.callDy, d.callDx, d.callDw, d.callDb = nil, nil, nil, nil, nil, nil
	d.differentiates = false
	for i := range d.work {
		ws := &d.work[i].own
		ws.args, ws.gradientArgs, ws.normalise = depthwiseArgs{}, depthwiseGradientArgs{}, normaliseArgs{}
	}
}

func (d *Depthwise) forwardImage(worker, image int) {
	f, ws := &d.config, &d.work[worker].own
	ws.x.begin()
	row, measured := d.width*f.Channels, 0
	y := d.callY[image*d.height*row : (image+1)*d.height*row]
	for first := 0; first < d.height; first += d.bandRows {
		last := min(first+d.bandRows, d.height)
		d.fetchX(ws, image, first, last)
		ws.fetching.begin(d.behindX(ws, image))
		for i := first; i < last; i++ {
			a := &ws.args
			a.FetchEach = f.StrideHeight * f.StrideWidth
			a.X, a.XStep = pointer(ws.x.from(i*f.StrideHeight)), 4*f.StrideWidth*d.channels
			a.Taps, a.Count, a.Bias = &d.taps[0], len(d.taps), pointer(d.bias)
			d.row(ws, y[i*row:], d.width, 1)
		}
		if d.measures != nil {
			measured = d.measures.measureTo(worker, image, y, measured, last*d.width)
		}
	}
}

// row computes positions into to, step positions apart, by way of the thread's own row where
// channels are padded.
func (d *Depthwise) row(ws *depthwiseWork, to []float32, positions, step int) {
	a, c := &ws.args, d.config.Channels
	a.Positions, a.Vectors, a.Low, a.High = positions, d.vectors, nan32, nan32
	a.Fetch, a.FetchEnd = ws.fetching.next()
	if d.channels == c {
		a.Y, a.YStep = pointer(to), 4*step*c
		d.engine.Set.depthwise((*byte)(unsafe.Pointer(a)))
		ws.fetching.came(a.Fetch, a.FetchEnd)
		return
	}
	if len(ws.y) < positions*d.channels {
		ws.y = aligned(max(d.config.Width, d.width) * d.channels)
	}
	a.Y, a.YStep = pointer(ws.y), 4*d.channels
	d.engine.Set.depthwise((*byte)(unsafe.Pointer(a)))
	ws.fetching.came(a.Fetch, a.FetchEnd)
	for p := range positions {
		copy(to[p*step*c:][:c], ws.y[p*d.channels:])
	}
}
