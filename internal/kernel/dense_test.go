package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"slipway/internal/reference"
)

type denseTensors struct{ y, dx, dw, db []float32 }

func runDense(t testing.TB, engine Engine, f DenseConfig, x, w, b, dy []float32) denseTensors {
	t.Helper()
	_, r := runDensePlan(t, engine, f, x, w, b, dy)
	return r
}

// runDensePlan runs each pass twice, as what the first leaves behind must not be seen by the
// second.
func runDensePlan(t testing.TB, engine Engine, f DenseConfig, x, w, b, dy []float32) (*Dense,
	denseTensors) {
	t.Helper()
	d, err := NewDense(engine, f)
	must(t, err)
	r := denseTensors{make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w)),
		make([]float32, len(b))}
	for range 2 {
		must(t, d.Forward(r.y, x, w, b))
		must(t, d.BackwardParameters(r.dw, r.db, dy, r.y, x))
		must(t, d.BackwardInput(r.dx, dy, r.y, w))
	}
	return d, r
}

func compareDense(t *testing.T, engine Engine, f DenseConfig, spoil func(x []float32)) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(f.In), uint64(f.Out)))
	x, w, b, dy := random(r, f.Batch*f.In), random(r, f.Out*f.In), random(r, f.Out), random(r,
		f.Batch*f.Out)
	spoil(x)
	compareDensePasses(t, engine, f, x, w, b, dy)
}

// compareDensePasses holds every pass against the reference, and returns the plan.
func compareDensePasses(t *testing.T, engine Engine, f DenseConfig, x, w, b, dy []float32) *Dense {
	t.Helper()
	plan, got := runDensePlan(t, engine, f, x, w, b, dy)
	d := reference.Dense{Batch: f.Batch, In: f.In, Out: f.Out}
	y := reference.DenseForward(d, x, w, b)
	if f.ReLU {
		dy = reference.ReLUBackward(dy, y)
		y = reference.ReLUForward(y)
	}
	dx, dw, db := reference.DenseBackward(d, dy, x, w)
	near(t, "y", got.y, y, f.In)
	near(t, "dx", got.dx, dx, f.Out)
	near(t, "dw", got.dw, dw, f.Batch)
	near(t, "db", got.db, db, f.Batch)
	return plan
}

var denses = []DenseConfig{
	{32, 1024, 128, true}, {32, 128, 10, false}, {1, 1, 1, true}, {1, 300, 1, false}, {5, 7, 3, true},
	{97, 33, 17, true},
	{200, 16, 16, false}, {3, 1000, 50, true}, {7, 8, 8, true}, {2, 500, 200, false},
}

func TestDense(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range denses {
			compareDense(t, engine, f, func([]float32) {})
			compareDense(t, engine, f, func(x []float32) {
				x[0], x[len(x)/2], x[len(x)-1] = float32(math.NaN()), float32(math.Inf(-1)), 1e-40
			})
		}
		for n := 1; n <= 35; n++ {
			compareDense(t, engine, DenseConfig{3, n, 5, true}, func([]float32) {})
			compareDense(t, engine, DenseConfig{3, 5, n, true}, func([]float32) {})
			compareDense(t, engine, DenseConfig{n, 9, 9, true}, func([]float32) {})
		}
	})
}

func TestDenseSameBitsOnAnyThreads(t *testing.T) {
	for _, name := range Available() {
		for _, f := range denses {
			r := rand.New(rand.NewPCG(1, 1))
			x, w, b, dy := random(r, f.Batch*f.In), random(r, f.Out*f.In), random(r, f.Out), random(r,
				f.Batch*f.Out)
			want := runDense(t, newEngine(t, name, 1), f, x, w, b, dy)
			for _, threads := range []int{2, 3, 7} {
				got := runDense(t, newEngine(t, name, threads), f, x, w, b, dy)
				same(t, fmt.Sprint(f, "y"), got.y, want.y)
				same(t, fmt.Sprint(f, "dx"), got.dx, want.dx)
				same(t, fmt.Sprint(f, "dw"), got.dw, want.dw)
				same(t, fmt.Sprint(f, "db"), got.db, want.db)
			}
		}
	}
}

func TestDenseAllocatesNothing(t *testing.T) {
	engine := newEngine(t, "", 2)
	d, err := NewDense(engine, DenseConfig{9, 33, 17, true})
	must(t, err)
	x, w, b, y := make([]float32, 9*33), make([]float32, 17*33), make([]float32, 17), make([]float32,
		9*17)
	if n := testing.AllocsPerRun(5, func() {
		must(t, d.Forward(y, x, w, b))
		must(t, d.BackwardParameters(w, b, y, y, x))
		must(t, d.BackwardInput(x, y, y, w))
	}); n != 0 {
		t.Errorf("a pass allocates %g times", n)
	}
}

func TestDenseRejects(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for _, f := range []DenseConfig{{0, 1, 1, false}, {1, -1, 1, false}, {1, 1, 0, false},
		{1, math.MaxInt / 2, 2, false}} {
		if _, err := NewDense(engine, f); err == nil {
			t.Errorf("%+v is no error", f)
		}
	}
	d, err := NewDense(engine, DenseConfig{1, 2, 3, true})
	must(t, err)
	if err := d.BackwardInput(make([]float32, 2), make([]float32, 3), nil,
		make([]float32, 6)); err == nil {
		t.Error("ReLU's gradient without y is no error")
	}
}

func FuzzDense(f *testing.F) {
	f.Add(uint8(3), uint16(70), uint8(9), true)
	f.Fuzz(func(t *testing.T, batch uint8, in uint16, out uint8, relu bool) {
		compareDense(t, newEngine(t, "", 2), DenseConfig{int(batch%120) + 1, int(in%600) + 1,
			int(out%60) + 1, relu}, func([]float32) {})
	})
}
