package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// eachTiles runs a test with the product of tiles in Go, beside the loops of each set that this
// machine has, and with the CPU's, on one thread and on three.
func eachTiles(t *testing.T, test func(t *testing.T, engine Engine)) {
	t.Helper()
	cpu := false
	for _, name := range Available() {
		for _, threads := range []int{1, 3} {
			engine := newEngine(t, name, threads)
			engine.BF16 = new(BF16)
			if engine.CheckBF16() == nil {
				cpu = true
				t.Run(fmt.Sprintf("%s-%d", name, threads), func(t *testing.T) { test(t, engine) })
			}
			if threads > 1 { // the loops around the product are the same
				continue
			}
			t.Run(name+"-in-go", func(t *testing.T) {
				engine.Set.tiles, engine.Set.permitTiles = portableTiles, nil
				test(t, engine)
			})
		}
	}
	if !cpu {
		t.Log("not run with AMX: this CPU, or its system, has none")
	}
}

// rounded returns numbers that are bfloat16, so that their products are those of the reference.
func rounded(values []float32) []float32 {
	for i, v := range values {
		values[i] = math.Float32frombits(uint32(roundedTo16(math.Float32bits(v))) << 16)
	}
	return values
}

func tiledShapes() []Conv2DConfig {
	square := func(batch, height, width, channels, filters, kernel, stride, padding int) Conv2DConfig {
		return Conv2DConfig{
			Batch: batch, Height: height, Width: width, Channels: channels, Filters: filters,
			KernelHeight: kernel, KernelWidth: kernel, StrideHeight: stride, StrideWidth: stride,
			PaddingHeight: padding, PaddingWidth: padding, FilteredGradients: true,
		}
	}
	oblong := square(3, 9, 21, 16, 48, 3, 1, 0)
	oblong.KernelWidth, oblong.PaddingWidth, oblong.ExtraHeight, oblong.ExtraWidth = 5, 2, 1, 1
	uneven := square(3, 11, 18, 32, 16, 3, 1, 1)
	uneven.StrideWidth = 2
	rectified := square(3, 6, 17, 16, 80, 3, 1, 1)
	rectified.ReLU = true
	small := rectified
	small.Width = 5
	return []Conv2DConfig{
		square(3, 32, 32, 16, 16, 3, 1, 1), square(5, 8, 8, 64, 64, 3, 1, 1),
		square(7, 4, 4, 32, 48, 3, 1, 1), square(2, 7, 7, 48, 80, 3, 1, 1),
		square(4, 9, 9, 16, 32, 3, 2, 1), square(2, 33, 33, 16, 16, 3, 2, 1),
		square(3, 14, 14, 16, 144, 1, 1, 0), square(2, 16, 16, 32, 64, 1, 2, 0),
		square(1, 3, 3, 16, 16, 3, 1, 1), square(2, 5, 6, 16, 16, 1, 1, 0),
		square(1, 80, 70, 32, 16, 3, 1, 1), square(1, 61, 75, 16, 32, 5, 2, 2),
		square(3, 40, 40, 96, 64, 1, 1, 0), square(11, 4, 4, 192, 208, 3, 1, 1),
		square(2, 20, 19, 16, 16, 4, 1, 3), square(1, 1, 1, 48, 16, 1, 1, 0),
		square(17, 1, 1, 48, 16, 1, 1, 0),
		oblong, uneven, rectified, small,
	}
}

// timelyShapes are tiledShapes without the large ones in -short, and without more of them under the
// race detector, which makes the products in Go slow.
func timelyShapes() []Conv2DConfig {
	most := 1 << 20
	if raceDetector {
		most = 1 << 18
	}
	return slices.DeleteFunc(tiledShapes(), func(f Conv2DConfig) bool {
		return testing.Short() && f.Batch*f.Height*f.Width*f.Channels*f.Filters > most
	})
}

// inTiles returns a plan whose passes are all in tiles, where float32 is the faster way as well.
func inTiles(t *testing.T, engine Engine, f Conv2DConfig) *Conv2D {
	t.Helper()
	c, err := NewConv2D(engine, f)
	must(t, err)
	c.tiled, c.tiledInput, c.tiledWeights = newTiledForward(c), newTiledInput(c), newTiledWeights(c)
	if c.tiled == nil || c.tiledInput == nil || c.tiledWeights == nil {
		t.Errorf("%+v: tiles do not fit it", f)
	}
	return c
}

func TestTiledConv2D(t *testing.T) {
	shapes := timelyShapes()
	wanted := make([]convolutionTensors, len(shapes)) // the reference takes the longest
	eachTiles(t, func(t *testing.T, engine Engine) {
		for i, f := range shapes {
			r := rand.New(rand.NewPCG(uint64(i), 21))
			x := rounded(random(r, f.Batch*f.Height*f.Width*f.Channels))
			w := rounded(random(r, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels))
			c, b := inTiles(t, engine, f), random(r, f.Filters)
			got := runConv2D(t, c, f, x, w, b, func(n int) []float32 { return rounded(random(r, n)) })
			if wanted[i].y == nil {
				wanted[i] = referenceConvolution(f, x, w, b, got.dy)
			}
			want, positions := wanted[i], len(got.dy)/f.Filters
			near(t, fmt.Sprintf("%+v: y", f), got.y, want.y, c.depth)
			near(t, fmt.Sprintf("%+v: dx", f), got.dx, want.dx, c.depth/f.Channels*f.Filters)
			near(t, fmt.Sprintf("%+v: dw", f), got.dw, want.dw, positions)
			near(t, fmt.Sprintf("%+v: db", f), got.db, want.db, positions)
		}
	})
}

// tilesEngine returns an engine that multiplies bfloat16, in Go where the CPU does not.
func tilesEngine(t *testing.T, threads int) Engine {
	t.Helper()
	engine := newEngine(t, "", threads)
	engine.BF16 = new(BF16)
	if err := engine.CheckBF16(); err != nil {
		t.Log("products in Go:", err)
		engine.Set.tiles, engine.Set.permitTiles = portableTiles, nil
	}
	return engine
}

// TestTiledThreads: any number of threads gives the same bits, also where they share the sums of
// many weights.
func TestTiledThreads(t *testing.T) {
	one, many := tilesEngine(t, 1), tilesEngine(t, 5)
	shared := Conv2DConfig{Batch: 3, Height: 4, Width: 4, Channels: 48, Filters: 48,
		KernelHeight: 11, KernelWidth: 11, StrideHeight: 1, StrideWidth: 1,
		PaddingHeight: 5, PaddingWidth: 5, FilteredGradients: true}
	if w := inTiles(t, many, shared).tiledWeights; w.parts > 0 || w.units() < 2 {
		t.Errorf("%+v: %d parts of %d units", shared, w.parts, w.units())
	}
	shapes := timelyShapes()
	if !raceDetector { // minutes in Go; TestTilesThatShareSums has it watched where there is AMX
		shapes = append(shapes, shared)
	}
	for i, f := range shapes {
		r := rand.New(rand.NewPCG(uint64(i), 22))
		x := random(r, f.Batch*f.Height*f.Width*f.Channels)
		w, b := random(r, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Filters)
		var dy []float32
		first := runConv2D(t, inTiles(t, one, f), f, x, w, b, func(n int) []float32 {
			dy = random(r, n)
			return dy
		})
		second := runConv2D(t, inTiles(t, many, f), f, x, w, b, func(int) []float32 {
			return slices.Clone(dy)
		})
		same(t, fmt.Sprintf("%+v: y", f), second.y, first.y)
		same(t, fmt.Sprintf("%+v: dx", f), second.dx, first.dx)
		same(t, fmt.Sprintf("%+v: dw", f), second.dw, first.dw)
		same(t, fmt.Sprintf("%+v: db", f), second.db, first.db)
	}
}

// TestTilesNormaliseAsTheyRead: a plan in tiles takes up the normalisations next to it.
func TestTilesNormaliseAsTheyRead(t *testing.T) {
	engine := tilesEngine(t, 3)
	for i, f := range timelyShapes() {
		if f.ReLU {
			continue
		}
		testNormalisesAsItReads(t, engine, i, f, func() *Conv2D { return inTiles(t, engine, f) })
	}
}

// TestTilesMeasure: a plan in tiles takes the sums of what it stores, image by image and, where an
// item is a part of one, at the end.
func TestTilesMeasure(t *testing.T) {
	parts := 0
	for i, f := range timelyShapes() {
		if f.ReLU {
			continue
		}
		testMeasuredByConvolution(t, i, f, func(threads int) (Engine, *Conv2D) {
			engine := tilesEngine(t, threads)
			c := inTiles(t, engine, f)
			if c.tiled.bands > 1 && c.tiledInput.bands > 1 {
				parts++
			}
			return engine, c
		})
	}
	if parts == 0 && !testing.Short() {
		t.Error("no item is a part of an image")
	}
}

// TestTilesThatShareSums: where there are many weights, threads share their sums, which groups of
// images are added to.
func TestTilesThatShareSums(t *testing.T) {
	cpu := newEngine(t, "", 1)
	cpu.BF16 = new(BF16)
	if err := cpu.CheckBF16(); err != nil {
		t.Skip("so many products take minutes in Go:", err)
	}
	for i, f := range []Conv2DConfig{
		{Batch: 40, Height: 4, Width: 5, Channels: 512, Filters: 512, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 1, StrideWidth: 1, PaddingHeight: 1, PaddingWidth: 1},
		{Batch: 9, Height: 29, Width: 28, Channels: 256, Filters: 288, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 2, StrideWidth: 2, PaddingHeight: 1, PaddingWidth: 1},
	} {
		r := rand.New(rand.NewPCG(uint64(i), 26))
		x := rounded(random(r, f.Batch*f.Height*f.Width*f.Channels))
		w := make([]float32, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels)
		var first convolutionTensors
		for _, threads := range []int{1, 2, 5} {
			c := inTiles(t, tilesEngine(t, threads), f)
			if c.tiledWeights.parts > 0 || c.tiledWeights.units() <= c.tiledWeights.group {
				t.Errorf("%+v: %d parts, %d units in groups of %d", f, c.tiledWeights.parts,
					c.tiledWeights.units(), c.tiledWeights.group)
			}
			got := runConv2D(t, c, f, x, w, make([]float32, f.Filters), func(n int) []float32 {
				return rounded(random(rand.New(rand.NewPCG(uint64(i), 27)), n))
			})
			if threads == 1 {
				first = got
				sampleWeightsGradient(t, c, f, x, got)
				continue
			}
			same(t, fmt.Sprintf("%+v: dw on %d threads", f, threads), got.dw, first.dw)
		}
	}
}

// sampleWeightsGradient holds some of dw against their sums in float64: the reference takes minutes
// for all.
func sampleWeightsGradient(t *testing.T, c *Conv2D, f Conv2DConfig, x []float32,
	got convolutionTensors) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 28))
	for range 300 {
		o, u, v, channel := r.IntN(f.Filters), r.IntN(f.KernelHeight), r.IntN(f.KernelWidth),
			r.IntN(f.Channels)
		sum := 0.0
		for at := range f.Batch * c.convHeight * c.convWidth {
			n, i, j := at/(c.convHeight*c.convWidth), at/c.convWidth%c.convHeight, at%c.convWidth
			h, w := i*f.StrideHeight+u-f.PaddingHeight, j*f.StrideWidth+v-f.PaddingWidth
			if h >= 0 && h < f.Height && w >= 0 && w < f.Width {
				sum += float64(got.dy[at*f.Filters+o]) *
					float64(x[((n*f.Height+h)*f.Width+w)*f.Channels+channel])
			}
		}
		dw := got.dw[((o*f.KernelHeight+u)*f.KernelWidth+v)*f.Channels+channel]
		near(t, fmt.Sprintf("%+v: dw[%d][%d][%d][%d]", f, o, u, v, channel), []float32{dw},
			[]float32{float32(sum)}, f.Batch*c.convHeight*c.convWidth)
	}
}

// TestTilesOfAnyBatch: what an image gives does not hang on how many are computed with it.
func TestTilesOfAnyBatch(t *testing.T) {
	batches := []int{1, 2, 3, 5, 8, 12, 16, 17, 32, 33}
	if raceDetector { // the products in Go take minutes with it
		batches = []int{1, 2, 17}
	}
	most := batches[len(batches)-1]
	for _, f := range []Conv2DConfig{
		{Height: 4, Width: 4, Channels: 256, Filters: 64, KernelHeight: 1, KernelWidth: 1},
		{Height: 3, Width: 5, Channels: 96, Filters: 48, KernelHeight: 1, KernelWidth: 1, ReLU: true},
		{Height: 6, Width: 6, Channels: 64, Filters: 32, KernelHeight: 3, KernelWidth: 3,
			PaddingHeight: 1, PaddingWidth: 1},
	} {
		f.StrideHeight, f.StrideWidth = 1, 1
		f.FilteredGradients = !f.ReLU
		r := rand.New(rand.NewPCG(uint64(f.Channels), 25))
		x := random(r, most*f.Height*f.Width*f.Channels)
		w := random(r, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels)
		b, dy := random(r, f.Filters), random(r, most*f.Height*f.Width*f.Filters)
		eachTiles(t, func(t *testing.T, engine Engine) {
			var first convolutionTensors
			for _, f.Batch = range batches {
				c := inTiles(t, engine, f)
				got := runConv2D(t, c, f, x[:c.sizeX()], w, b,
					func(n int) []float32 { return slices.Clone(dy[:n]) })
				if f.Batch == 1 {
					first = got
					continue
				}
				same(t, fmt.Sprintf("%+v: y", f), got.y[:len(first.y)], first.y)
				same(t, fmt.Sprintf("%+v: dx", f), got.dx[:len(first.dx)], first.dx)
			}
		})
	}
}

// TestRounding holds the sets' rounding against a search for the nearest bfloat16.
func TestRounding(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 23))
	values := []float32{0, float32(math.Copysign(0, -1)), 1, -1, math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), nan32,
		math.Float32frombits(0x3f808000), math.Float32frombits(0x3f818000),
		math.Float32frombits(0x3f808001),
		math.Float32frombits(0x7f800001)}
	for len(values) < 1000 {
		values = append(values, math.Float32frombits(r.Uint32()))
	}
	for _, name := range Available() {
		set := newEngine(t, name, 1).Set
		got := make([]uint16, len(values))
		set.round(got, 0, values, 0, len(values), 1)
		pairs := make([]uint32, len(values))
		set.pairUp(pairs, len(values)/2, values, len(values)/2, values[1:], 0, len(values)/2, 2)
		for i, v := range values {
			high := values[1+i%(len(values)/2)]
			for j, p := range []struct {
				v float32
				b uint16
			}{{v, got[i]}, {v, uint16(pairs[i])}, {high, uint16(pairs[i] >> 16)}} {
				if !nearest16(p.v, p.b) {
					t.Fatalf("%s: %d: %g (%08x) is rounded to %04x", name, j, p.v, math.Float32bits(p.v), p.b)
				}
			}
		}
	}
}

// nearest16 reports whether b is the bfloat16 nearest to v.
func nearest16(v float32, b uint16) bool {
	of := func(b uint16) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }
	if v != v {
		return math.IsNaN(of(b))
	}
	if math.IsInf(float64(v), 0) {
		return of(b) == float64(v)
	}
	value := func(b uint16) float64 {
		if x := of(b); math.IsInf(x, 0) {
			return math.Copysign(math.Ldexp(1, 128), x) // what the next number would be
		} else {
			return x
		}
	}
	off := math.Abs(value(b) - float64(v))
	for _, other := range []uint16{b - 1, b + 1} {
		if x := value(other); math.IsNaN(x) || math.Signbit(x) != math.Signbit(value(b)) {
			continue
		} else if d := math.Abs(x - float64(v)); d < off || d == off && b&1 == 1 {
			return false
		}
	}
	return math.Signbit(float64(v)) == math.Signbit(value(b))
}

func TestTileArgumentLayout(t *testing.T) {
	var a tileArgs
	for _, f := range []struct {
		name      string
		got, want uintptr
	}{
		{"AOffsets", unsafe.Offsetof(a.AOffsets), 8}, {"ARow", unsafe.Offsetof(a.ARow), 16},
		{"C", unsafe.Offsetof(a.C), 24}, {"COffsets", unsafe.Offsetof(a.COffsets), 32},
		{"CRow", unsafe.Offsetof(a.CRow), 40}, {"Tiles", unsafe.Offsetof(a.Tiles), 48},
		{"Runs", unsafe.Offsetof(a.Runs), 56}, {"Chunks", unsafe.Offsetof(a.Chunks), 64},
		{"AJump", unsafe.Offsetof(a.AJump), 72}, {"B", unsafe.Offsetof(a.B), 80},
		{"Init", unsafe.Offsetof(a.Init), 88}, {"Config", unsafe.Offsetof(a.Config), 96},
		{"Columns", unsafe.Offsetof(a.Columns), 104}, {"BTile", unsafe.Offsetof(a.BTile), 112},
		{"tileConfig", unsafe.Sizeof(tileConfig{}), 64}, {"rows", unsafe.Offsetof(tileConfig{}.rows), 48},
	} {
		if f.got != f.want {
			t.Errorf("%s is at %d, the assembly has it at %d", f.name, f.got, f.want)
		}
	}
}
