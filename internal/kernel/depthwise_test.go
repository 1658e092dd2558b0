package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"slipway/internal/reference"
)

// depthwises are ordinary and adversarial shapes: batch, height, width, channels, kernel, stride,
// padding, extra padding, dilation.
var depthwises = []DepthwiseConfig{
	{2, 8, 8, 32, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
	{3, 9, 7, 48, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1},
	{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1},
	{1, 5, 6, 17, 3, 2, 1, 2, 1, 0, 0, 0, 1, 1},
	{2, 11, 13, 24, 5, 5, 1, 1, 2, 2, 0, 0, 1, 1},
	{2, 12, 10, 40, 5, 5, 2, 2, 1, 1, 1, 1, 1, 1},
	{1, 14, 14, 96, 7, 7, 1, 1, 3, 3, 0, 0, 1, 1},
	{17, 3, 4, 16, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
	{2, 9, 8, 5, 3, 3, 1, 1, 2, 2, 0, 1, 2, 2},
	{2, 9, 20, 20, 2, 11, 1, 1, 0, 3, 1, 0, 2, 1},
	{2, 6, 7, 8, 1, 1, 2, 3, 0, 0, 0, 0, 1, 1},
	{1, 7, 6, 33, 2, 3, 3, 2, 1, 2, 0, 1, 2, 3},
	{2, 4, 4, 64, 3, 3, 5, 5, 2, 2, 0, 0, 1, 1},
	{1, 33, 31, 1, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
	// Several bands, and rows of dx that no output reads.
	{2, 23, 90, 40, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
	{1, 45, 57, 48, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
	{1, 50, 61, 40, 5, 5, 2, 1, 2, 2, 0, 0, 1, 1},
	{1, 44, 70, 24, 3, 3, 1, 1, 4, 1, 0, 3, 4, 1},
	{1, 97, 40, 32, 3, 3, 5, 4, 0, 2, 0, 0, 1, 1},
	{1, 58, 60, 32, 2, 1, 6, 7, 3, 0, 2, 1, 1, 1},
}

func TestDepthwise(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range depthwises {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				c := reference.Conv2D{
					Batch: f.Batch, Channels: f.Channels, Height: f.Height, Width: f.Width, Filters: f.Channels,
					Groups:       f.Channels,
					KernelHeight: f.KernelHeight, KernelWidth: f.KernelWidth, StrideHeight: f.StrideHeight,
					StrideWidth:   f.StrideWidth,
					PaddingHeight: f.PaddingHeight, PaddingWidth: f.PaddingWidth, ExtraHeight: f.ExtraHeight,
					ExtraWidth:     f.ExtraWidth,
					DilationHeight: f.DilationHeight, DilationWidth: f.DilationWidth,
				}
				oh, ow := c.Output()
				area := f.KernelHeight * f.KernelWidth
				x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r, area*f.Channels), random(r,
					f.Channels)
				dy := random(r, f.Batch*oh*ow*f.Channels)
				y, dx, dw, db := make([]float32, len(dy)), make([]float32, len(x)), make([]float32,
					len(w)), make([]float32, len(b))
				d, err := NewDepthwise(engine, f)
				must(t, err)
				run := func() {
					must(t, d.Forward(y, x, w, b))
					must(t, d.BackwardInput(dx, dy, w))
					must(t, d.BackwardParameters(dw, db, dy, x))
				}
				run()
				if allocations := fewestAllocations(run); allocations != 0 { // the second time finds the scratch memory used
					t.Errorf("%g allocations", allocations)
				}
				xf, dyf := channelsFirst(x, f.Batch, f.Channels, f.Height, f.Width), channelsFirst(dy, f.Batch,
					f.Channels, oh, ow)
				wf := channelsFirst(w, 1, f.Channels, f.KernelHeight, f.KernelWidth)
				want := reference.Conv2DForward(c, xf, wf, b)
				wantX, wantW, wantB := reference.Conv2DBackward(c, dyf, xf, wf)
				positions := f.Batch * oh * ow
				near(t, "y", y, channelsLast(want, f.Batch, f.Channels, oh, ow), area)
				near(t, "dx", dx, channelsLast(wantX, f.Batch, f.Channels, f.Height, f.Width), area)
				near(t, "dw", dw, channelsLast(wantW, 1, f.Channels, f.KernelHeight, f.KernelWidth), positions)
				near(t, "db", db, wantB, positions)
				must(t, d.Forward(y, x, w, nil))
				near(t, "y without bias", y,
					channelsLast(reference.Conv2DForward(c, xf, wf, make([]float32, len(b))), f.Batch, f.Channels,
						oh, ow), area)
			})
		}
	})
}

func TestDepthwiseIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		for _, f := range depthwises {
			var first [][]float32
			for _, threads := range []int{1, 2, 3, 7} {
				r := rand.New(rand.NewPCG(1, 3))
				d, err := NewDepthwise(newEngine(t, set, threads), f)
				must(t, err)
				x, w, b, dy := random(r, d.sizeX()), random(r, d.sizeW()), random(r, f.Channels), random(r,
					d.sizeY())
				got := [][]float32{make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w)),
					make([]float32, len(b))}
				must(t, d.Forward(got[0], x, w, b))
				must(t, d.BackwardInput(got[1], dy, w))
				must(t, d.BackwardParameters(got[2], got[3], dy, x))
				if first == nil {
					first = got
				}
				for i := range got {
					same(t, fmt.Sprintf("%+v, %d threads, tensor %d", f, threads, i), got[i], first[i])
				}
			}
		}
	}
}

// Whatever gradients are wanted, the rows that are held are those of a band, not of an image.
func TestDepthwiseHoldsABand(t *testing.T) {
	d, err := NewDepthwise(newEngine(t, "portable", 1), DepthwiseConfig{1, 200, 60, 40, 3, 3, 1, 1, 1, 1,
		0, 0, 1, 1})
	must(t, err)
	r := rand.New(rand.NewPCG(1, 12))
	x, w, dy := random(r, d.sizeX()), random(r, d.sizeW()), random(r, d.sizeY())
	must(t, d.BackwardParameters(make([]float32, len(w)), nil, dy, x))
	must(t, d.BackwardInput(make([]float32, len(x)), dy, w))
	must(t, d.Backward(make([]float32, len(x)), make([]float32, len(w)), nil, dy, nil, x, w))
	for name, window := range map[string]*rowWindow{"x": &d.work[0].own.x, "dy": &d.work[0].own.dy} {
		if rows := len(window.memory) / window.row; rows > d.bandRows+4 {
			t.Errorf("%d rows of %s are held, for bands of %d", rows, name, d.bandRows)
		}
	}
}

func TestDepthwiseRejects(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	good := depthwises[0]
	for name, change := range map[string]func(f *DepthwiseConfig){
		"no images":         func(f *DepthwiseConfig) { f.Batch = 0 },
		"no dilation":       func(f *DepthwiseConfig) { f.DilationWidth = 0 },
		"negative padding":  func(f *DepthwiseConfig) { f.ExtraHeight = -1 },
		"too large a side":  func(f *DepthwiseConfig) { f.Width = 1 << 30 },
		"too many elements": func(f *DepthwiseConfig) { f.Width, f.Height = 1<<19, 1<<19 },
		"a kernel too wide": func(f *DepthwiseConfig) { f.DilationWidth = 9 },
	} {
		f := good
		change(&f)
		if _, err := NewDepthwise(engine, f); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

// TestDepthwiseNormalisesAsItReads is TestConvolutionNormalisesAsItReads of depthwise convolutions.
func TestDepthwiseNormalisesAsItReads(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range depthwises {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			apart, err := NewDepthwise(engine, f)
			must(t, err)
			together, err := NewDepthwise(engine, f)
			must(t, err)
			c := f.Channels
			normalisation := func(size int) *BatchNorm {
				n, err := NewBatchNorm(engine, BatchNormConfig{Rows: size / c, Channels: c, Epsilon: 1e-3,
					Batch: i%2 == 0, Low: 0, High: 1.5})
				must(t, err)
				return n
			}
			before, behind := normalisation(apart.sizeX()), normalisation(apart.sizeY())
			must(t, together.NormaliseBefore(before))
			must(t, together.NormaliseBehind(behind))

			x, w, dz := random(r, apart.sizeX()), random(r, apart.sizeW()), random(r, apart.sizeY())
			scale, shift, variance := random(r, c), random(r, c), positive(r, c)
			normal := make([]float32, len(x))
			must(t, before.Forward(normal, x, scale, shift, shift, variance))
			y, gotY := make([]float32, len(dz)), make([]float32, len(dz))
			must(t, apart.Forward(y, normal, w, nil))
			must(t, together.Forward(gotY, x, w, nil))
			must(t, behind.Prepare(y, scale, shift, shift, variance))
			dy, dx, dw := make([]float32, len(dz)), make([]float32, len(x)), make([]float32, len(w))
			must(t, behind.Backward(dy, nil, nil, dz, y, scale))
			must(t, apart.Backward(dx, dw, nil, dy, nil, normal, w))
			gotDx, dxAlone, gotDw, db := make([]float32, len(x)), make([]float32, len(x)), make([]float32,
				len(w)), make([]float32, c)
			must(t, together.Backward(dxAlone, nil, nil, slices.Clone(dz), gotY, x, w))
			must(t, together.Backward(gotDx, gotDw, db, slices.Clone(dz), gotY, x, w))
			dwAlone := make([]float32, len(w))
			must(t, together.Backward(nil, dwAlone, nil, dz, gotY, x, w)) // which overwrites dy
			for _, pair := range []struct {
				name      string
				got, want []float32
			}{{"y", gotY, y}, {"dy", dz, dy}, {"dw", gotDw, dw}, {"dx", gotDx, dx},
				{"dx alone", dxAlone, dx}, {"dw alone", dwAlone, dw}} {
				if !slices.Equal(pair.got, pair.want) {
					t.Errorf("%+v: %s differs", f, pair.name)
				}
			}
		}
	})
}
