package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// DepthwiseForward is a plan for a depthwise convolution with bias alone, without its gradients,
// and what follows it. Tensors are those of Depthwise. A plan owns its scratch memory: Forward must
// not run at the same time as itself.
//
// An item of work is a band of output rows of some vectors of channels. A vector's input rows go
// one by one into a ring of as many rows as the kernel has, in the first-level cache, where its
// padding lies, too; from there a row of outputs is computed.
type DepthwiseForward struct {
	engine    Engine
	config    DepthwiseConfig
	finish    Finish
	height    int // of y
	width     int
	bands     int
	bandRows  int
	groups    int
	pieces    []depthwisePiece
	constants []float32 // bias
	work      []apart[depthwiseRing]
	task      func(worker, item int)

	x, y, w []float32
}

type depthwiseRing struct {
	args depthwiseArgs
	rows []float32 // of the widest vectors
}

const (
	// depthwiseBandBytes bounds the input rows of a band, of all channels: they stay in the
	// second-level cache.
	depthwiseBandBytes = 512 << 10
	// depthwiseLeastRows is how many rows of outputs a band has at least: the rows above them are
	// copied again.
	depthwiseLeastRows = 4
)

// NewDepthwiseForward returns a plan, or an error that says what is wrong with the configuration.
// Channels must be whole vectors of the engine's set, or of its half.
func NewDepthwiseForward(engine Engine, config DepthwiseConfig, finish Finish) (*DepthwiseForward,
	error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := config
	oh, ow, err := f.output()
	if err != nil {
		return nil, err
	}
	d := &DepthwiseForward{engine: engine, config: f, finish: finish, height: oh, width: ow}
	if d.frameWidth() > math.MaxInt32/64/d.config.reach() ||
		f.Height*f.Width > math.MaxInt32/64/f.Channels || oh*ow > math.MaxInt32/64/f.Channels ||
		f.Batch > maxElements/max(f.Height*f.Width*f.Channels, oh*ow*f.Channels) {
		return nil, fmt.Errorf("kernel: depthwise convolution %+v: image or weights too large", f)
	}
	ring := func(set *Set) (row, position int) { return d.frameWidth() * set.lanes, set.lanes }
	if d.pieces, err = f.pieces(engine.Set, finish, d.config.reach(), ring); err != nil {
		return nil, err
	}
	row := 4 * f.StrideHeight * f.Width * f.Channels
	d.bandRows = min(max(depthwiseLeastRows, depthwiseBandBytes/row), oh)
	d.bands = ceil(oh, d.bandRows)
	d.groups = 1
	if items := f.Batch * d.bands; items < 2*engine.Pool.Threads() {
		d.groups = min(len(d.pieces), ceil(2*engine.Pool.Threads(), items))
	}
	d.constants = aligned(f.Channels)
	d.work = make([]apart[depthwiseRing], engine.Pool.Threads())
	for i := range d.work {
		d.work[i].own.rows = aligned(d.config.reach() * d.frameWidth() * engine.Set.lanes)
	}
	d.task = d.item
	return d, nil
}

// frameWidth is the positions of a row with its padding.
func (d *DepthwiseForward) frameWidth() int {
	return d.config.Width + 2*d.config.PaddingWidth + d.config.ExtraWidth
}

// Output returns the height and width of y.
func (d *DepthwiseForward) Output() (height, width int) { return d.height, d.width }

// Forward computes y from x, w (KH×KW×C) and b, which may be nil.
func (d *DepthwiseForward) Forward(y, x, w, b []float32) error {
	f := &d.config
	if err := lengths("depthwise convolution",
		size{"y", len(y), f.Batch * d.height * d.width * f.Channels},
		size{"x", len(x), f.Batch * f.Height * f.Width * f.Channels},
		size{"w", len(w), f.KernelHeight * f.KernelWidth * f.Channels}, optional("b", b,
			f.Channels)); err != nil {
		return err
	}
	clear(d.constants)
	copy(d.constants, b)
	d.x, d.y, d.w = x, y, w
	d.engine.Pool.Run(f.Batch*d.bands*d.groups, d.task)
	d.x, d.y, d.w = nil, nil, nil
	for i := range d.work {
		d.work[i].own.args = depthwiseArgs{}
	}
	return nil
}

// item computes a band of some pieces.
func (d *DepthwiseForward) item(worker, item int) {
	group, band := item%d.groups, item/d.groups
	image, first := band/d.bands, band%d.bands*d.bandRows
	d.fetch(image, first, min(first+d.bandRows, d.height))
	for i := group * len(d.pieces) / d.groups; i < (group+1)*len(d.pieces)/d.groups; i++ {
		d.piece(&d.work[worker].own, &d.pieces[i], image, first, min(first+d.bandRows, d.height))
	}
}

// fetch brings the input rows of a band into the second-level cache, one after the other: a vector
// of channels is a line here and there of them, which no core foresees.
func (d *DepthwiseForward) fetch(image, first, last int) {
	f := &d.config
	from := max(first*f.StrideHeight-f.PaddingHeight, 0)
	to := min((last-1)*f.StrideHeight-f.PaddingHeight+d.config.reach(), f.Height)
	if row := f.Width * f.Channels; from < to {
		d.engine.Set.ahead(d.x[(image*f.Height+from)*row:(image*f.Height+to)*row], 0, 1)
	}
}

// piece computes rows first to last of a vector of channels.
func (d *DepthwiseForward) piece(ws *depthwiseRing, p *depthwisePiece, image, first, last int) {
	f, lanes := &d.config, p.set.lanes
	a, ring := &ws.args, d.config.reach()
	*a = depthwiseArgs{
		X: pointer(ws.rows), XStep: 4 * f.StrideWidth * lanes, W: pointer(d.w[p.channel:]),
		Count: len(p.taps[0]),
		YStep: 4 * f.Channels, Positions: d.width, Bias: pointer(d.constants[p.channel:]),
		Low: d.finish.Low, High: d.finish.High, Gate: pointer(p.gate),
	}
	row := d.frameWidth() * lanes
	// Padding at the sides stays as it is here, whatever goes into the rows.
	for r := range ring {
		clear(ws.rows[r*row:][:f.PaddingWidth*lanes])
		clear(ws.rows[r*row+(f.PaddingWidth+f.Width)*lanes : (r+1)*row])
	}
	next := first*f.StrideHeight - f.PaddingHeight // the input row that the ring lacks first
	for i := first; i < last; i++ {
		top := i*f.StrideHeight - f.PaddingHeight
		for next = max(next, top); next < top+ring; next++ {
			to := ws.rows[(next+f.PaddingHeight)%ring*row:][:row]
			if next < 0 || next >= f.Height {
				clear(to)
				continue
			}
			from := d.x[((image*f.Height+next)*f.Width)*f.Channels+p.channel:]
			p.set.copyVectors(&to[f.PaddingWidth*lanes], &from[0], 4*f.Channels, f.Width)
		}
		a.Taps = &p.taps[(top+f.PaddingHeight)%ring][0]
		a.Y = pointer(d.y[((image*d.height+i)*d.width)*f.Channels+p.channel:])
		a.Vectors = 1 // which the loop counts down
		p.set.depthwise((*byte)(unsafe.Pointer(a)))
	}
}
