package native

import (
	"errors"
	"fmt"
	"math"

	"slipway/onnx/onnxpb"
)

// reduction joins the elements along some axes into one. Sums are float64 or, of
// integers, int64.
type reduction struct {
	start func() float64
	join  func(total, v float64) float64
	end   func(total float64, count int) float64
}

func reductions() map[string]operator {
	all := make(map[string]operator)
	zero := func() float64 { return 0 }
	add := func(total, v float64) float64 { return total + v }
	same := func(total float64, _ int) float64 { return total }
	root := func(total float64, _ int) float64 { return math.Sqrt(total) }
	logarithm := func(total float64, _ int) float64 { return math.Log(total) }
	square := func(total, v float64) float64 { return total + v*v }
	for name, o := range map[string]struct {
		reduction
		since int64 // when axes became an input
	}{
		"ReduceMean": {reduction{zero, add, func(total float64, count int) float64 {
			return total / float64(count)
		}}, 18},
		"ReduceSum":       {reduction{zero, add, same}, 13},
		"ReduceSumSquare": {reduction{zero, square, same}, 18},
		"ReduceL1": {reduction{zero, func(total, v float64) float64 { return total + math.Abs(v) },
			same}, 18},
		"ReduceL2":     {reduction{zero, square, root}, 18},
		"ReduceLogSum": {reduction{zero, add, logarithm}, 18},
		"ReduceProd": {reduction{func() float64 { return 1 }, func(total, v float64) float64 {
			return total * v
		}, same}, 18},
		// Go's max and min keep NaN.
		"ReduceMax": {reduction{func() float64 { return math.Inf(-1) }, func(total, v float64) float64 {
			return max(total, v)
		}, same}, 18},
		"ReduceMin": {reduction{func() float64 { return math.Inf(1) }, func(total, v float64) float64 {
			return min(total, v)
		}, same}, 18},
	} {
		all[name] = operator{1, 1, 2, attributes{"axes": listKind, "keepdims": integerKind,
			"noop_with_empty_axes": integerKind},
			func(n *node) (operation, error) { return makeReduce(n, o.reduction, o.since) }}
	}
	return all
}

func makeReduce(n *node, o reduction, since int64) (operation, error) {
	axesOfRun, err := axesInput(n, since, 1)
	if err != nil {
		return nil, err
	}
	keep, noop := n.integer("keepdims", 1) != 0, n.integer("noop_with_empty_axes", 0) != 0
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		axes, _, err := axesOfRun(in)
		if err != nil {
			return nil, err
		}
		meant, err := axesOf(axes, len(x.Shape))
		if err != nil {
			return nil, err
		}
		if len(axes) == 0 && !noop {
			for i := range meant {
				meant[i] = true
			}
		}
		a := along(x.Shape, meant, keep)
		y, err := r.tensor(x.Type(), a.shape)
		if err != nil {
			return nil, err
		}
		switch d := x.Data.(type) {
		case []float32:
			err = reduce(r, y, d, a, o)
		case []float64:
			err = reduce(r, y, d, a, o)
		case []int8:
			err = reduce(r, y, d, a, o)
		case []uint8:
			err = reduce(r, y, d, a, o)
		case []int32:
			err = reduce(r, y, d, a, o)
		case []uint32:
			err = reduce(r, y, d, a, o)
		case []int64:
			// float64 holds integers up to 2^53 alone.
			for _, v := range d {
				if v > 1<<53 || v < -1<<53 {
					r.release(y)
					return nil, errors.New("its int64 input is larger than 2^53, which is not supported")
				}
			}
			err = reduce(r, y, d, a, o)
		default:
			err = errElementType(x)
		}
		return r.result(y, err)
	}), nil
}

// axesWalk is the loops of a reduction: over what is kept, and over what is not.
type axesWalk struct {
	shape         []int // of the output
	kept, reduced walk
	results       int
	count         int // elements that one result is of
}

func along(shape []int, meant []bool, keep bool) axesWalk {
	a := axesWalk{kept: walk{steps: [][]int{nil}}, reduced: walk{steps: [][]int{nil}}, results: 1,
		count: 1}
	for i, step := range strides(shape) {
		w := &a.kept
		if meant[i] {
			w = &a.reduced
			a.count *= shape[i]
			if keep {
				a.shape = append(a.shape, 1)
			}
		} else {
			a.results *= shape[i]
			a.shape = append(a.shape, shape[i])
		}
		w.shape = append(w.shape, shape[i])
		w.steps[0] = append(w.steps[0], step)
	}
	a.kept, a.reduced = a.kept.collapse(), a.reduced.collapse()
	return a
}

// each calls visit for the results first…last-1 with the offset of their first
// element.
func (a axesWalk) each(first, last int, visit func(result, offset int)) {
	inner := len(a.kept.shape) - 1
	length, step := a.kept.shape[inner], a.kept.steps[0][inner]
	a.kept.rows(first/length, (last+length-1)/length, func(row int, offsets []int) {
		for i := range length {
			if result := row*length + i; result >= first && result < last {
				visit(result, offsets[0]+i*step)
			}
		}
	})
}

// elements calls visit with the offset of each element of a result, in order.
func (a axesWalk) elements(offset int, visit func(k, at int)) {
	inner := len(a.reduced.shape) - 1
	length, step := a.reduced.shape[inner], a.reduced.steps[0][inner]
	a.reduced.rows(0, a.count/length, func(row int, offsets []int) {
		at := offset + offsets[0]
		for i := range length {
			visit(row*length+i, at)
			at += step
		}
	})
}

func reduce[T number](r *run, y *Tensor, src []T, a axesWalk, o reduction) error {
	dst := y.Data.([]T)
	if a.results == 0 {
		return nil
	}
	return r.split(a.results, a.count, func(first, last int) {
		a.each(first, last, func(result, offset int) {
			total := o.start()
			if a.count > 0 {
				a.elements(offset, func(_, at int) { total = o.join(total, float64(src[at])) })
			}
			dst[result] = T(o.end(total, a.count))
		})
	})
}

// makeArg makes ArgMax or ArgMin: the first, or the last, index of the extremum
// along an axis. NaN is more extreme than every number, as for NumPy.
func makeArg(largest bool) func(*node) (operation, error) {
	return func(n *node) (operation, error) {
		along, keep, last := n.integer("axis", 0), n.integer("keepdims",
			1) != 0, n.integer("select_last_index", 0) != 0
		return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
			x := in[0]
			axis, err := axisOf(along, len(x.Shape))
			if err != nil {
				return nil, err
			}
			if x.Shape[axis] == 0 {
				return nil, fmt.Errorf("its input %v has nothing to choose from along axis %d", x, axis)
			}
			switch d := x.Data.(type) {
			case []float32:
				return arg(r, x, d, axis, keep, largest, last)
			case []float64:
				return arg(r, x, d, axis, keep, largest, last)
			case []int8:
				return arg(r, x, d, axis, keep, largest, last)
			case []uint8:
				return arg(r, x, d, axis, keep, largest, last)
			case []int32:
				return arg(r, x, d, axis, keep, largest, last)
			case []int64:
				return arg(r, x, d, axis, keep, largest, last)
			}
			return nil, errElementType(x)
		}), nil
	}
}

func arg[T number](r *run, x *Tensor, src []T, axis int, keep, largest, last bool) ([]*Tensor,
	error) {
	meant := make([]bool, len(x.Shape))
	meant[axis] = true
	a := along(x.Shape, meant, keep)
	y, err := r.tensor(onnxpb.TensorProto_INT64, a.shape)
	if err != nil || a.results == 0 {
		return r.list(y), err
	}
	dst := y.Data.([]int64)
	better := func(v, best T) bool {
		switch {
		case v != v || best != best:
			return v != v && (best == best || last)
		case v == best:
			return last
		}
		return (v > best) == largest
	}
	return r.list(y), r.split(a.results, a.count, func(from, to int) {
		a.each(from, to, func(result, offset int) {
			best, at := T(0), -1
			a.elements(offset, func(k, i int) {
				if at < 0 || better(src[i], best) {
					best, at = src[i], k
				}
			})
			dst[result] = int64(at)
		})
	})
}
