package native

import (
	"errors"
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

func makeTranspose(n *node) (operation, error) {
	given, some := n.list("perm")
	plain := ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		perm, err := permutation(given, some, len(x.Shape))
		if err != nil {
			return nil, err
		}
		shape, from := make([]int, len(perm)), make([]int, len(perm))
		steps := strides(x.Shape)
		for i, p := range perm {
			shape[i], from[i] = x.Shape[p], steps[p]
		}
		y, err := r.tensor(x.Type(), shape)
		if err != nil {
			return nil, err
		}
		copyStrided(y, x, region{shape: shape, dst: strides(shape), src: from})
		return r.list(y), nil
	})
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		rank := len(x.Shape)
		perm, err := permutation(given, some, rank)
		if err != nil || rank < 3 {
			return plain(r, in)
		}
		toFirst, toLast := []int{0, rank - 1}, []int{0}
		for i := 1; i < rank-1; i++ {
			toFirst = append(toFirst, i)
			toLast = append(toLast, i+1)
		}
		toLast = append(toLast, 1)
		switch {
		case !x.channelsLast && x.Type() == onnxpb.TensorProto_FLOAT && slices.Equal(perm, toFirst):
			// N×spatial×C to N×C×spatial: the same elements, in channels-last order.
			shape := append([]int{x.Shape[0], x.Shape[rank-1]}, x.Shape[1:rank-1]...)
			y := r.view(x, shape)
			y.channelsLast = true
			return r.list(y), nil
		case x.channelsLast && slices.Equal(perm, toLast):
			shape := append(append([]int{x.Shape[0]}, x.Shape[2:]...), x.Shape[1])
			return r.list(r.view(x, shape)), nil
		}
		return plain(r, in)
	}, nil
}

func permutation(given []int64, some bool, rank int) ([]int, error) {
	perm := make([]int, rank)
	if !some {
		for i := range perm {
			perm[i] = rank - 1 - i
		}
		return perm, nil
	}
	meant, err := axesOf(given, rank)
	if err != nil || len(given) != rank || slices.Contains(meant, false) {
		return nil, fmt.Errorf("attribute perm = %v is no permutation of %d dimensions", given, rank)
	}
	for i, p := range given {
		perm[i] = int((p + int64(rank)) % int64(rank))
	}
	return perm, nil
}

func makeConcat(n *node) (operation, error) {
	if n.attribute("axis") == nil {
		return nil, errors.New("attribute axis is missing")
	}
	along := n.integer("axis", 0)
	n.joinsChannels = along == 1
	alone := ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		first := in[0]
		axis, err := axisOf(along, len(first.Shape))
		if err != nil {
			return nil, err
		}
		shape := slices.Clone(first.Shape)
		shape[axis] = 0
		for i, x := range in {
			if x == nil || x.Type() != first.Type() || len(x.Shape) != len(shape) {
				return nil, fmt.Errorf("its input %d is not like input 0, %v", i, first)
			}
			for k, size := range x.Shape {
				if k != axis && size != shape[k] {
					return nil, fmt.Errorf("its inputs 0 and %d, %v and %v, differ outside of axis %d", i, first,
						x, axis)
				}
			}
			shape[axis] += x.Shape[axis]
		}
		y, err := r.tensor(first.Type(), shape)
		if err != nil {
			return nil, err
		}
		to, offset := strides(shape), 0
		for _, x := range in {
			copyStrided(y, x, region{shape: x.Shape, dst: to, src: strides(x.Shape), dstOffset: offset})
			offset += x.Shape[axis] * to[axis]
		}
		return r.list(y), nil
	})
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		if slices.ContainsFunc(in, func(x *Tensor) bool {
			return x == nil || !x.channelsLast || len(x.Shape) != len(in[0].Shape)
		}) {
			return alone(r, in)
		}
		if axis, err := axisOf(along, len(in[0].Shape)); err != nil || axis != 1 {
			return alone(r, in)
		}
		return concatChannels(r, in)
	}, nil
}

// joinedShape returns the shape of images that are joined along their channels.
func (r *run) joinedShape(in []*Tensor) ([]int, error) {
	shape := r.shape(in[0].Shape, nil)
	shape[1] = 0
	for i, x := range in {
		if len(x.Shape) != len(shape) || x.Shape[0] != shape[0] || !slices.Equal(x.Shape[2:], shape[2:]) {
			return nil, fmt.Errorf("its inputs 0 and %d, %v and %v, differ outside of axis 1", i, in[0], x)
		}
		shape[1] += x.Shape[1]
	}
	return shape, nil
}

// concatChannels joins images that are channels last, and stay so.
func concatChannels(r *run, in []*Tensor) ([]*Tensor, error) {
	shape, err := r.joinedShape(in)
	if err != nil {
		return nil, err
	}
	y, err := r.tensor(in[0].Type(), shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	j := &r.jobs.join
	*j = joining{in: in, dst: y.Data.([]float32), channels: shape[1]}
	return r.result(y, r.share(shape[0]*product(shape[2:]), j.channels, j))
}

// joining writes positions of images, each the channels of one input after those of another.
type joining struct {
	in       []*Tensor
	dst      []float32
	channels int
}

func (j *joining) compute(_, first, last int) {
	at := 0
	for _, x := range j.in {
		n, src := x.Shape[1], x.Data.([]float32)
		for i := first; i < last; i++ {
			copy(j.dst[i*j.channels+at:], src[i*n:(i+1)*n])
		}
		at += n
	}
}

// makeSlice makes Slice, whose bounds are attributes before opset 10.
func makeSlice(n *node) (operation, error) {
	starts, some := n.list("starts")
	ends, _ := n.list("ends")
	axes, _ := n.list("axes")
	if n.opset < 10 && n.has(1) || n.opset >= 10 && (some || !n.has(2)) {
		return nil, errors.New("its starts and ends are attributes before opset 10 and inputs since")
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		starts, ends, axes, steps := starts, ends, axes, []int64(nil)
		for i, to := range []*[]int64{nil, &starts, &ends, &axes, &steps} {
			if to == nil || i >= len(in) || in[i] == nil {
				continue
			}
			var err error
			if *to, err = in[i].integers(); err != nil {
				return nil, err
			}
		}
		x := in[0]
		if axes == nil {
			for i := range starts {
				axes = append(axes, int64(i))
			}
		}
		if len(ends) != len(starts) || len(axes) != len(starts) || steps != nil &&
			len(steps) != len(starts) {
			return nil, fmt.Errorf("it has %d starts, %d ends, %d axes and %d steps", len(starts), len(ends),
				len(axes), len(steps))
		}
		if _, err := axesOf(axes, len(x.Shape)); err != nil {
			return nil, err
		}
		shape, from := slices.Clone(x.Shape), strides(x.Shape)
		offset := 0
		for i := range starts {
			axis, err := axisOf(axes[i], len(x.Shape))
			if err != nil {
				return nil, err
			}
			step := int64(1)
			if steps != nil {
				step = steps[i]
			}
			if step == 0 {
				return nil, errors.New("its step is 0")
			}
			start, count := sliced(starts[i], ends[i], step, int64(x.Shape[axis]))
			shape[axis] = int(count)
			if count > 0 {
				offset += int(start) * from[axis]
			}
			// A step larger than the dimension is never taken.
			from[axis] *= int(max(-maxElements, min(maxElements, step)))
		}
		y, err := r.tensor(x.Type(), shape)
		if err != nil {
			return nil, err
		}
		copyStrided(y, x, region{shape: shape, dst: strides(shape), src: from, srcOffset: offset})
		return r.list(y), nil
	}), nil
}

// sliced returns the first index and the number of indices from start, before
// end, of so many, as NumPy counts them.
func sliced(start, end, step, size int64) (first, count int64) {
	clamp := func(i, least, most int64) int64 {
		if i < 0 {
			i += size
		}
		return min(max(i, least), most)
	}
	if step > 0 {
		first = clamp(start, 0, size)
		end = clamp(end, 0, size)
		if end <= first {
			return first, 0
		}
		return first, (end-first-1)/step + 1
	}
	first = clamp(start, -1, size-1)
	end = clamp(end, -1, size-1)
	if end >= first {
		return first, 0
	}
	// No negation of the step, which the least integer has none of.
	return first, (end+1-first)/step + 1
}

func makeGather(n *node) (operation, error) {
	along := n.integer("axis", 0)
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		axis, err := axisOf(along, len(x.Shape))
		if err != nil {
			return nil, err
		}
		indices, err := in[1].integers()
		if err != nil {
			return nil, err
		}
		outer, inner, size := product(x.Shape[:axis]), product(x.Shape[axis+1:]), x.Shape[axis]
		shape := slices.Concat(x.Shape[:axis], in[1].Shape, x.Shape[axis+1:])
		if len(shape) > maxRank {
			return nil, fmt.Errorf("its output would have %d dimensions", len(shape))
		}
		y, err := r.tensor(x.Type(), shape)
		if err != nil {
			return nil, err
		}
		for k, index := range indices {
			if index < int64(-size) || index >= int64(size) {
				r.release(y)
				return nil, fmt.Errorf("index %d is outside of the %d of axis %d", index, size, axis)
			}
			if index < 0 {
				index += int64(size)
			}
			copyStrided(y, x, region{shape: []int{outer, inner}, dst: []int{len(indices) * inner, 1},
				src:       []int{size * inner, 1},
				dstOffset: k * inner, srcOffset: int(index) * inner})
		}
		return r.list(y), nil
	}), nil
}

func makeExpand(*node) (operation, error) {
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		sizes, err := shapeFrom(in[1])
		if err != nil {
			return nil, err
		}
		shape, err := broadcastShapes(in[0].Shape, sizes)
		if err != nil {
			return nil, err
		}
		y, err := r.expanded(in[0], shape)
		return r.list(y), err
	}), nil
}

func (r *run) expanded(x *Tensor, shape []int) (*Tensor, error) {
	y, err := r.tensor(x.Type(), shape)
	if err != nil {
		return nil, err
	}
	copyStrided(y, x,
		region{shape: shape, dst: strides(shape), src: broadcastStrides(x.Shape, shape, 1)})
	return y, nil
}

func makeWhere(*node) (operation, error) {
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		condition, ok := in[0].Data.([]bool)
		if !ok || in[1].Type() != in[2].Type() {
			return nil, fmt.Errorf("its inputs are %v, %v and %v; a bool and two of one type are wanted",
				in[0], in[1], in[2])
		}
		shape, err := broadcastShapes(in[0].Shape, in[1].Shape, in[2].Shape)
		if err != nil {
			return nil, err
		}
		y, err := r.expanded(in[2], shape)
		if err != nil {
			return nil, err
		}
		if y.elements() == 0 {
			return r.list(y), nil
		}
		w := walk{shape: shape, steps: [][]int{broadcastStrides(in[0].Shape, shape, 1),
			broadcastStrides(in[1].Shape, shape, 1)}}.collapse()
		last := len(w.shape) - 1
		length := w.shape[last]
		w.rows(0, y.elements()/length, func(row int, offsets []int) {
			for i := 0; i < length; i++ {
				if condition[offsets[0]+i*w.steps[0][last]] {
					copyStrided(y, in[1], region{shape: []int{1}, dst: []int{1}, src: []int{1},
						dstOffset: row*length + i, srcOffset: offsets[1] + i*w.steps[1][last]})
				}
			}
		})
		return r.list(y), nil
	}), nil
}
