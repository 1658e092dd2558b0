package native

import (
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

// matMul is MatMul by NumPy's rules: matrices in the last two dimensions, the
// others broadcast. A bias is added and the sum rectified where such nodes follow.
type matMul struct {
	product   matrixProduct
	weight    []float32 // N×K, where the second input is a constant matrix
	bias      []float32
	reluAlone operation
}

func makeMatMul(n *node) (operation, error) {
	m := &matMul{}
	if b := n.constant(1); b != nil && len(b.Shape) == 2 {
		if data, ok := b.Data.([]float32); ok {
			m.weight = make([]float32, len(data))
			transpose(m.weight, data, b.Shape[0], b.Shape[1])
			m.product.constant = true
		}
	}
	if n.bias != nil {
		var err error
		if m.bias, err = floats32(n.bias, "bias"); err != nil {
			return nil, err
		}
	}
	if n.relu != nil {
		if m.weight == nil {
			var err error
			if m.reluAlone, err = makeRelu(n.relu); err != nil {
				return nil, err
			}
		} else {
			m.product.relu = true
		}
	}
	return ordered(m.run), nil
}

func (m *matMul) run(r *run, in []*Tensor) ([]*Tensor, error) {
	a, b := in[0], in[1]
	if len(a.Shape) == 0 || len(b.Shape) == 0 {
		return nil, fmt.Errorf("it multiplies %v by %v; neither may be a scalar", a, b)
	}
	left, right := a.Shape, b.Shape
	if len(left) == 1 {
		left = []int{1, left[0]}
	}
	if len(right) == 1 {
		right = []int{right[0], 1}
	}
	rows, depth, columns := left[len(left)-2], left[len(left)-1], right[len(right)-1]
	if right[len(right)-2] != depth {
		return nil, fmt.Errorf("it multiplies %v by %v: the inner dimensions differ", a, b)
	}
	stack, err := broadcastShapes(left[:len(left)-2], right[:len(right)-2])
	if err != nil {
		return nil, fmt.Errorf("it multiplies %v by %v: %w", a, b, err)
	}
	shape := slices.Clone(stack)
	if len(a.Shape) > 1 {
		shape = append(shape, rows)
	}
	if len(b.Shape) > 1 {
		shape = append(shape, columns)
	}
	y, err := r.tensor(a.Type(), shape)
	if err != nil {
		return nil, err
	}
	if len(right) == 2 {
		// One matrix for the whole stack: its rows are the rows of one product.
		rows *= product(stack)
		stack = nil
	}
	if err := m.products(r, y, a, b, left, right, stack, rows, depth, columns); err != nil {
		r.release(y)
		return nil, err
	}
	if m.reluAlone == nil {
		return r.list(y), nil
	}
	defer r.release(y)
	return m.reluAlone(r, []*Tensor{y})
}

func (m *matMul) products(r *run, y, a, b *Tensor, left, right, stack []int, rows, depth,
	columns int) error {
	leftSteps := broadcastStrides(left[:max(0, len(left)-2)], stack, rows*depth)
	rightSteps := broadcastStrides(right[:len(right)-2], stack, depth*columns)
	position := make([]int, len(stack))
	if product(stack) == 0 {
		return nil
	}
	var scratch *Tensor
	if a.Type() == onnxpb.TensorProto_FLOAT && m.weight == nil {
		var err error
		if scratch, err = r.tensor(onnxpb.TensorProto_FLOAT, []int{columns, depth}); err != nil {
			return err
		}
		defer r.release(scratch)
	}
	for i := 0; ; i++ {
		from, of := dot(position, leftSteps), dot(position, rightSteps)
		if err := m.one(r, y, a, b, scratch, i*rows*columns, from, of, rows, depth, columns); err != nil {
			return err
		}
		if !next(position, stack) {
			return r.ctx.Err()
		}
	}
}

func dot(a, b []int) int {
	sum := 0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// one computes the product at offset to of y from those at offsets from and of.
func (m *matMul) one(r *run, y, a, b, scratch *Tensor, to, from, of, rows, depth,
	columns int) error {
	switch x := a.Data.(type) {
	case []float32:
		d, err := floats32(b, "input 1")
		if err != nil {
			return err
		}
		w := m.weight
		if w == nil {
			w = scratch.Data.([]float32)
			transpose(w, d[of:of+depth*columns], depth, columns)
		}
		return m.product.compute(r, y.Data.([]float32)[to:to+rows*columns], x[from:from+rows*depth], w,
			m.bias, rows, depth, columns)
	case []float64:
		return multiply(r, y, x[from:], b, to, of, rows, depth, columns)
	case []int32:
		return multiply(r, y, x[from:], b, to, of, rows, depth, columns)
	case []int64:
		return multiply(r, y, x[from:], b, to, of, rows, depth, columns)
	case []uint32:
		return multiply(r, y, x[from:], b, to, of, rows, depth, columns)
	case []uint64:
		return multiply(r, y, x[from:], b, to, of, rows, depth, columns)
	}
	return fmt.Errorf("it multiplies %v by %v; the element type is not supported", a, b)
}

func multiply[T number](r *run, y *Tensor, a []T, other *Tensor, to, of, rows, depth,
	columns int) error {
	b, ok := other.Data.([]T)
	if !ok {
		return fmt.Errorf("its inputs are %v and %v; they must be of one type", y, other)
	}
	dst := y.Data.([]T)
	return r.split(rows*columns, depth, func(first, last int) {
		for i := first; i < last; i++ {
			var sum T
			for k := range depth {
				sum += a[i/columns*depth+k] * b[of+k*columns+i%columns]
			}
			dst[to+i] = sum
		}
	})
}
