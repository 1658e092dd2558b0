package native

import (
	"slices"

	"slipway/internal/kernel"
)

// makeArithmetic makes Add, Sub, Mul, Div and Pow, with the Relu after it if there is one.
func makeArithmetic(o arithmetic) func(*node) (operation, error) {
	return func(n *node) (operation, error) {
		alone := func(r *run, in []*Tensor) ([]*Tensor, error) {
			y, err := r.binary(in[0], in[1], o)
			return r.list(y), err
		}
		n.multiplies = o == multiplication && n.relu == nil
		var relu operation
		if n.relu != nil {
			var err error
			if relu, err = makeRelu(n.relu); err != nil {
				return nil, err
			}
		}
		return func(r *run, in []*Tensor) ([]*Tensor, error) {
			y, err := r.ofImages(in, o, relu != nil)
			if y != nil || err != nil {
				return r.list(y), err
			}
			out, err := alone(r, in)
			if err != nil || relu == nil {
				return out, err
			}
			defer r.release(out[0])
			return relu(r, out)
		}, nil
	}
}

// ofImages computes an operation of two tensors of float32 as the kernels leave them: of one shape,
// one of them or both channels last, or the second one number for each channel of the first. The
// result stays channels last, and may lie in the memory of an input that nobody needs any more. It
// is nil where they are otherwise.
func (r *run) ofImages(in []*Tensor, o arithmetic, relu bool) (*Tensor, error) {
	a, b := in[0], in[1]
	x, ok := a.Data.([]float32)
	z, also := b.Data.([]float32)
	if !ok || !also || len(x) == 0 || o != addition && o != subtraction && o != multiplication {
		return nil, nil
	}
	job := combining{engine: r.engine, z: z, x: x, operation: o, finish: noFinish(), relu: relu}
	if relu {
		job.finish.low = 0
	}
	switch {
	case slices.Equal(a.Shape, b.Shape) && a.channelsLast == b.channelsLast:
		y, err := r.inPlace(in, 0, 1)
		if err != nil {
			return nil, err
		}
		return r.one(y, r.combine(y, job))
	case slices.Equal(a.Shape, b.Shape) && len(a.Shape) > 2:
		return r.ofLayouts(a, b, job)
	case a.channelsLast && b.perChannel(a.Shape):
		y, err := r.inPlace(in, 0)
		if err != nil {
			return nil, err
		}
		job.channels, job.area = a.Shape[1], product(a.Shape[2:])
		return r.one(y, r.combine(y, job))
	}
	return nil, nil
}

// ofLayouts is ofImages of two tensors of which one is channels last: it comes from the kernels,
// and they will want the result.
func (r *run) ofLayouts(a, b *Tensor, job combining) (*Tensor, error) {
	a, err := r.toChannelsLast(a)
	if err != nil {
		return nil, err
	}
	defer r.release(a)
	if b, err = r.toChannelsLast(b); err != nil {
		return nil, err
	}
	defer r.release(b)
	y, err := r.like(a)
	if err != nil {
		return nil, err
	}
	job.x, job.z = a.Data.([]float32), b.Data.([]float32)
	return r.one(y, r.combine(y, job))
}

// combine computes y on all threads.
func (r *run) combine(y *Tensor, job combining) error {
	j := &r.jobs.combine
	*j = job
	j.dst = y.Data.([]float32)
	if j.channels > 0 {
		return r.share(len(j.dst)/j.channels, j.channels, j)
	}
	return r.share(len(j.dst), 1, j)
}

// combining is the sum, the difference or the product of x and z, and the Relu after it: of two
// lists of one length, or, where there are channels, of each row of x and z's numbers for its
// image, of which there is one list for all or one for each area rows.
type combining struct {
	engine         kernel.Engine
	dst, x, z      []float32
	operation      arithmetic
	finish         finish
	relu           bool
	channels, area int
}

func (j *combining) compute(_, first, last int) {
	if j.channels == 0 {
		j.rows(j.dst[first:last], j.x[first:last], j.z[first:last])
		return
	}
	for i := first; i < last; i++ {
		from, to := i*j.channels, (i+1)*j.channels
		factors := j.z[:j.channels]
		if len(j.z) > j.channels {
			factors = j.z[i/j.area*j.channels:][:j.channels]
		}
		j.rows(j.dst[from:to], j.x[from:to], factors)
	}
}

func (j *combining) rows(dst, x, z []float32) {
	switch j.operation {
	case addition:
		j.engine.AddClamped(dst, x, z, j.finish.low, j.finish.high)
		return
	case multiplication:
		j.engine.Multiply(dst, x, z)
	default:
		for i := range dst {
			dst[i] = x[i] - z[i]
		}
	}
	if j.relu {
		j.engine.Clamp(dst, dst, 1, 0, j.finish.low, j.finish.high)
	}
}

// perChannel reports whether a tensor has one number for each channel of images of that shape,
// N×C×spatial, or of each one's.
func (t *Tensor) perChannel(images []int) bool {
	if len(t.Shape) != len(images) || t.Shape[1] != images[1] ||
		t.Shape[0] != 1 && t.Shape[0] != images[0] {
		return false
	}
	return product(t.Shape[2:]) == 1
}

// inPlace returns a tensor like the first input for a step's result: in the memory of one of the
// inputs at these places that nobody needs after the step, if there is one, and in memory of its
// own otherwise.
func (r *run) inPlace(in []*Tensor, places ...int) (*Tensor, error) {
	for _, i := range places {
		if t := in[i]; i < len(r.ending) && r.ending[i] && t.memory != nil && t.memory.users == 1 {
			y := r.same(t)
			y.channelsLast = in[0].channelsLast
			return y, nil
		}
	}
	return r.like(in[0])
}

// one is an operation's only result; after an error its memory goes back.
func (r *run) one(y *Tensor, err error) (*Tensor, error) {
	if err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
}
