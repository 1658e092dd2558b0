package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/internal/reference"
)

func window(height, width, strideHeight, strideWidth, paddingHeight, paddingWidth int) *Window {
	return &Window{Height: height, Width: width, StrideHeight: strideHeight, StrideWidth: strideWidth,
		PaddingHeight: paddingHeight, PaddingWidth: paddingWidth}
}

// convolutions are ordinary and adversarial shapes: batch, height, width, channels, filters,
// kernel, stride, padding.
var convolutions = []Conv2DConfig{
	{2, 8, 8, 16, 16, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, false},
	{3, 28, 28, 1, 32, 5, 5, 1, 1, 0, 0, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
	{5, 12, 12, 32, 64, 5, 5, 1, 1, 0, 0, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
	{5, 8, 8, 32, 64, 5, 5, 1, 1, 0, 0, true, nil, false, false, 0, 0, false},
	{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, false, nil, false, false, 0, 0, false},
	{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, true, window(1, 1, 1, 1, 0, 0), false, false, 0, 0, false},
	{2, 5, 7, 3, 5, 5, 7, 1, 1, 0, 0, true, nil, false, false, 0, 0, false},
	{2, 7, 6, 5, 17, 3, 2, 2, 3, 1, 1, true, nil, false, false, 0, 0, false},
	{3, 9, 9, 17, 3, 2, 2, 3, 3, 0, 0, false, nil, false, false, 0, 0, false},
	{2, 6, 5, 64, 10, 1, 1, 1, 1, 0, 0, true, nil, false, false, 0, 0, false},
	{1, 10, 11, 3, 24, 3, 3, 2, 2, 1, 1, true, window(3, 3, 2, 2, 1, 1), false, false, 0, 0, false},
	{2, 9, 8, 17, 20, 3, 3, 1, 1, 1, 1, false, window(2, 3, 1, 2, 0, 1), false, false, 0, 0, false},
	{4, 4, 4, 2, 6, 3, 3, 1, 1, 1, 1, true, window(4, 4, 4, 4, 0, 0), false, false, 0, 0, false},
	{2, 20, 20, 4, 9, 3, 3, 1, 1, 0, 0, true, window(18, 18, 1, 1, 0, 0), false, false, 0, 0, false},
	{3, 7, 7, 6, 16, 5, 5, 1, 1, 2, 2, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
	{1, 5, 5, 100, 33, 3, 3, 1, 1, 1, 1, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
	{1, 4, 4, 65, 31, 3, 3, 1, 1, 1, 1, true, nil, false, false, 0, 0, false},
	{2, 3, 3, 2, 8, 1, 1, 2, 2, 0, 0, false, nil, false, false, 0, 0, false},
	{2, 6, 6, 2, 3, 3, 3, 5, 5, 4, 4, true, nil, false, false, 0, 0, false},
	{2, 11, 3, 3, 2, 11, 3, 1, 1, 0, 0, true, window(1, 1, 1, 1, 0, 0), false, false, 0, 0, false},
	{7, 2, 2, 8, 4, 2, 2, 1, 1, 1, 1, true, nil, false, false, 0, 0, false},
	{2, 32, 32, 3, 32, 3, 3, 2, 2, 1, 1, true, nil, false, false, 0, 0, false},
	{2, 6, 6, 5, 12, 7, 7, 1, 1, 3, 3, true, window(2, 2, 2, 2, 1, 1), false, false, 0, 0, false},
	{3, 14, 15, 32, 48, 3, 3, 1, 1, 1, 1, true, nil, false, false, 0, 0, false},
	{5, 6, 7, 16, 16, 4, 4, 1, 1, 0, 0, true, window(2, 2, 1, 1, 0, 0), false, false, 0, 0, false},
	{5, 6, 7, 16, 80, 5, 5, 1, 1, 2, 2, false, window(3, 3, 2, 2, 1, 1), false, false, 0, 0, false},
	{11, 14, 14, 6, 16, 5, 5, 1, 1, 0, 0, true, nil, false, false, 0, 0, false},
	{3, 9, 7, 3, 20, 3, 4, 2, 1, 1, 2, true, nil, false, false, 0, 0, false},
	{1, 8, 6, 12, 70, 5, 3, 1, 2, 0, 1, false, nil, false, false, 0, 0, false},
	{2, 8, 7, 16, 17, 3, 3, 2, 2, 0, 0, false, nil, false, false, 1, 1, false},
	{3, 6, 5, 3, 8, 3, 4, 1, 2, 1, 0, true, nil, false, false, 0, 2, false},
	{2, 7, 9, 17, 32, 2, 2, 1, 1, 0, 0, true, window(2, 2, 2, 2, 0, 0), false, false, 1, 0, false},
	{3, 9, 8, 64, 80, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
	{2, 9, 12, 64, 64, 5, 5, 1, 1, 0, 2, false, nil, false, false, 0, 0, true},
	{2, 8, 8, 65, 64, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
	{2, 8, 8, 16, 16, 3, 3, 2, 2, 1, 1, false, nil, false, false, 0, 0, true},
	{2, 7, 8, 144, 144, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
}

type convolutionTensors struct {
	y, dy, dx, dw, db []float32 // channels last
}

// referenceConvolution computes a plan's results with package reference.
func referenceConvolution(f Conv2DConfig, x, w, b, dy []float32) convolutionTensors {
	c := reference.Conv2D{Batch: f.Batch, Channels: f.Channels, Height: f.Height, Width: f.Width,
		Filters: f.Filters, KernelHeight: f.KernelHeight, KernelWidth: f.KernelWidth,
		StrideHeight: f.StrideHeight, StrideWidth: f.StrideWidth,
		PaddingHeight: f.PaddingHeight, PaddingWidth: f.PaddingWidth, ExtraHeight: f.ExtraHeight,
		ExtraWidth: f.ExtraWidth}
	oh, ow := c.Output()
	xf := channelsFirst(x, f.Batch, f.Channels, f.Height, f.Width)
	wf := channelsFirst(w, f.Filters, f.Channels, f.KernelHeight, f.KernelWidth)
	y := reference.Conv2DForward(c, xf, wf, b)
	before := y
	if f.ReLU {
		y = reference.ReLUForward(y)
	}
	ph, pw := oh, ow
	var index []int
	if p := f.MaxPool; p != nil {
		pool := reference.Pool2D{Batch: f.Batch, Channels: f.Filters, Height: oh, Width: ow,
			KernelHeight: p.Height, KernelWidth: p.Width,
			StrideHeight: p.StrideHeight, StrideWidth: p.StrideWidth, PaddingHeight: p.PaddingHeight,
			PaddingWidth: p.PaddingWidth}
		ph, pw = pool.Output()
		y, index = reference.MaxPool2DForward(pool, y)
		g := reference.MaxPool2DBackward(pool, channelsFirst(dy, f.Batch, f.Filters, ph, pw), index)
		dy = g
	} else {
		dy = channelsFirst(dy, f.Batch, f.Filters, ph, pw)
	}
	if f.ReLU {
		dy = reference.ReLUBackward(dy, before)
	}
	dx, dw, db := reference.Conv2DBackward(c, dy, xf, wf)
	return convolutionTensors{
		y:  channelsLast(y, f.Batch, f.Filters, ph, pw),
		dx: channelsLast(dx, f.Batch, f.Channels, f.Height, f.Width),
		dw: channelsLast(dw, f.Filters, f.Channels, f.KernelHeight, f.KernelWidth), db: db,
	}
}

func runConvolution(t testing.TB, engine Engine, f Conv2DConfig, x, w, b []float32,
	dy func(n int) []float32) convolutionTensors {
	t.Helper()
	c, err := NewConv2D(engine, f)
	must(t, err)
	return runConv2D(t, c, f, x, w, b, dy)
}

func runConv2D(t testing.TB, c *Conv2D, f Conv2DConfig, x, w, b []float32,
	dy func(n int) []float32) convolutionTensors {
	t.Helper()
	oh, ow := c.Output()
	r := convolutionTensors{y: make([]float32, f.Batch*oh*ow*f.Filters), dx: make([]float32, len(x)),
		dw: make([]float32, len(w)), db: make([]float32, f.Filters)}
	r.dy = dy(len(r.y))
	for range 2 { // the second time finds the scratch memory used
		must(t, c.Forward(r.y, x, w, b))
		must(t, c.BackwardParameters(r.dw, r.db, r.dy, r.y, x))
		must(t, c.BackwardInput(r.dx, r.dy, r.y, w))
	}
	return r
}

func compareConvolution(t *testing.T, engine Engine, f Conv2DConfig, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
		f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Filters)
	got := runConvolution(t, engine, f, x, w, b, func(n int) []float32 { return random(r, n) })
	want := referenceConvolution(f, x, w, b, got.dy)
	depth := f.KernelHeight * f.KernelWidth * f.Channels
	near(t, "y", got.y, want.y, depth)
	near(t, "dw", got.dw, want.dw, len(got.dy)/f.Filters)
	near(t, "db", got.db, want.db, len(got.dy)/f.Filters)
	near(t, "dx", got.dx, want.dx, f.KernelHeight*f.KernelWidth*f.Filters)
}

func TestConv2D(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range convolutions {
			t.Run(fmt.Sprint(i), func(t *testing.T) { compareConvolution(t, engine, f, uint64(i)) })
		}
	})
}

// TestConv2DChannels goes through every remainder of the vector width, of inputs and of filters.
func TestConv2DChannels(t *testing.T) {
	for _, name := range Available() {
		engine := newEngine(t, name, 1)
		step := 1
		if raceDetector {
			step = 5 // takes ten times as long, and threads do not depend on the remainder
		}
		for n := 1; n <= 2*engine.Set.panel()+1; n += step {
			for _, pool := range []*Window{nil, window(2, 2, 2, 2, 0, 0)} {
				compareConvolution(t, engine, Conv2DConfig{2, 4, 5, n, 3, 3, 3, 1, 1, 1, 1, true, pool, false,
					false, 0, 0, false}, uint64(n))
				compareConvolution(t, engine, Conv2DConfig{2, 5, 4, 3, n, 2, 3, 1, 1, 0, 1, true, pool, false,
					false, 0, 0, false}, uint64(n))
			}
		}
	}
}

// TestConv2DInputGradientWays makes sure that the shapes above take both ways to the input's
// gradient, with padding and without.
func TestConv2DInputGradientWays(t *testing.T) {
	for _, name := range Available() {
		ways := map[string]int{}
		for _, f := range convolutions {
			if f.MaxPool != nil {
				continue
			}
			c, err := NewConv2D(newEngine(t, name, 1), f)
			must(t, err)
			c.dense.prepareInput()
			ways[fmt.Sprintf("scatter %t, padding %t", c.dense.scatter != nil,
				f.PaddingHeight+f.PaddingWidth > 0)]++
		}
		t.Log(name, ways)
		if len(ways) != 4 {
			t.Errorf("%s: the shapes take %v, want all four", name, ways)
		}
	}
}

func TestConv2DSameBitsOnAnyThreads(t *testing.T) {
	for _, name := range Available() {
		for i, f := range convolutions {
			f.Batch = 9
			if f.Height*f.Width*f.Filters > 2000 && (raceDetector || name == "portable") {
				continue // slow; the plans are the same for all shapes and sets
			}
			r := rand.New(rand.NewPCG(uint64(i), 3))
			x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
				f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Filters)
			var dy []float32
			gradient := func(n int) []float32 {
				if dy == nil {
					dy = random(r, n)
				}
				return dy
			}
			want := runConvolution(t, newEngine(t, name, 1), f, x, w, b, gradient)
			for _, threads := range []int{2, 3, 7} {
				got := runConvolution(t, newEngine(t, name, threads), f, x, w, b, gradient)
				same(t, "y", got.y, want.y)
				same(t, "dw", got.dw, want.dw)
				same(t, "db", got.db, want.db)
				same(t, "dx", got.dx, want.dx)
			}
		}
	}
}

func TestConv2DTies(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		// A constant image makes all positions of a window equal: the first one gets the gradient.
		for _, f := range []Conv2DConfig{
			{2, 12, 12, 8, 24, 5, 5, 1, 1, 0, 0, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
			{2, 9, 9, 3, 7, 3, 3, 1, 1, 0, 0, false, window(3, 3, 2, 2, 0, 0), false, false, 0, 0, false},
		} {
			r := rand.New(rand.NewPCG(1, 1))
			x := make([]float32, f.Batch*f.Height*f.Width*f.Channels)
			for i := range x {
				x[i] = 1
			}
			w, b := make([]float32, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), make([]float32,
				f.Filters)
			for i := range w {
				w[i] = float32(r.IntN(9) - 4) // small integers: the reference's sums are exact, and equal where ours are
			}
			got := runConvolution(t, engine, f, x, w, b, func(n int) []float32 { return random(r, n) })
			want := referenceConvolution(f, x, w, b, got.dy)
			near(t, "y", got.y, want.y, 1)
			near(t, "dw", got.dw, want.dw, 200)
			near(t, "dx", got.dx, want.dx, 200)
		}
	})
}

func TestConv2DNonFinite(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range convolutions {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
				f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Filters)
			x[r.IntN(len(x))] = float32(math.NaN())
			x[r.IntN(len(x))] = float32(math.Inf(1))
			x[r.IntN(len(x))] = 1e-42
			got := runConvolution(t, engine, f, x, w, b, func(n int) []float32 { return random(r, n) })
			want := referenceConvolution(f, x, w, b, got.dy)
			near(t, fmt.Sprint(i, " y"), got.y, want.y, f.KernelHeight*f.KernelWidth*f.Channels)
			near(t, fmt.Sprint(i, " dx"), got.dx, want.dx, f.KernelHeight*f.KernelWidth*f.Filters)
		}
	})
}

func TestConv2DAllocatesNothing(t *testing.T) {
	for _, threads := range []int{1, 2} {
		engine := newEngine(t, "", threads)
		for _, f := range []Conv2DConfig{convolutions[1], convolutions[7], convolutions[14]} {
			c, err := NewConv2D(engine, f)
			must(t, err)
			x, w, b := make([]float32, c.sizeX()), make([]float32, f.Filters*c.depth), make([]float32,
				f.Filters)
			y, dx := make([]float32, c.sizeY()), make([]float32, len(x))
			if n := testing.AllocsPerRun(5, func() {
				must(t, c.Forward(y, x, w, b))
				must(t, c.BackwardParameters(w, b, y, y, x))
				must(t, c.BackwardInput(dx, y, y, w))
			}); n != 0 {
				t.Errorf("%d threads: a pass of %+v allocates %g times", threads, f, n)
			}
		}
	}
}

func TestConv2DRejects(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	good := Conv2DConfig{1, 4, 4, 1, 1, 3, 3, 1, 1, 0, 0, false, nil, false, false, 0, 0, false}
	for name, change := range map[string]func(*Conv2DConfig){
		"no batch":          func(f *Conv2DConfig) { f.Batch = 0 },
		"kernel too large":  func(f *Conv2DConfig) { f.KernelWidth = 5 },
		"stride of 0":       func(f *Conv2DConfig) { f.StrideHeight = 0 },
		"negative padding":  func(f *Conv2DConfig) { f.PaddingWidth = -1 },
		"window too large":  func(f *Conv2DConfig) { f.MaxPool = window(3, 3, 1, 1, 0, 0) },
		"padding of window": func(f *Conv2DConfig) { f.MaxPool = window(2, 2, 1, 1, 2, 0) },
		"huge image":        func(f *Conv2DConfig) { f.Height, f.Width = math.MaxInt/2, math.MaxInt/2 },
		"huge batch":        func(f *Conv2DConfig) { f.Batch, f.Height, f.Width = 1<<20, 4000, 4000 },
		"huge":              func(f *Conv2DConfig) { f.Filters = math.MaxInt / 2 },
	} {
		f := good
		change(&f)
		if _, err := NewConv2D(engine, f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := NewConv2D(engine, good)
	must(t, err)
	if err := c.Forward(make([]float32, 4), make([]float32, 15), make([]float32, 9),
		make([]float32, 1)); err == nil {
		t.Error("a short x is no error")
	}
}

// Lists that kernels would look for at wrong places are refused where they are needed: 4 windows of
// 65,025 elements and 1,040 filters are 2³¹ bytes and more. That is for the gradient of the input
// alone.
func TestConv2DRejectsListsTooLong(t *testing.T) {
	c, err := NewConv2D(newEngine(t, "portable", 1), Conv2DConfig{1, 256, 256, 1, 1040, 1, 1, 1, 1, 0,
		0, false, window(255, 255, 1, 1, 0, 0), false, false, 0, 0, false})
	must(t, err)
	dx, dy, w := make([]float32, 256*256), make([]float32, 4*1040), make([]float32, 1040)
	if err := c.BackwardInput(dx, dy, nil, w); err == nil ||
		!strings.Contains(err.Error(), "4 windows of 65025 elements times 1040 filters are more than") {
		t.Errorf("%v", err)
	}
	must(t, c.BackwardParameters(make([]float32, 1040), make([]float32, 1040), dy, nil,
		make([]float32, 256*256)))
}

func FuzzConv2D(f *testing.F) {
	f.Add(uint8(2), uint8(7), uint8(6), uint8(3), uint8(5), uint8(3), uint8(2), uint8(1), uint8(1),
		uint8(2))
	f.Add(uint8(1), uint8(28), uint8(28), uint8(1), uint8(17), uint8(5), uint8(5), uint8(1), uint8(0),
		uint8(2))
	f.Add(uint8(3), uint8(9), uint8(8), uint8(9), uint8(33), uint8(1), uint8(3), uint8(2), uint8(1),
		uint8(0))
	f.Fuzz(func(t *testing.T, batch, height, width, channels, filters, kernelHeight, kernelWidth,
		stride, padding, pool uint8) {
		c := Conv2DConfig{
			Batch: int(batch%4) + 1, Height: int(height%30) + 1, Width: int(width%30) + 1,
			Channels: int(channels%40) + 1,
			Filters:  int(filters%40) + 1, KernelHeight: int(kernelHeight%7) + 1,
			KernelWidth:  int(kernelWidth%7) + 1,
			StrideHeight: int(stride%4) + 1, StrideWidth: int(stride/4%4) + 1,
			PaddingHeight: int(padding % 4), PaddingWidth: int(padding / 4 % 4),
			ReLU: pool&1 == 0,
		}
		if k := int(pool / 2 % 4); k > 0 {
			c.MaxPool = window(k, k, int(pool/8%3)+1, int(pool/8%3)+1, 0, 0)
		}
		engine := newEngine(t, "", 2)
		if _, err := NewConv2D(engine, c); err != nil {
			t.Skip("not a convolution: ", err)
		}
		compareConvolution(t, engine, c, uint64(batch))
	})
}

// TestConstantWeights: a plan that packs its weights once gives the bits of one that packs them at
// every Forward, for other images and another bias, whether the weights are then as they were or
// not.
func TestConstantWeights(t *testing.T) {
	for _, f := range convolutions {
		f.Direct = true
		eachEngine(t, func(t *testing.T, engine Engine) {
			plain, err := NewConv2D(engine, f)
			if err != nil {
				t.Fatal(err)
			}
			constant := f
			constant.ConstantWeights = true
			keeping, err := NewConv2D(engine, constant)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(7, 8))
			w, b := random(r, f.Filters*plain.depth), random(r, f.Filters)
			given := append([]float32(nil), w...)
			for range 3 {
				x := random(r, plain.sizeX())
				want, got := make([]float32, plain.sizeY()), make([]float32, plain.sizeY())
				if err := plain.Forward(want, x, w, b); err != nil {
					t.Fatal(err)
				}
				if err := keeping.Forward(got, x, given, b); err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
						t.Fatalf("%+v: element %d is %v, want %v", f, i, got[i], want[i])
					}
				}
				clear(given) // it was promised to stay, and is not read again
				b[0]++
			}
		})
	}
}
