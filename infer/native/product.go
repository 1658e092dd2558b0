package native

import (
	"errors"
	"fmt"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// matrixProduct computes y = x·Wᵀ + b with plans: x M×K, W N×K, b N, y M×N.
type matrixProduct struct {
	relu bool
	// constant says that w is the same in every run.
	constant bool
	zeros    kept[zeros]
	plans    plansOf[*kernel.Dense]
	few      plansOf[*kernel.Conv2D]
	one      plansOf[*kernel.Row]
	filters  sharedFilters
	row      sharedRow
}

// fewRows is the most rows for which weights that are packed once serve better than weights that
// are read where they lie, as a panel's columns would be rows of x.
const fewRows = 16

// planned computes y with a plan: of one row reading each weight once, of a few as a convolution
// of images of one pixel.
func (p *matrixProduct) planned(r *run, y, x, w, b []float32, rows, depth, columns int) error {
	key, finish := planKey{rows, depth, columns}, noFinish()
	if p.relu {
		finish.low = 0
	}
	switch {
	case rows == 1 && p.constant:
		plan, err := p.one.get(r, key, rowBytes(depth, columns), func() (*kernel.Row, error) {
			return p.row.new(r, func() (*kernel.Row, error) {
				return kernel.NewRow(r.engine, depth, columns, finish.low, w)
			})
		})
		if err == nil {
			return plan.Forward(y, x, b)
		}
		if !errors.Is(err, errNoPlan) {
			return err
		}
	case rows <= fewRows && p.constant:
		config := kernel.Conv2DConfig{
			Batch: rows, Height: 1, Width: 1, Channels: depth, Filters: columns, KernelHeight: 1,
			KernelWidth:  1,
			StrideHeight: 1, StrideWidth: 1, ReLU: p.relu, Direct: true, ConstantWeights: true,
		}
		plan, err := p.few.get(r, key, convPlanBytes(config, kernel.Window{}, []int{1, 1},
			r.engine.Pool.Threads()), func() (*kernel.Conv2D, error) {
			plan, err := kernel.NewConv2D(r.engine, config)
			if err == nil {
				err = p.filters.give(r, plan, w, 0)
			}
			return plan, err
		})
		if err == nil {
			return plan.Forward(y, x, w, b)
		}
		if !errors.Is(err, errNoPlan) {
			return err
		}
	}
	bytes := 4*(columns+64)*(depth+2) + 16*(rows+columns)
	plan, err := p.plans.get(r, key, bytes, func() (*kernel.Dense, error) {
		return kernel.NewDense(r.engine, kernel.DenseConfig{Batch: rows, In: depth, Out: columns,
			ReLU: p.relu})
	})
	if err != nil {
		return err
	}
	return plan.Forward(y, x, w, b)
}

// compute writes y. Without a bias, b is nil.
func (p *matrixProduct) compute(r *run, y, x, w, b []float32, rows, depth, columns int) error {
	if rows == 0 || columns == 0 {
		return nil
	}
	if b == nil {
		b = p.zeros.of(r).first(columns)
	}
	if depth > 0 {
		if err := p.planned(r, y, x, w, b, rows, depth, columns); !errors.Is(err, errNoPlan) {
			return err
		}
	}
	return r.split(rows*columns, depth, func(first, last int) {
		for i := first; i < last; i++ {
			a, c := x[i/columns*depth:][:depth], w[i%columns*depth:][:depth]
			sum := b[i%columns]
			for k, v := range a {
				sum += v * c[k]
			}
			if p.relu && sum < 0 {
				sum = 0
			}
			y[i] = sum
		}
	})
}

// zeros stand for a bias that there is none of.
type zeros struct{ values []float32 }

func (z *zeros) first(n int) []float32 {
	if len(z.values) < n {
		z.values = make([]float32, n)
	}
	return z.values[:n]
}

// rowBytes is about what a plan of one row allocates: packed weights, mostly.
func rowBytes(depth, columns int) int { return 4 * (columns + 64) * (depth + 2) }

// gemm is y = alpha·A'·B' + beta·C, where A' is A or its transpose.
type gemm struct {
	alpha, beta    float32
	transA, transB bool
	product        matrixProduct
	reluAlone      operation
	weight         []float32 // alpha·B' transposed, where B is constant
	bias           []float32 // beta·C, where C is a constant of one value a column, or none
	biased         bool      // bias is all that C is
}

func makeGemm(n *node) (operation, error) {
	g := &gemm{alpha: n.number("alpha", 1), beta: n.number("beta", 1)}
	g.transA, g.transB = n.integer("transA", 0) != 0, n.integer("transB", 0) != 0
	if n.opset < 11 && !n.has(2) {
		return nil, errors.New("its third input is missing, which Gemm needs before opset 11")
	}
	if n.relu != nil {
		var err error
		if g.reluAlone, err = makeRelu(n.relu); err != nil {
			return nil, err
		}
	}
	b, c := n.constant(1), n.constant(2)
	if b != nil && len(b.Shape) == 2 {
		if data, ok := b.Data.([]float32); ok {
			g.weight = g.columnsOf(data, b.Shape)
			if !n.has(2) {
				g.biased = true
			} else if c != nil && (len(c.Shape) == 1 || len(c.Shape) == 2 && c.Shape[0] == 1) {
				columns := b.Shape[1]
				if g.transB {
					columns = b.Shape[0]
				}
				if data, ok := c.Data.([]float32); ok && len(data) == columns {
					g.biased, g.bias = true, make([]float32, columns)
					for i, v := range data {
						g.bias[i] = g.beta * v
					}
				}
			}
		}
	}
	g.product.relu, g.product.constant = g.biased && n.relu != nil, g.weight != nil
	return ordered(g.run), nil
}

// columnsOf returns alpha·B' as rows of its columns.
func (g *gemm) columnsOf(data []float32, shape []int) []float32 {
	if g.transB && g.alpha == 1 {
		return data
	}
	w := make([]float32, len(data))
	if g.transB {
		copy(w, data)
	} else {
		transpose(w, data, shape[0], shape[1])
	}
	if g.alpha != 1 {
		for i := range w {
			w[i] *= g.alpha
		}
	}
	return w
}

func (g *gemm) run(r *run, in []*Tensor) ([]*Tensor, error) {
	a, b := in[0], in[1]
	if len(a.Shape) != 2 || len(b.Shape) != 2 {
		return nil, fmt.Errorf("its inputs %v and %v are not both matrices", a, b)
	}
	rows, depth := a.Shape[0], a.Shape[1]
	if g.transA {
		rows, depth = depth, rows
	}
	other, columns := b.Shape[0], b.Shape[1]
	if g.transB {
		other, columns = columns, other
	}
	if depth != other {
		return nil, fmt.Errorf(
			"it multiplies %v by %v (transA %v, transB %v): the inner dimensions differ", a, b, g.transA,
			g.transB)
	}
	var c *Tensor
	if len(in) > 2 && !g.biased {
		c = in[2]
	}
	if a.Type() != onnxpb.TensorProto_FLOAT {
		return g.wide(r, a, b, in, rows, depth, columns)
	}
	x := a.Data.([]float32)
	if _, err := floats32(b, "input 1"); err != nil {
		return nil, err
	}
	if g.transA {
		t, err := r.tensor(onnxpb.TensorProto_FLOAT, []int{rows, depth})
		if err != nil {
			return nil, err
		}
		defer r.release(t)
		transpose(t.Data.([]float32), x, depth, rows)
		x = t.Data.([]float32)
	}
	w := g.weight
	if w == nil {
		w = g.columnsOf(b.Data.([]float32), b.Shape)
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(rows, columns, nil))
	if err != nil {
		return nil, err
	}
	if err := g.product.compute(r, y.Data.([]float32), x, w, g.bias, rows, depth,
		columns); err != nil {
		r.release(y)
		return nil, err
	}
	if c == nil {
		if g.reluAlone != nil && !g.product.relu {
			defer r.release(y)
			return g.reluAlone(r, []*Tensor{y})
		}
		return r.list(y), nil
	}
	defer r.release(y)
	return g.add(r, y, c)
}

// add adds beta·C, which broadcasts to the product, and rectifies.
func (g *gemm) add(r *run, y, c *Tensor) ([]*Tensor, error) {
	data, err := floats32(c, "input 2")
	if err != nil {
		return nil, err
	}
	if shape, err := broadcastShapes(y.Shape, c.Shape); err != nil || product(shape) != y.size() ||
		len(shape) != 2 {
		return nil, fmt.Errorf("its input %v does not broadcast to the product %v", c, y)
	}
	if g.beta != 1 {
		scaled, err := r.tensor(onnxpb.TensorProto_FLOAT, c.Shape)
		if err != nil {
			return nil, err
		}
		defer r.release(scaled)
		for i, v := range data {
			scaled.Data.([]float32)[i] = g.beta * v
		}
		c = scaled
	}
	out, err := r.binary(y, c, addition)
	if err != nil || g.reluAlone == nil {
		return r.list(out), err
	}
	defer r.release(out)
	return g.reluAlone(r, []*Tensor{out})
}

// wide computes a Gemm of other types than float32, in float64.
func (g *gemm) wide(r *run, a, b *Tensor, in []*Tensor, rows, depth, columns int) ([]*Tensor,
	error) {
	x, ok := a.Data.([]float64)
	w, same := b.Data.([]float64)
	if !ok || !same {
		return nil, fmt.Errorf("it multiplies %v by %v; only float32 and float64 are supported", a, b)
	}
	y, err := r.tensor(onnxpb.TensorProto_DOUBLE, []int{rows, columns})
	if err != nil {
		return nil, err
	}
	dst := y.Data.([]float64)
	at := func(transposed bool, row, column, rows, columns int) int {
		if transposed {
			return column*rows + row
		}
		return row*columns + column
	}
	err = r.split(rows*columns, depth, func(first, last int) {
		for i := first; i < last; i++ {
			sum := 0.0
			for k := range depth {
				sum += x[at(g.transA, i/columns, k, rows, depth)] * w[at(g.transB, k, i%columns, depth,
					columns)]
			}
			dst[i] = float64(g.alpha) * sum
		}
	})
	if err != nil {
		r.release(y)
		return nil, err
	}
	outputs := []*Tensor{y}
	if len(in) > 2 && in[2] != nil {
		c, ok := in[2].Data.([]float64)
		shape, err := broadcastShapes(y.Shape, in[2].Shape)
		if !ok || err != nil || len(shape) != 2 || product(shape) != y.size() {
			return nil, fmt.Errorf("its input %v does not broadcast to the product %v", in[2], y)
		}
		scaled := &Tensor{Shape: in[2].Shape, Data: make([]float64, len(c))}
		for i, v := range c {
			scaled.Data.([]float64)[i] = float64(g.beta) * v
		}
		sum, err := r.binary(y, scaled, addition)
		r.release(y)
		if err != nil {
			return nil, err
		}
		outputs[0] = sum
	}
	if g.reluAlone != nil {
		defer r.release(outputs[0])
		return g.reluAlone(r, outputs)
	}
	return outputs, nil
}
