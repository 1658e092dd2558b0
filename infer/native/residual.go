package native

import "slices"

// makeArithmetic makes Add, Sub, Mul, Div and Pow, with the Relu after it if there is one.
func makeArithmetic(o arithmetic) func(*node) (operation, error) {
	return func(n *node) (operation, error) {
		alone := func(r *run, in []*Tensor) ([]*Tensor, error) {
			y, err := r.binary(in[0], in[1], o)
			return []*Tensor{y}, err
		}
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
				return []*Tensor{y}, err
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
	combine := r.combination(o, relu)
	switch {
	case slices.Equal(a.Shape, b.Shape) && a.channelsLast == b.channelsLast:
		y, err := r.inPlace(in, 0, 1)
		if err != nil {
			return nil, err
		}
		dst := y.Data.([]float32)
		return r.one(y, r.split(len(dst), 1, func(first, last int) {
			combine(dst[first:last], x[first:last], z[first:last])
		}))
	case slices.Equal(a.Shape, b.Shape) && len(a.Shape) > 2:
		// One comes from the kernels, and they will want the sum.
		both := make([]*Tensor, 2)
		for i, t := range in[:2] {
			var err error
			if both[i], err = r.toChannelsLast(t); err != nil {
				return nil, err
			}
			defer r.release(both[i])
		}
		y, err := r.like(both[0])
		if err != nil {
			return nil, err
		}
		dst, x, z := y.Data.([]float32), both[0].Data.([]float32), both[1].Data.([]float32)
		return r.one(y, r.split(len(dst), 1, func(first, last int) {
			combine(dst[first:last], x[first:last], z[first:last])
		}))
	case a.channelsLast && b.perChannel(a.Shape):
		y, err := r.inPlace(in, 0)
		if err != nil {
			return nil, err
		}
		dst, channels, area := y.Data.([]float32), a.Shape[1], product(a.Shape[2:])
		return r.one(y, r.split(len(dst)/channels, channels, func(first, last int) {
			for i := first; i < last; i++ {
				from, to := i*channels, (i+1)*channels
				factors := z[:channels]
				if len(z) > channels {
					factors = z[i/area*channels:][:channels]
				}
				combine(dst[from:to], x[from:to], factors)
			}
		}))
	}
	return nil, nil
}

// combination returns addition, subtraction or multiplication of two slices of one length, and
// the Relu after it.
func (r *run) combination(o arithmetic, relu bool) func(z, x, y []float32) {
	f := noFinish()
	if relu {
		f.low = 0
	}
	row := floatRow[float32](o)
	return func(z, x, y []float32) {
		switch o {
		case addition:
			r.engine.AddClamped(z, x, y, f.low, f.high)
			return
		case multiplication:
			r.engine.Multiply(z, x, y)
		default:
			row(z, x, y, 1, 1)
		}
		if relu {
			r.engine.Clamp(z, z, 1, 0, f.low, f.high)
		}
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
