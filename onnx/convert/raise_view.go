package convert

import (
	"slices"

	"slipway/builder"
)

// view is how the graph sees what an item gives, or the network's input: in other
// dimensions, or in another order.
//
// An image in memory is a row of values, and a dimension of a view one or more
// strided walks over it, the first the slowest. So a transposition permutes
// dimensions, and a reshape joins and splits walks; neither costs more than a few
// numbers, whatever the image's size.
type view struct {
	of   int // the item, or inputPlace
	dims []axis
	// raw says that the view is of the model's input as the model has it, before it
	// is known what the network's input is.
	raw bool
}

// inputPlace is the place of the network's input among the items.
const inputPlace = -1

// axis is a dimension: the product of its walks' lengths. One of length 1 has none.
type axis []walk

// walk is n steps of that stride.
type walk struct{ n, stride int }

func (a axis) size() int {
	size := 1
	for _, w := range a {
		size *= w.n
	}
	return size
}

// plainView is that of an item in its own shape and order.
func plainView(of int, shape []int) view {
	v := view{of: of, dims: make([]axis, len(shape))}
	stride := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] > 1 {
			v.dims[i] = axis{{shape[i], stride}}
		}
		stride *= shape[i]
	}
	return v
}

// on is the same view of another item, of the same shape.
func (v view) on(of int) operand { return operand{view: &view{of: of, dims: v.dims}} }

func (v view) sizes() []int {
	sizes := make([]int, len(v.dims))
	for i, dim := range v.dims {
		sizes[i] = dim.size()
	}
	return sizes
}

// walks are those of all dimensions, joined where one goes on as the other ends.
func (v view) walks() axis { return joined(slices.Concat(v.dims...)) }

// joined joins each walk with the next where both together are one.
func joined(walks axis) axis {
	var all axis
	for _, w := range walks {
		if w.n == 1 {
			continue
		}
		if last := len(all) - 1; last >= 0 && all[last].stride == w.n*w.stride {
			all[last] = walk{all[last].n * w.n, w.stride}
			continue
		}
		all = append(all, w)
	}
	return all
}

// sameOrder reports whether two lists of walks go through the same places.
func sameOrder(a, b axis) bool { return slices.Equal(joined(a), joined(b)) }

// isPlain reports whether the view's elements are in the order of memory.
func (v view) isPlain() bool {
	walks := v.walks()
	return len(walks) == 0 || len(walks) == 1 && walks[0].stride == 1
}

// is reports whether the view is the item in its own shape and order.
func (v view) is(shape builder.Shape) bool { return v.isPlain() && slices.Equal(v.sizes(), shape) }

// transposed permutes dimensions.
func (v view) transposed(perm []int) view {
	moved := view{of: v.of, raw: v.raw}
	for _, axis := range perm {
		moved.dims = append(moved.dims, v.dims[axis])
	}
	return moved
}

// reshaped gives the view other dimensions of as many elements. ok is false where
// they cut a walk into unequal parts, so that no strides describe them.
func (v view) reshaped(sizes []int) (reshaped view, ok bool) {
	reshaped = view{of: v.of, raw: v.raw, dims: make([]axis, len(sizes))}
	rest := v.walks()
	for i, need := range sizes {
		for need > 1 {
			if len(rest) == 0 {
				return view{}, false
			}
			next := rest[0]
			switch {
			case next.n <= need && need%next.n == 0:
				reshaped.dims[i] = append(reshaped.dims[i], next)
				need /= next.n
				rest = rest[1:]
			case next.n > need && next.n%need == 0:
				inner := next.n / need
				reshaped.dims[i] = append(reshaped.dims[i], walk{need, next.stride * inner})
				rest = append(axis{{inner, next.stride}}, rest[1:]...)
				need = 1
			default:
				return view{}, false
			}
		}
	}
	return reshaped, len(rest) == 0
}

// order lists the places in memory of the elements of some walks, one by one.
func order(walks axis) []int32 {
	places := []int32{0}
	for _, w := range walks {
		next := make([]int32, 0, len(places)*w.n)
		for _, place := range places {
			for i := range w.n {
				next = append(next, place+int32(i*w.stride))
			}
		}
		places = next
	}
	return places
}

// within reports whether the walks stay within blocks of that many values, as those
// over a map stay within its channel.
func (a axis) within(area int) bool {
	for _, w := range a {
		if w.n > 1 && (w.stride*w.n > area || area%(w.stride*w.n) != 0) {
			return false
		}
	}
	return true
}

// across reports whether the walks go from block to block of that many values, as
// those over channels do.
func (a axis) across(area int) bool {
	for _, w := range a {
		if w.n > 1 && w.stride%area != 0 {
			return false
		}
	}
	return true
}

// spread multiplies strides.
func (a axis) spread(factor int) axis {
	walks := slices.Clone(a)
	for i := range walks {
		walks[i].stride *= factor
	}
	return walks
}

// shrunk divides strides.
func (a axis) shrunk(divisor int) axis {
	walks := slices.Clone(a)
	for i := range walks {
		walks[i].stride /= divisor
	}
	return walks
}

// axes says which dimension of the view is each of a map's: its channels, its rows
// and its columns. A dimension of size 1 may stand for one of size 1. ok is false
// where the view is no transposition of the map.
func (v view) axes(shape builder.Shape) (axes [3]int, ok bool) {
	if len(shape) != 3 || len(v.dims) != 3 {
		return axes, false
	}
	plain := plainView(v.of, shape)
	taken := [3]bool{}
	for _, sized := range []bool{true, false} { // those of size 1 take what is left
		for k, want := range plain.dims {
			if (len(want) > 0) != sized {
				continue
			}
			at := -1
			for i, dim := range v.dims {
				if !taken[i] && at < 0 && sameOrder(dim, want) {
					at = i
				}
			}
			if at < 0 {
				return axes, false
			}
			axes[k], taken[at] = at, true
		}
	}
	return axes, true
}

// like is the view of a map of another shape in the order that axes says.
func like(axes [3]int, of int, shape builder.Shape) operand {
	plain := plainView(of, shape)
	v := view{of: of, dims: make([]axis, 3)}
	for k, at := range axes {
		v.dims[at] = plain.dims[k]
	}
	return operand{view: &v}
}
