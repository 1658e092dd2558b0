package native

import (
	"errors"
	"fmt"
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// cachedMap is the bytes of a map that lies in the second-level cache when the next step reads it.
const cachedMap = 1 << 20

// addendInput is the place, among a Conv's inputs, of what is added to it.
const addendInput = 3

// convolution is Conv, with the Add, the Relu, Clip or HardSwish and the MaxPool after it if there
// are any.
type convolution struct {
	window window
	frames framed
	group  int
	finish finish
	direct bool // as in Options
	// poolAlone is pooling as an operation of its own, for what the plan does not compute.
	poolAlone operation
	pool      *window
	pooled    framed

	within framed // over a map that has its padding around it

	packed  *Tensor   // constant weights, O×KH×KW×C
	kernels []float32 // those of a depthwise convolution, KH×KW×C
	zeros   kept[zeros]
	plans   plansOf[*kernel.Conv2D]
	rows    plansOf[*kernel.Row]
	filters sharedFilters
	row     sharedRow

	depthwisePlans plansOf[*kernel.Depthwise]
	bandPlans      plansOf[*kernel.DepthwiseForward]
	groupedPlans   plansOf[*kernel.GroupedConv2D]
	pooledPlans    plansOf[*kernel.PooledConv2D]
}

func makeConv(n *node) (operation, error) {
	w, err := windowOf(n)
	if err != nil {
		return nil, err
	}
	group := n.integer("group", 1)
	if group < 1 || group > maxElements {
		return nil, fmt.Errorf("attribute group = %d is not supported", group)
	}
	c := &convolution{window: w, group: int(group), finish: n.finish, direct: n.direct}
	if n.pool != nil {
		if c.poolAlone, err = makeMaxPool(n.pool); err != nil {
			return nil, err
		}
		pool, err := windowOf(n.pool)
		if err != nil {
			return nil, err
		}
		c.pool = &pool
	}
	c.arrange(n.constant(1))
	n.convolution = c
	return c.run, nil
}

// arrange keeps constant weights as the plans read them.
func (c *convolution) arrange(weight *Tensor) {
	if weight == nil || len(weight.Shape) < 3 {
		return
	}
	data, ok := weight.Data.([]float32)
	switch depthwise := c.group > 1 && weight.Shape[0] == c.group && weight.Shape[1] == 1; {
	case ok && depthwise:
		c.kernels = depthwiseKernels(weight)
	case ok && len(weight.Shape) <= 4:
		c.packed = packFilters(data, weight.Shape)
	}
}

// packFilters returns O×C×KH×KW weights as O×KH×KW×C.
func packFilters(data []float32, shape []int) *Tensor {
	packed := &Tensor{Shape: shape, Data: make([]float32, len(data))}
	channels, taps := shape[1], product(shape[2:])
	for o := range shape[0] {
		size := channels * taps
		transpose(packed.Data.([]float32)[o*size:(o+1)*size], data[o*size:(o+1)*size], channels, taps)
	}
	return packed
}

func (c *convolution) run(r *run, in []*Tensor) ([]*Tensor, error) {
	x := in[0]
	w, err := r.rowMajor(in[1])
	if err != nil {
		return nil, err
	}
	defer r.release(w)
	if _, err := floats32(x, "input"); err != nil {
		return nil, err
	}
	if padded, err := c.interleaved(r, x); err != nil {
		return nil, err
	} else if padded != nil {
		defer r.release(padded)
		x = padded
	}
	if _, err := floats32(w, "weight"); err != nil {
		return nil, err
	}
	var bias []float32
	if len(in) > 2 && in[2] != nil {
		var err error
		if bias, err = floats32(in[2], "bias"); err != nil {
			return nil, err
		}
	}
	rank := len(x.Shape)
	if rank < 3 || len(w.Shape) != rank || x.Shape[1] != w.Shape[1]*c.group ||
		w.Shape[0]%c.group != 0 || bias != nil && len(bias) != w.Shape[0] {
		return nil, fmt.Errorf("the weight %v, with group %d, is not for the input %v", w, c.group, x)
	}
	window := c.windowFor(w)
	if !slices.Equal(window.kernel, w.Shape[2:]) {
		return nil, fmt.Errorf("kernel_shape %v is not that of the weight %v", window.kernel, w)
	}
	frames := &c.frames
	if x.border != (kernel.Border{}) {
		window.pads, frames = nil, &c.within
	}
	f, err := frames.over(r, window, x.Shape[2:])
	if err != nil {
		return nil, err
	}
	var addend *Tensor
	if len(in) > addendInput {
		addend = in[addendInput]
	}
	y, done, err := c.sums(r, x, w, bias, addend, f)
	if err != nil {
		return nil, err
	}
	return c.rest(r, y, addend, done)
}

// stage is how much of a convolution and of what follows it has been computed.
type stage int

const (
	convolved stage = iota
	finished        // added and finished, too
	pooled          // and pooled
)

// sums computes the convolution, and as much of what follows as goes with it.
func (c *convolution) sums(r *run, x, w *Tensor, bias []float32, addend *Tensor, f frame) (*Tensor,
	stage, error) {
	if c.packed != nil && x.size() == x.Shape[1] && w.size() == x.size()*w.Shape[0] && c.group == 1 &&
		product(f.out) == 1 {
		y, done, err := c.pixel(r, x, w, bias, addend == nil)
		if !errors.Is(err, errNoPlan) {
			return y, done, err
		}
	}
	if x.size() > 0 && w.size() > 0 && c.group == 1 && f.plain() {
		if addend == nil {
			y, err := c.overlapping(r, x, bias, f)
			if !errors.Is(err, errNoPlan) {
				return y, pooled, err
			}
		}
		y, done, err := c.planned(r, x, w, bias, addend, f)
		if !errors.Is(err, errNoPlan) {
			return y, done, err
		}
	}
	if x.size() > 0 && w.size() > 0 && c.group > 1 {
		y, done, err := c.depthwise(r, x, w, bias, addend, f)
		if !errors.Is(err, errNoPlan) {
			return y, done, err
		}
	}
	if x.size() > 0 && w.size() > 0 {
		y, err := c.grouped(r, x, w, bias, f)
		if !errors.Is(err, errNoPlan) {
			return y, convolved, err
		}
	}
	y, err := c.loops(r, x, w, bias, f)
	return y, convolved, err
}

// pixel computes a convolution of a single pixel with a kernel of one, a matrix times a vector.
func (c *convolution) pixel(r *run, x, w *Tensor, bias []float32, finishing bool) (*Tensor, stage,
	error) {
	low, done := noFinish().low, convolved
	if finishing && c.finish.rectifies() {
		low, done = 0, finished
	}
	filters := w.Shape[0]
	plan, err := c.rows.get(r, planKey{x.size(), filters}, rowBytes(x.size(), filters),
		func() (*kernel.Row, error) {
			return c.row.new(r, func() (*kernel.Row, error) {
				return kernel.NewRow(r.engine, x.size(), filters, low, w.Data.([]float32))
			})
		})
	if err != nil {
		return nil, convolved, err
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(1, filters, x.Shape[2:]))
	if err != nil {
		return nil, convolved, err
	}
	y.channelsLast = true
	if err := plan.Forward(y.Data.([]float32), x.Data.([]float32),
		c.biasOf(r, bias, filters)); err != nil {
		r.release(y)
		return nil, convolved, err
	}
	return y, done, nil
}

// windowFor returns the window, whose kernel is the weight's where the node does not say it.
func (c *convolution) windowFor(weight *Tensor) window {
	w := c.window
	if w.kernel == nil {
		w.kernel = weight.Shape[2:]
	}
	return w
}

// givenBias returns an operand that is the bias, nil where it is left out, and false where it is
// not of so many float32.
func givenBias(operands []*Tensor, at, filters int) (bias []float32, ok bool) {
	if at >= len(operands) || operands[at] == nil {
		return nil, true
	}
	bias, ok = operands[at].Data.([]float32)
	return bias, ok && len(bias) == filters
}

// biasOf returns the bias, zeros where there is none.
func (c *convolution) biasOf(r *run, bias []float32, filters int) []float32 {
	if bias != nil {
		return bias
	}
	return c.zeros.of(r).first(filters)
}

// rest does what has not been done with the convolution, which it releases.
func (c *convolution) rest(r *run, y, addend *Tensor, done stage) ([]*Tensor, error) {
	if done < finished {
		if addend != nil {
			r.ending = nil // which is of the step's inputs
			sum, err := r.sum(y, addend)
			r.release(y)
			if err != nil {
				return nil, err
			}
			y = sum
		}
		if err := c.finish.apply(r, y); err != nil {
			r.release(y)
			return nil, err
		}
	}
	if c.pool == nil || done == pooled {
		return r.list(y), nil
	}
	r.ending = nil // which is of the step's inputs
	defer r.release(y)
	return c.poolAlone(r, r.list(y))
}

// sum adds two tensors of float32.
func (r *run) sum(a, b *Tensor) (*Tensor, error) {
	y, err := r.ofImages([]*Tensor{a, b}, addition, false)
	if y != nil || err != nil {
		return y, err
	}
	return r.binary(a, b, addition)
}

// errNoPlan says that no plan of the kernels computes this; plain loops do.
var errNoPlan = errors.New("no plan")

// planned computes the convolution with a plan, and with it what follows where that
// can.
func (c *convolution) planned(r *run, x, w *Tensor, bias []float32, addend *Tensor,
	f frame) (*Tensor, stage, error) {
	fail := func(err error) (*Tensor, stage, error) { return nil, convolved, err }
	filters := w.Shape[0]
	packed := c.packed
	if packed == nil {
		packed = packFilters(w.Data.([]float32), w.Shape)
	}
	bias = c.biasOf(r, bias, filters)
	image, err := r.toChannelsLast(x)
	if err != nil {
		return fail(err)
	}
	defer r.release(image)
	if !f.symmetric() {
		padded, err := r.padSpatial(image, f)
		if err != nil {
			return fail(err)
		}
		defer r.release(padded)
		image = padded
		f.in = padded.Shape[2:]
		f.begin, f.end = make([]int, len(f.in)), make([]int, len(f.in))
	}
	config, transformed, err := c.filtered(r, x, filters, f)
	if err != nil {
		return fail(err)
	}
	out := f.out
	done, pooling := finished, kernel.Window{}
	if c.pool != nil && addend == nil && (c.finish.none() || c.finish.rectifies()) {
		windows, err := c.pooled.over(r, *c.pool, f.out)
		if err != nil {
			return fail(err)
		}
		// Where windows overlap, positions of two blocks would be computed twice; and a map that stays in
		// the second-level cache is pooled from there, as the convolution alone has the wider vectors.
		large := 4*x.Shape[0]*filters*product(f.out) > cachedMap
		if window, ok := kernelWindow(windows); ok && large && window.Height <= window.StrideHeight &&
			window.Width <= window.StrideWidth && !r.poolsApart(config, window) {
			pooling, out, done = window, windows.out, pooled
			config.ReLU = c.finish.rectifies()
		}
	}
	bytes := convPlanBytes(config, pooling, out, r.engine.Pool.Threads())
	plan, err := c.plans.get(r, keyOf(config), bytes,
		func() (*kernel.Conv2D, error) {
			config := config
			if done == pooled {
				config.MaxPool = &kernel.Window{}
				*config.MaxPool = pooling
			}
			plan, err := kernel.NewConv2D(r.engine, config)
			if err == nil && done == finished && !c.finish.none() {
				plan.Finish(c.finish.kernel())
			}
			if err == nil && config.ConstantWeights {
				err = c.filters.give(r, plan, packed.Data.([]float32), transformed)
			}
			return plan, err
		})
	if err != nil {
		return fail(err)
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(x.Shape[0], filters, out))
	if err != nil {
		return fail(err)
	}
	y.channelsLast = true
	to, from, weights := y.Data.([]float32), image.Data.([]float32), packed.Data.([]float32)
	switch {
	case addend == nil:
		err = plan.Forward(to, from, weights, bias)
	case slices.Equal(addend.Shape, y.Shape) && addend.Type() == onnxpb.TensorProto_FLOAT:
		var also *Tensor
		if also, err = r.toChannelsLast(addend); err == nil {
			err = plan.ForwardAdd(to, from, weights, bias, also.Data.([]float32))
			r.release(also)
		}
	default:
		// It has to be broadcast, and the sum is finished afterwards.
		r.release(y)
		return fail(errNoPlan)
	}
	if err != nil {
		r.release(y)
		return fail(err)
	}
	return y, done, nil
}

// padSpatial returns a channels-last image with its padding of zeros in place.
func (r *run) padSpatial(x *Tensor, f frame) (*Tensor, error) {
	shape := slices.Clone(x.Shape)
	for i := range f.in {
		shape[i+2] += f.begin[i] + f.end[i]
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	clear(y.Data.([]float32))
	spatial := func(s []int) []int { return append(append([]int{s[0]}, s[2:]...), s[1]) }
	to := strides(spatial(shape))
	offset := 0
	for i, begin := range f.begin {
		offset += begin * to[i+1]
	}
	from := spatial(x.Shape)
	copyStrided(y, x, region{shape: from, dst: to, src: strides(from), dstOffset: offset})
	return y, nil
}
