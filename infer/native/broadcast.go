package native

import (
	"fmt"
	"slices"
)

// broadcastShapes returns the shape to which both broadcast, by NumPy's rules.
func broadcastShapes(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		for i, size := range s {
			at := rank - len(s) + i
			switch {
			case size == out[at] || size == 1:
			case out[at] == 1:
				out[at] = size
			default:
				return nil, fmt.Errorf(
					"its inputs' shapes %s do not broadcast: %d and %d in dimension %d are neither equal nor 1",
					formatShapes(shapes), out[at], size, at)
			}
		}
	}
	_, err := countElements(out)
	return out, err
}

func formatShapes(shapes [][]int) string {
	text := ""
	for i, s := range shapes {
		if i > 0 {
			text += " and "
		}
		text += formatShape(s)
	}
	return text
}

// broadcastStrides returns the strides of a tensor, whose last dimension's
// neighbours are unit elements apart, for walking along a shape that it
// broadcasts to: 0 where it repeats.
func broadcastStrides(shape, to []int, unit int) []int {
	steps := make([]int, len(to))
	skipped := len(to) - len(shape)
	for i := len(to) - 1; i >= max(0, skipped); i-- {
		if shape[i-skipped] != 1 {
			steps[i] = unit
		}
		unit *= shape[i-skipped]
	}
	return steps
}

// walk is a loop over a shape with a stride for each of some operands.
type walk struct {
	shape []int
	steps [][]int // by operand, then by dimension
}

// collapse joins neighbouring dimensions that all operands walk through evenly,
// so that the innermost loop is long.
func (w walk) collapse() walk {
	c := walk{steps: make([][]int, len(w.steps))}
	for i, size := range w.shape {
		if size == 1 {
			continue
		}
		last := len(c.shape) - 1
		joins := last >= 0
		for k, s := range w.steps {
			joins = joins && c.steps[k][last] == s[i]*size
		}
		if joins {
			c.shape[last] *= size
			for k, s := range w.steps {
				c.steps[k][last] = s[i]
			}
			continue
		}
		c.shape = append(c.shape, size)
		for k, s := range w.steps {
			c.steps[k] = append(c.steps[k], s[i])
		}
	}
	if len(c.shape) == 0 {
		c.shape = []int{1}
		for k := range c.steps {
			c.steps[k] = []int{0}
		}
	}
	return c
}

// rows calls visit for the innermost rows first…last-1 with the offset of each
// operand.
func (w walk) rows(first, last int, visit func(row int, offsets []int)) {
	outer := w.shape[:len(w.shape)-1]
	position := make([]int, len(outer))
	rest := first
	for i := len(outer) - 1; i >= 0; i-- {
		position[i] = rest % outer[i]
		rest /= outer[i]
	}
	offsets := make([]int, len(w.steps))
	for row := first; row < last; row++ {
		for k, s := range w.steps {
			offsets[k] = dot(position, s[:len(outer)])
		}
		visit(row, offsets)
		next(position, outer)
	}
}

// rowFunc computes a row of an operation of two tensors; steps are 0 where an
// operand repeats.
type rowFunc[T, U any] func(dst []U, a, b []T, aStep, bStep int)

// broadcastRows computes an element-by-element operation of two tensors.
func broadcastRows[T, U any](r *run, y, a, b *Tensor, row rowFunc[T, U]) error {
	dst, x, z := y.Data.([]U), a.Data.([]T), b.Data.([]T)
	if len(dst) == 0 {
		return nil
	}
	aShape, bShape, shape := a.Shape, b.Shape, y.Shape
	if y.channelsLast {
		// Equal shapes in equal order: one row.
		shape = []int{len(dst)}
		aShape, bShape = shape, shape
	}
	w := walk{shape: shape, steps: [][]int{broadcastStrides(aShape, shape, 1),
		broadcastStrides(bShape, shape, 1)}}.collapse()
	length := w.shape[len(w.shape)-1]
	aStep, bStep := w.steps[0][len(w.shape)-1], w.steps[1][len(w.shape)-1]
	if len(w.shape) == 1 && aStep <= 1 && bStep <= 1 {
		return r.split(length, 1, func(first, last int) {
			row(dst[first:last], x[first*aStep:], z[first*bStep:], aStep, bStep)
		})
	}
	return r.split(len(dst)/length, length, func(first, last int) {
		w.rows(first, last, func(i int, offsets []int) {
			row(dst[i*length:(i+1)*length], x[offsets[0]:], z[offsets[1]:], aStep, bStep)
		})
	})
}

// aligned returns both tensors in the same order, row-major unless both are
// channels last and of one shape. The caller releases them.
func (r *run) aligned(a, b *Tensor) (x, y *Tensor, err error) {
	if a.channelsLast && b.channelsLast && slices.Equal(a.Shape, b.Shape) {
		return r.same(a), r.same(b), nil
	}
	if x, err = r.rowMajor(a); err != nil {
		return nil, nil, err
	}
	if y, err = r.rowMajor(b); err != nil {
		r.release(x)
		return nil, nil, err
	}
	return x, y, nil
}
