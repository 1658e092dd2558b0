package kernel

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/internal/reference"
)

var pools = []Pool2DConfig{
	{2, 6, 8, 16, *window(2, 2, 2, 2, 0, 0)}, {1, 1, 1, 1, *window(1, 1, 1, 1, 0, 0)},
	{3, 7, 5, 17, *window(3, 3, 2, 2, 1, 1)},
	{2, 5, 5, 3, *window(2, 3, 1, 1, 0, 1)}, {2, 9, 9, 5, *window(2, 2, 3, 4, 0, 0)},
	{1, 20, 20, 9, *window(20, 20, 1, 1, 0, 0)},
	{4, 4, 6, 64, *window(4, 2, 1, 3, 2, 1)},
	{2, 6, 8, 16, Window{Height: 3, Width: 3, StrideHeight: 2, StrideWidth: 2, CeilMode: true}},
	{1, 4, 5, 17, Window{Height: 2, Width: 2, StrideHeight: 2, StrideWidth: 2, PaddingHeight: 1,
		PaddingWidth: 1, CeilMode: true}},
	{3, 5, 6, 9, Window{Height: 3, Width: 3, StrideHeight: 2, StrideWidth: 2, PaddingHeight: 1,
		PaddingWidth: 1, ExcludePadding: true}},
	{2, 6, 5, 3, Window{Height: 3, Width: 4, StrideHeight: 2, StrideWidth: 3, PaddingWidth: 1,
		ExtraHeight: 1, ExtraWidth: 2}},
	{1, 7, 7, 64, *window(3, 3, 2, 2, 0, 0)}, {2, 5, 6, 109, *window(3, 3, 2, 2, 1, 1)},
	{2, 6, 5, 33, Window{Height: 3, Width: 3, StrideHeight: 2, StrideWidth: 2, ExtraHeight: 1,
		ExtraWidth: 2, CeilMode: true, ExcludePadding: true}},
}

func comparePools(t *testing.T, engine Engine, f Pool2DConfig, x []float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(2, 2))
	w := f.Window
	p := reference.Pool2D{Batch: f.Batch, Channels: f.Channels, Height: f.Height, Width: f.Width,
		KernelHeight: w.Height, KernelWidth: w.Width,
		StrideHeight: w.StrideHeight, StrideWidth: w.StrideWidth, PaddingHeight: w.PaddingHeight,
		PaddingWidth: w.PaddingWidth,
		ExtraHeight:  w.ExtraHeight, ExtraWidth: w.ExtraWidth, CeilMode: w.CeilMode,
		ExcludePadding: w.ExcludePadding}
	oh, ow := p.Output()
	xf := channelsFirst(x, f.Batch, f.Channels, f.Height, f.Width)
	n := f.Batch * oh * ow * f.Channels
	y, dx, dy := make([]float32, n), make([]float32, len(x)), random(r, n)
	dyf := channelsFirst(dy, f.Batch, f.Channels, oh, ow)
	back := func(v []float32, h, w int) []float32 { return channelsLast(v, f.Batch, f.Channels, h, w) }

	maximum, err := NewMaxPool2D(engine, f)
	must(t, err)
	must(t, maximum.Forward(y, x))
	must(t, maximum.Backward(dx, dy))
	want, index := reference.MaxPool2DForward(p, xf)
	near(t, "max", y, back(want, oh, ow), 0)
	near(t, "gradient of max", dx, back(reference.MaxPool2DBackward(p, dyf, index), f.Height, f.Width),
		w.Height*w.Width)

	maxima, err := NewMaxima2D(engine, f)
	must(t, err)
	alone := random(r, n)
	must(t, maxima.Forward(alone, x))
	same(t, "maxima alone", alone, y)

	average, err := NewAvgPool2D(engine, f)
	must(t, err)
	must(t, average.Forward(y, x))
	must(t, average.Backward(dx, dy))
	near(t, "average", y, back(reference.AvgPool2DForward(p, xf), oh, ow), w.Height*w.Width)
	near(t, "gradient of average", dx, back(reference.AvgPool2DBackward(p, dyf), f.Height, f.Width),
		w.Height*w.Width)
	if allocations := testing.AllocsPerRun(3, func() {
		must(t, maximum.Forward(y, x))
		must(t, maximum.Backward(dx, dy))
		must(t, maxima.Forward(y, x))
		must(t, average.Forward(y, x))
		must(t, average.Backward(dx, dy))
	}); allocations != 0 {
		t.Errorf("%+v allocates %g times", f, allocations)
	}
}

func TestPool2D(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range pools {
			r := rand.New(rand.NewPCG(1, 1))
			x := random(r, f.Batch*f.Height*f.Width*f.Channels)
			comparePools(t, engine, f, x)
			for i := range x { // ties, infinities and NaN
				switch r.IntN(8) {
				case 0:
					x[i] = float32(math.NaN())
				case 1:
					x[i] = float32(math.Inf(1))
				case 2:
					x[i] = float32(math.Inf(-1))
				case 3:
					x[i] = float32(math.Copysign(0, -float64(i&1)))
				case 4:
					x[i] = math.Float32frombits(0xffc00000 | uint32(i)) // a NaN of its own
				default:
					x[i] = 1
				}
			}
			comparePools(t, engine, f, x)
		}
	})
}

// A side that is too large is named.
func TestPool2DNamesTheSide(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for side, w := range map[string]Window{
		"height 2097152": *window(1<<21, 2, 1, 1, 0, 0), "width 2097152": *window(2, 1<<21, 1, 1, 0, 0),
		"vertical stride 2097152":              *window(2, 2, 1<<21, 1, 0, 0),
		"horizontal stride 2097152":            *window(2, 2, 1, 1<<21, 0, 0),
		"vertical padding 9223372036854775807": *window(2, 2, 1, 1, math.MaxInt, 0),
		"65534 elements":                       *window(300, 300, 1, 1, 0, 0),
	} {
		if _, err := NewMaxPool2D(engine, Pool2DConfig{1, 400, 400, 1, w}); err == nil ||
			!strings.Contains(err.Error(), side) {
			t.Errorf("%+v: %v, want %q", w, err, side)
		}
	}
}

func TestPool2DRejects(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for _, f := range []Pool2DConfig{
		{0, 2, 2, 1, *window(2, 2, 2, 2, 0, 0)}, {1, 2, 2, 1, *window(3, 2, 2, 2, 0, 0)},
		{1, 2, 2, 1, *window(2, 2, 0, 2, 0, 0)},
		{1, 2, 2, 1, *window(2, 2, 1, 1, 2, 0)},
		{1, 2, 2, 1, *window(math.MaxInt/2, 4, 1, 1, math.MaxInt/4, 0)},
		{1, 5000, 5000, 1, *window(200, 200, 1, 1, 0, 0)},
	} {
		if _, err := NewMaxPool2D(engine, f); err == nil {
			t.Errorf("%+v is no error", f)
		}
	}
}
