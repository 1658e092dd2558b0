package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// pooledConvolutions are convolutions with windows that overlap, and with some that do not.
func pooledConvolutions() []Conv2DConfig {
	shape := func(batch, height, width, channels, filters, kernel, stride, padding int,
		pool *Window) Conv2DConfig {
		return Conv2DConfig{
			Batch: batch, Height: height, Width: width, Channels: channels, Filters: filters,
			KernelHeight: kernel, KernelWidth: kernel, StrideHeight: stride, StrideWidth: stride,
			PaddingHeight: padding, PaddingWidth: padding, MaxPool: pool, Direct: true,
			ConstantWeights: true,
		}
	}
	uneven := shape(2, 23, 17, 5, 40, 3, 1, 0, window(3, 2, 1, 2, 1, 1))
	uneven.ExtraHeight, uneven.ExtraWidth, uneven.KernelWidth = 1, 2, 2
	return []Conv2DConfig{
		shape(1, 61, 57, 3, 64, 7, 2, 3, window(3, 3, 2, 2, 1, 1)),
		shape(5, 64, 64, 3, 64, 3, 2, 0, window(3, 3, 2, 2, 0, 0)),
		shape(2, 9, 7, 16, 37, 3, 1, 1, window(3, 3, 2, 2, 1, 1)),
		shape(3, 1, 1, 1, 1, 1, 1, 0, window(1, 1, 1, 1, 0, 0)),
		shape(1, 30, 200, 4, 129, 5, 1, 2, window(3, 3, 1, 1, 1, 1)),
		shape(1, 5, 5, 2, 24, 3, 1, 1, window(5, 5, 1, 1, 2, 2)),
		shape(2, 12, 12, 8, 5, 1, 1, 0, window(2, 2, 3, 3, 1, 1)),
		shape(2, 31, 31, 3, 16, 3, 2, 1, window(4, 4, 2, 3, 2, 0)),
		uneven,
	}
}

// pooledTensors returns what a convolution is of, and its results by the plans of its parts.
func pooledTensors(tb testing.TB, engine Engine, f Conv2DConfig, finish Finish,
	strange bool) (x, w, b, want []float32) {
	pool := *f.MaxPool
	f.MaxPool, f.ConstantWeights = nil, false
	c, err := NewConv2D(engine, f)
	must(tb, err)
	c.Finish(finish)
	r := rand.New(rand.NewPCG(uint64(f.Filters), uint64(f.Width)))
	x, w, b = random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters)
	for i := range x {
		switch {
		case strange && r.IntN(50) == 0:
			x[i] = nan32
		case strange && r.IntN(50) == 0:
			x[i] = float32(math.Inf(1 - 2*(i&1)))
		}
	}
	y := make([]float32, c.sizeY())
	must(tb, c.Forward(y, x, w, b))
	p, err := NewMaxPool2D(engine, Pool2DConfig{f.Batch, c.convHeight, c.convWidth, f.Filters, pool})
	must(tb, err)
	want = make([]float32, f.Batch*p.imageY())
	must(tb, p.Forward(want, y))
	return x, w, b, want
}

func TestPooledConv2D(t *testing.T) {
	finishes := []Finish{{Low: 0, High: nan32}, {Low: nan32, High: nan32, Gate: &Gate{1. / 6, 0.5}},
		{Low: -0.5, High: 6}, NoFinish()}
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range pooledConvolutions() {
			for _, strange := range []bool{false, true} {
				x, w, b, want := pooledTensors(t, engine, f, finishes[i%len(finishes)], strange)
				p, err := NewPooledConv2D(engine, f, finishes[i%len(finishes)])
				must(t, err)
				_, err = p.Convolution().Pack(w)
				must(t, err)
				dirty := engine.Pool.scratch.take(len(p.work) * line(p.lines*p.line))
				for k := range dirty {
					dirty[k] = nan32 // what a call finds there must not matter
				}
				engine.Pool.scratch.give(dirty)
				y := random(rand.New(rand.NewPCG(1, 1)), len(want))
				run := func() { must(t, p.Forward(y, x, b)) }
				run()
				if allocations := fewestAllocations(run); allocations != 0 {
					t.Errorf("%+v: %g allocations", f, allocations)
				}
				same(t, fmt.Sprintf("%+v", f), y, want)
			}
		}
	})
}

func TestPooledConv2DIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		for _, f := range pooledConvolutions() {
			var first []float32
			for _, threads := range []int{1, 2, 3, 7} {
				engine := newEngine(t, set, threads)
				x, w, b, want := pooledTensors(t, engine, f, NoFinish(), false)
				p, err := NewPooledConv2D(engine, f, NoFinish())
				must(t, err)
				_, err = p.Convolution().Pack(w)
				must(t, err)
				must(t, p.Forward(want, x, b))
				if first == nil {
					first = want
				}
				same(t, fmt.Sprintf("%+v, %d threads", f, threads), want, first)
			}
		}
	}
}

func TestPooledConv2DRefuses(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for name, change := range map[string]func(f *Conv2DConfig){
		"no windows":            func(f *Conv2DConfig) { f.MaxPool = nil },
		"windows in ceil mode":  func(f *Conv2DConfig) { f.MaxPool.CeilMode = true },
		"windows that hang out": func(f *Conv2DConfig) { f.MaxPool.ExtraWidth = 1 },
		"too large windows":     func(f *Conv2DConfig) { f.MaxPool.Height = 20 },
		"a plan of training":    func(f *Conv2DConfig) { f.Direct = false },
		"weights that change":   func(f *Conv2DConfig) { f.ConstantWeights = false },
		"ReLU":                  func(f *Conv2DConfig) { f.ReLU = true },
		"no images":             func(f *Conv2DConfig) { f.Batch = 0 },
		"a huge batch":          func(f *Conv2DConfig) { f.Batch = 1 << 40 },
		"no filters":            func(f *Conv2DConfig) { f.Filters = 0 },
	} {
		f := pooledConvolutions()[2]
		change(&f)
		if _, err := NewPooledConv2D(engine, f, NoFinish()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f := pooledConvolutions()[2]
	x, w, b, y := pooledTensors(t, engine, f, NoFinish(), false)
	p, err := NewPooledConv2D(engine, f, NoFinish())
	must(t, err)
	if height, width := p.Output(); height*width*f.Filters*f.Batch != len(y) {
		t.Errorf("the output is %d×%d", height, width)
	}
	if err := p.Forward(y, x, b); err == nil {
		t.Error("weights that are not packed are no error")
	}
	_, err = p.Convolution().Pack(w)
	must(t, err)
	for name, run := range map[string]func() error{
		"a short output": func() error { return p.Forward(y[1:], x, b) },
		"a short input":  func() error { return p.Forward(y, x[1:], b) },
		"a short bias":   func() error { return p.Forward(y, x, b[1:]) },
	} {
		if run() == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
