package kernel

import "unsafe"

// The loops of a Set take whole vectors; these take slices of any length and give the rest to the
// portable loops.

func (s *Set) whole(n int) int { return n &^ (s.lanes - 1) }

func (s *Set) reluGradients(dx, dy, y []float32) {
	n := s.whole(len(y))
	if n > 0 {
		s.reluGradient(&dx[0], &dy[0], &y[0], n)
	}
	if n < len(y) {
		portableReLUGradient(&dx[n], &dy[n], &y[n], len(y)-n)
	}
}

// listSlice lists the elements of x that are not zero, each with step times its index, and returns
// how many there are. Items past them are overwritten, up to a vector more than x has elements.
func (s *Set) listSlice(items []item, x []float32, step int) int {
	n, count := s.whole(len(x)), 0
	if n > 0 {
		count = s.list((*byte)(unsafe.Pointer(&items[0])), &x[0], n, int32(step))
	}
	for i, v := range x[n:] {
		items[count] = item{v, int32((n + i) * step)}
		count += nonZero(v)
	}
	return count
}

func (s *Set) addScaledSlice(y, x []float32, scale float32) {
	n := s.whole(len(y))
	if n > 0 {
		s.addScaled(&y[0], &x[0], n, scale)
	}
	if n < len(y) {
		portableAddScaled(&y[n], &x[n], len(y)-n, scale)
	}
}

// multiplySlice computes z = x∘y.
func (s *Set) multiplySlice(z, x, y []float32) {
	n := s.whole(len(z))
	if n > 0 {
		s.multiply(&z[0], &x[0], &y[0], n)
	}
	if n < len(z) {
		portableMultiply(&z[n], &x[n], &y[n], len(z)-n)
	}
}

// span is how many elements an item of work of an elementwise operation has; sums of spans are
// added in their order, so that they do not depend on the number of threads. It is a multiple of
// four of the widest vectors.
const span = 16 << 10

// Elementwise is a plan for operations on whole tensors, of any length. Its methods must not run at
// the same time as each other.
type Elementwise struct {
	engine  Engine
	rest    *Set // for what is left of a tensor after its whole vectors
	job     job
	sums    [2][]float64 // by span: of |x|, and of x²
	lanes   [][]float32  // by worker
	task    func(worker, item int)
	sumTask func(worker, item int)
}

// job is the operation in progress.
type job struct {
	kind          operation
	n             int
	z, x, y       []float32
	m, v          []float32
	raw           []uint8
	scale, offset float32
	adam          adamConstants
	sgd           sgdConstants
	rmsprop       rmspropConstants
	lion          lionConstants
}

type operation int

const (
	opReLU operation = iota
	opReLUGradient
	opMultiply
	opBytes
	opPenalty
	opAddScaled
	opAddClamped
	opAdam
	opSGD
	opRMSProp
	opLion
)

// NewElementwise returns a plan.
func NewElementwise(engine Engine) (*Elementwise, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	e := &Elementwise{engine: engine, rest: portableSet(),
		lanes: make([][]float32, engine.Pool.Threads())}
	for i := range e.lanes {
		e.lanes[i] = aligned(2 * engine.Set.lanes)
	}
	e.task, e.sumTask = e.item, e.sumItem
	return e, nil
}

func (e *Elementwise) run(j job) {
	if j.n == 0 {
		return
	}
	e.job = j
	e.engine.Pool.Run(ceil(j.n, span), e.task)
	e.job = job{}
}

// ReLU computes y = max(x, 0); NaN stays. y may be x.
func (e *Elementwise) ReLU(y, x []float32) error {
	if err := lengths("ReLU", size{"x", len(x), len(y)}); err != nil {
		return err
	}
	e.run(job{kind: opReLU, n: len(y), z: y, x: x})
	return nil
}

// ReLUGradient computes dx = dy where y, input or output of ReLU, is positive or NaN, and 0
// elsewhere. dx may be dy.
func (e *Elementwise) ReLUGradient(dx, dy, y []float32) error {
	if err := lengths("gradient of ReLU", size{"dy", len(dy), len(dx)},
		size{"y", len(y), len(dx)}); err != nil {
		return err
	}
	e.run(job{kind: opReLUGradient, n: len(dx), z: dx, x: dy, y: y})
	return nil
}

// Multiply computes z = x·y, element by element. z may be x or y.
func (e *Elementwise) Multiply(z, x, y []float32) error {
	if err := lengths("product", size{"x", len(x), len(z)}, size{"y", len(y), len(z)}); err != nil {
		return err
	}
	e.run(job{kind: opMultiply, n: len(z), z: z, x: x, y: y})
	return nil
}

// AddScaled computes y += scale·x.
func (e *Elementwise) AddScaled(y, x []float32, scale float32) error {
	if err := lengths("scaled sum", size{"x", len(x), len(y)}); err != nil {
		return err
	}
	e.run(job{kind: opAddScaled, n: len(y), z: y, x: x, scale: scale})
	return nil
}

// AddClamped computes z = x + y, at least low and at most high, as a sum and ReLU (0 and NaN) do; a
// bound of NaN does not bound. z may be x or y.
func (e *Elementwise) AddClamped(z, x, y []float32, low, high float32) error {
	if err := lengths("sum", size{"x", len(x), len(z)}, size{"y", len(y), len(z)}); err != nil {
		return err
	}
	e.run(job{kind: opAddClamped, n: len(z), z: z, x: x, y: y, scale: low, offset: high})
	return nil
}

// Bytes computes y = scale·x + offset from unsigned bytes.
func (e *Elementwise) Bytes(y []float32, x []uint8, scale, offset float32) error {
	if err := lengths("conversion of bytes", size{"x", len(x), len(y)}); err != nil {
		return err
	}
	e.run(job{kind: opBytes, n: len(y), z: y, raw: x, scale: scale, offset: offset})
	return nil
}

// Penalty computes g += l1·sign(p) + scale·p, with sign(0) = 0: the gradient of l1·Σ|p| +
// scale/2·Σp², and, with scale = l2/‖p‖₂, of l1·Σ|p| + l2·‖p‖₂.
func (e *Elementwise) Penalty(g, p []float32, l1, scale float32) error {
	if err := lengths("gradient of penalty", size{"p", len(p), len(g)}); err != nil {
		return err
	}
	e.run(job{kind: opPenalty, n: len(g), z: g, x: p, scale: l1, offset: scale})
	return nil
}

// Sums returns Σ|x| and Σx².
func (e *Elementwise) Sums(x []float32) (absolute, squares float64) {
	if len(x) == 0 {
		return 0, 0
	}
	spans := ceil(len(x), span)
	for i := range e.sums {
		if len(e.sums[i]) < spans {
			e.sums[i] = make([]float64, spans)
		}
	}
	e.job = job{n: len(x), x: x}
	e.engine.Pool.Run(spans, e.sumTask)
	e.job = job{}
	for i := range spans {
		absolute += e.sums[0][i]
		squares += e.sums[1][i]
	}
	return absolute, squares
}

func (e *Elementwise) sumItem(worker, item int) {
	set, lanes := e.engine.Set, e.lanes[worker]
	x := e.job.x[item*span : min((item+1)*span, e.job.n)]
	whole := len(x) / (4 * set.lanes) * (4 * set.lanes)
	clear(lanes)
	if whole > 0 {
		set.sums(&lanes[0], &x[0], whole)
	}
	var absolute, squares float64
	for i := range set.lanes {
		absolute += float64(lanes[i])
		squares += float64(lanes[set.lanes+i])
	}
	for _, v := range x[whole:] {
		absolute += max(float64(v), -float64(v))
		squares += float64(v) * float64(v)
	}
	e.sums[0][item], e.sums[1][item] = absolute, squares
}

func (e *Elementwise) item(_, item int) {
	j, set := &e.job, e.engine.Set
	first, last := item*span, min((item+1)*span, j.n)
	whole := set.whole(last - first)
	if whole > 0 {
		j.apply(set, first, whole)
	}
	if rest := first + whole; rest < last {
		j.apply(e.rest, rest, last-rest)
	}
}
