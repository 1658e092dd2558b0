package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// Row is a plan for y = max(W·x + b, low) with one vector x and constant weights W, Out×In, which
// are packed once. Sums are taken in the order of Dense and Conv2D, so that an image alone has the
// bits that it has in a batch. Forward must not run at the same time as itself.
type Row struct {
	engine  Engine
	in, out int
	low     float32
	columns panels
	packed  []float32
	bias, y []float32
	x       []float32
	work    []apart[rowArgs]
	task    func(worker, item int)
}

// rowPanels is how many panels are an item of work.
const rowPanels = 4

// NewRow returns a plan; a low of NaN does not bound. The error says what is wrong with the sizes.
func NewRow(engine Engine, in, out int, low float32, w []float32) (*Row, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if in < 1 || out < 1 || in > math.MaxInt32/64/out {
		return nil, fmt.Errorf(
			"kernel: product of a matrix %d×%d and a vector: sizes must be positive, and the matrix of less than %d elements",
			out, in, math.MaxInt32/64)
	}
	if err := lengths("product of a matrix and a vector", size{"w", len(w), in * out}); err != nil {
		return nil, err
	}
	r := &Row{engine: engine, in: in, out: out, low: low, columns: newPanels(engine.Set, out)}
	width := engine.Set.panel()
	padded := r.columns.padded()
	r.packed, r.bias, r.y = aligned(padded*in), aligned(padded), aligned(padded)
	for o := range out {
		panel := r.packed[o/width*width*in+o%width:]
		for k, v := range w[o*in : (o+1)*in] {
			panel[k*width] = v
		}
	}
	r.work = make([]apart[rowArgs], engine.Pool.Threads())
	r.task = r.item
	return r, nil
}

// Share returns a plan of the same weights for another engine of the same kernel set.
func (r *Row) Share(engine Engine) (*Row, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if engine.Set != r.engine.Set {
		return nil, fmt.Errorf("kernel: a matrix packed for %s is not for %s", r.engine.Set.Name(),
			engine.Set.Name())
	}
	s := &Row{engine: engine, in: r.in, out: r.out, low: r.low, columns: r.columns, packed: r.packed}
	s.bias, s.y = aligned(len(r.bias)), aligned(len(r.y))
	s.work = make([]apart[rowArgs], engine.Pool.Threads())
	s.task = s.item
	return s, nil
}

// Forward computes y from x and b.
func (r *Row) Forward(y, x, b []float32) error {
	if err := lengths("product of a matrix and a vector", size{"y", len(y), r.out},
		size{"x", len(x), r.in}, size{"b", len(b), r.out}); err != nil {
		return err
	}
	copy(r.bias, b)
	r.x = x
	r.engine.Pool.Run(ceil(r.columns.count(), rowPanels), r.task)
	r.x = nil
	copy(y, r.y)
	for i := range r.work {
		r.work[i].own = rowArgs{}
	}
	return nil
}

func (r *Row) item(worker, item int) {
	first, width := item*rowPanels, r.engine.Set.panel()
	a := &r.work[worker].own
	*a = rowArgs{
		X: pointer(r.x), Depth: r.in, B: pointer(r.packed[first*width*r.in:]), Panel: 4 * width * r.in,
		Bias: pointer(r.bias[first*width:]), Y: pointer(r.y[first*width:]),
		Panels: min(rowPanels, r.columns.count()-first), Floor: r.low,
	}
	r.engine.Set.row((*byte)(unsafe.Pointer(a)))
}
