package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestConv2DAmong: filters among others are those of a tensor of their own, and what lies between
// them stays.
func TestConv2DAmong(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for among, f := range map[int]Conv2DConfig{
			25: {Batch: 3, Height: 9, Width: 7, Channels: 16, Filters: 24, KernelHeight: 3,
				KernelWidth: 3, PaddingHeight: 1, PaddingWidth: 1},
			128: {Batch: 1, Height: 55, Width: 55, Channels: 16, Filters: 64, KernelHeight: 1,
				KernelWidth: 1},
			333: {Batch: 17, Height: 3, Width: 2, Channels: 5, Filters: 100, KernelHeight: 1,
				KernelWidth: 2},
			3: {Batch: 2, Height: 4, Width: 4, Channels: 400, Filters: 3, KernelHeight: 3,
				KernelWidth: 3},
			2: {Batch: 1, Height: 1, Width: 1, Channels: 1, Filters: 1, KernelHeight: 1, KernelWidth: 1},
		} {
			f.StrideHeight, f.StrideWidth, f.Direct = 1, 1, true
			c, err := NewConv2D(engine, f)
			must(t, err)
			must(t, c.Among(among))
			alone, err := NewConv2D(engine, f)
			must(t, err)
			c.Finish(Finish{Low: 0, High: 6})
			alone.Finish(Finish{Low: 0, High: 6})
			r := rand.New(rand.NewPCG(uint64(f.Filters), 1))
			x, w, b := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters)
			want := make([]float32, alone.sizeY())
			must(t, alone.Forward(want, x, w, b))
			positions, first := len(want)/f.Filters, (among-f.Filters)/2
			y := random(r, positions*among)
			expected := append([]float32(nil), y...)
			for p := range positions {
				copy(expected[p*among+first:], want[p*f.Filters:][:f.Filters])
			}
			must(t, c.Forward(y[first:][:c.spanY()], x, w, b))
			same(t, fmt.Sprintf("%+v among %d", f, among), y, expected)
		}
	})
}

func TestConv2DAmongRefuses(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	whole := Conv2DConfig{Batch: 1, Height: 2, Width: 2, Channels: 3, Filters: 4, KernelHeight: 1,
		KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, Direct: true}
	for name, test := range map[string]struct {
		among  int
		change func(f *Conv2DConfig)
	}{
		"too few":            {3, func(*Conv2DConfig) {}},
		"too many":           {1 << 40, func(*Conv2DConfig) {}},
		"a plan of training": {9, func(f *Conv2DConfig) { f.Direct = false }},
		"ReLU":               {9, func(f *Conv2DConfig) { f.ReLU = true }},
		"pooling": {9, func(f *Conv2DConfig) {
			f.MaxPool = &Window{Height: 1, Width: 1, StrideHeight: 1, StrideWidth: 1}
		}},
	} {
		f := whole
		test.change(&f)
		c, err := NewConv2D(engine, f)
		must(t, err)
		if err := c.Among(test.among); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := NewConv2D(engine, whole)
	must(t, err)
	must(t, c.Among(9))
	x, w, b := make([]float32, 12), make([]float32, 12), make([]float32, 4)
	must(t, c.Forward(make([]float32, 31), x, w, b))
	if err := c.Forward(make([]float32, 36), x, w, b); err == nil {
		t.Error("whole rows are no error")
	}
	if err := c.ForwardAdd(make([]float32, 31), x, w, b, make([]float32, 16)); err == nil {
		t.Error("an addend without room between its positions is no error")
	}
}
