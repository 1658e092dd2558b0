package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// eachEngine runs a test with every set that this machine has, on one thread and on three. Under the
// race detector, with which the portable set takes some thirty times as long, it is only on three.
func eachEngine(t *testing.T, test func(t *testing.T, engine Engine)) {
	t.Helper()
	counts := []int{1, 3}
	if raceDetector {
		counts = []int{3}
	}
	for _, name := range Available() {
		for _, threads := range counts {
			t.Run(fmt.Sprintf("%s-%d", name, threads), func(t *testing.T) {
				test(t, newEngine(t, name, threads))
			})
		}
	}
}

func newEngine(t testing.TB, set string, threads int) Engine {
	t.Helper()
	engine, err := NewEngine(set, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Pool.Close)
	return engine
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// near fails unless got and want agree to a float32 sum of that many terms of magnitude 1: errors
// of rounding grow with the square root of the number of terms, and 16 leaves room for the worst of
// many elements. NaN and infinities must be in the same places.
func near(t *testing.T, name string, got, want []float32, terms int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	tolerance := 16 * math.Sqrt(float64(terms)+1) / (1 << 24)
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if math.IsNaN(g) && math.IsNaN(w) || g == w {
			continue
		}
		if !(math.Abs(g-w) <= tolerance*(math.Sqrt(float64(terms)+1)+math.Abs(w))) {
			t.Fatalf("%s: element %d is %g, want %g (tolerance of a sum of %d terms)", name, i, g, w, terms)
		}
	}
}

func same(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g (%08x), want %g (%08x)", name, i, got[i],
				math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// channelsLast turns n×c×h×w into n×h×w×c.
func channelsLast(x []float32, n, c, h, w int) []float32 {
	y := make([]float32, len(x))
	for i := range y {
		ch, at := i%c, i/c
		y[i] = x[(at/(h*w)*c+ch)*h*w+at%(h*w)]
	}
	return y
}

// channelsFirst turns n×h×w×c into n×c×h×w.
func channelsFirst(x []float32, n, c, h, w int) []float32 {
	y := make([]float32, len(x))
	for i := range x {
		ch, at := i%c, i/c
		y[(at/(h*w)*c+ch)*h*w+at%(h*w)] = x[i]
	}
	return y
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestArgumentLayout(t *testing.T) {
	var p productArgs
	var s sparseArgs
	var o poolArgs
	var a averageArgs
	var g gatherArgs
	var w winogradArgs
	var sr sparseRowArgs
	var no normaliseArgs
	var d depthwiseArgs
	var af affineArgs
	var rw rowArgs
	var dg depthwiseGradientArgs
	var ro rowsArgs
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"product.AOffsets", unsafe.Offsetof(p.AOffsets), 8}, {"product.C", unsafe.Offsetof(p.C), 16},
		{"product.COffsets", unsafe.Offsetof(p.COffsets), 24}, {"product.B", unsafe.Offsetof(p.B), 32},
		{"product.Init", unsafe.Offsetof(p.Init), 40}, {"product.Mask", unsafe.Offsetof(p.Mask), 48},
		{"product.M", unsafe.Offsetof(p.M), 56}, {"product.Runs", unsafe.Offsetof(p.Runs), 64},
		{"product.Length", unsafe.Offsetof(p.Length), 72}, {"product.AStep", unsafe.Offsetof(p.AStep),
			80},
		{"product.AJump", unsafe.Offsetof(p.AJump), 88}, {"product.BStep", unsafe.Offsetof(p.BStep), 96},
		{"product.BJump", unsafe.Offsetof(p.BJump), 104}, {"product.Floor", unsafe.Offsetof(p.Floor),
			112},
		{"product.scratch", unsafe.Offsetof(p.scratch), 120},
		{"product.Groups", unsafe.Offsetof(p.Groups), 152},
		{"product.AGroupJump", unsafe.Offsetof(p.AGroupJump), 160},
		{"product.BGroupJump", unsafe.Offsetof(p.BGroupJump), 168},
		{"product.left", unsafe.Offsetof(p.left), 176},
		{"product.Ceiling", unsafe.Offsetof(p.Ceiling), 116},
		{"product.Add", unsafe.Offsetof(p.Add), 184}, {"product.Gate", unsafe.Offsetof(p.Gate), 192},
		{"product.Fetch", unsafe.Offsetof(p.Fetch), 200}, {"product.Panel", unsafe.Offsetof(p.Panel),
			208},
		{"product.FetchEnd", unsafe.Offsetof(p.FetchEnd), 216},
		{"product.FetchStep", unsafe.Offsetof(p.FetchStep), 224},
		{"sparse.Src", unsafe.Offsetof(s.Src), 8}, {"sparse.Buckets", unsafe.Offsetof(s.Buckets), 16},
		{"sparse.Count", unsafe.Offsetof(s.Count), 24}, {"sparse.Items", unsafe.Offsetof(s.Items), 32},
		{"sparse.DstRow", unsafe.Offsetof(s.DstRow), 40}, {"sparse.SrcRow", unsafe.Offsetof(s.SrcRow),
			48},
		{"sparse.Mask", unsafe.Offsetof(s.Mask), 56}, {"sparse.Shifts", unsafe.Offsetof(s.Shifts), 64},
		{"sparse.Pieces", unsafe.Offsetof(s.Pieces), 72}, {"bucket", unsafe.Sizeof(bucket{}), 16},
		{"item", unsafe.Sizeof(item{}), 8},
		{"sparseRow.CStep", unsafe.Offsetof(sr.CStep), 8}, {"sparseRow.B", unsafe.Offsetof(sr.B), 16},
		{"sparseRow.Lists", unsafe.Offsetof(sr.Lists), 24},
		{"sparseRow.Items", unsafe.Offsetof(sr.Items), 32}, {"sparseRow.Rows", unsafe.Offsetof(sr.Rows),
			40}, {"sparseRow.Start", unsafe.Offsetof(sr.Start), 48},
		{"sparseRow.Mask", unsafe.Offsetof(sr.Mask), 56}, {"sparseRow.Floor", unsafe.Offsetof(sr.Floor),
			64}, {"list", unsafe.Sizeof(list{}), 8},
		{"pool.Entries", unsafe.Offsetof(o.Entries), 8}, {"pool.Y", unsafe.Offsetof(o.Y), 16},
		{"pool.YStep", unsafe.Offsetof(o.YStep), 24},
		{"pool.Index", unsafe.Offsetof(o.Index), 32}, {"pool.IndexStep", unsafe.Offsetof(o.IndexStep),
			40},
		{"pool.Windows", unsafe.Offsetof(o.Windows), 48}, {"pool.Elements", unsafe.Offsetof(o.Elements),
			56},
		{"pool.Vectors", unsafe.Offsetof(o.Vectors), 64}, {"pool.Floor", unsafe.Offsetof(o.Floor), 72},
		{"average.Entries", unsafe.Offsetof(a.Entries), 8}, {"average.Y", unsafe.Offsetof(a.Y), 16},
		{"average.YStep", unsafe.Offsetof(a.YStep), 24},
		{"average.Windows", unsafe.Offsetof(a.Windows), 32},
		{"average.Elements", unsafe.Offsetof(a.Elements), 40},
		{"average.Vectors", unsafe.Offsetof(a.Vectors), 48}, {"average.Mask", unsafe.Offsetof(a.Mask),
			56}, {"average.Divisor", unsafe.Offsetof(a.Divisor), 64},
		{"gather.Windows", unsafe.Offsetof(g.Windows), 48}, {"gather.Base", unsafe.Offsetof(g.Base), 56},
		{"gather.Items", unsafe.Offsetof(g.Items), 64},
		{"gather.Cursors", unsafe.Offsetof(g.Cursors), 72}, {"gather.Sums", unsafe.Offsetof(g.Sums), 80},
		{"gather.scratch", unsafe.Offsetof(g.scratch), 88},
		{"winograd.SrcOffsets", unsafe.Offsetof(w.SrcOffsets), 8},
		{"winograd.SrcRow", unsafe.Offsetof(w.SrcRow), 16},
		{"winograd.SrcColumn", unsafe.Offsetof(w.SrcColumn), 24},
		{"winograd.Dst", unsafe.Offsetof(w.Dst), 32},
		{"winograd.DstOffsets", unsafe.Offsetof(w.DstOffsets), 40},
		{"winograd.DstRow", unsafe.Offsetof(w.DstRow), 48},
		{"winograd.DstColumn", unsafe.Offsetof(w.DstColumn), 56},
		{"winograd.Tiles", unsafe.Offsetof(w.Tiles), 64},
		{"winograd.Vectors", unsafe.Offsetof(w.Vectors), 72},
		{"winograd.Scratch", unsafe.Offsetof(w.Scratch), 80},
		{"winograd.Bias", unsafe.Offsetof(w.Bias), 88}, {"winograd.Check", unsafe.Offsetof(w.Check), 96},
		{"winograd.Floor", unsafe.Offsetof(w.Floor), 104}, {"winograd.left", unsafe.Offsetof(w.left),
			112},
		{"winograd.Inside", unsafe.Offsetof(w.Inside), 120}, {"winograd.Zeros", unsafe.Offsetof(w.Zeros),
			128},
		{"winograd.Add", unsafe.Offsetof(w.Add), 136},
		{"rows.ARow", unsafe.Offsetof(ro.ARow), 8}, {"rows.B", unsafe.Offsetof(ro.B), 16},
		{"rows.C", unsafe.Offsetof(ro.C), 24}, {"rows.CRow", unsafe.Offsetof(ro.CRow), 32},
		{"rows.M", unsafe.Offsetof(ro.M), 40}, {"rows.Length", unsafe.Offsetof(ro.Length), 48},
		{"rows.Add", unsafe.Offsetof(ro.Add), 56},
		{"adam.decayed", unsafe.Offsetof(adamConstants{}.decayed), 32},
		{"sgd.decayed", unsafe.Offsetof(sgdConstants{}.decayed), 16},
		{"normalise.Dy", unsafe.Offsetof(no.Dy), 16}, {"normalise.RowStep", unsafe.Offsetof(no.RowStep),
			24}, {"normalise.Rows", unsafe.Offsetof(no.Rows), 32},
		{"normalise.Vectors", unsafe.Offsetof(no.Vectors), 40},
		{"normalise.Table", unsafe.Offsetof(no.Table), 48}, {"normalise.Sums", unsafe.Offsetof(no.Sums),
			56},
		{"normalise.Low", unsafe.Offsetof(no.Low), 64}, {"normalise.High", unsafe.Offsetof(no.High), 68},
		{"normalise.scratch", unsafe.Offsetof(no.scratch), 72},
		{"normalise.Together", unsafe.Offsetof(no.Together), 104},
		{"normalise.counters", unsafe.Offsetof(no.counters), 112}, {"normalise", unsafe.Sizeof(no), 128},
		{"depthwise.XStep", unsafe.Offsetof(d.XStep), 8}, {"depthwise.W", unsafe.Offsetof(d.W), 16},
		{"depthwise.Taps", unsafe.Offsetof(d.Taps), 24},
		{"depthwise.Count", unsafe.Offsetof(d.Count), 32}, {"depthwise.Y", unsafe.Offsetof(d.Y), 40},
		{"depthwise.YStep", unsafe.Offsetof(d.YStep), 48},
		{"depthwise.Positions", unsafe.Offsetof(d.Positions), 56},
		{"depthwise.Vectors", unsafe.Offsetof(d.Vectors), 64},
		{"depthwise.Bias", unsafe.Offsetof(d.Bias), 72},
		{"depthwise.Low", unsafe.Offsetof(d.Low), 80}, {"depthwise.High", unsafe.Offsetof(d.High), 84},
		{"depthwise.Gate", unsafe.Offsetof(d.Gate), 88},
		{"depthwise.Fetch", unsafe.Offsetof(d.Fetch), 96},
		{"depthwise.FetchEnd", unsafe.Offsetof(d.FetchEnd), 104},
		{"depthwise.FetchEach", unsafe.Offsetof(d.FetchEach), 112},
		{"affine.Y", unsafe.Offsetof(af.Y), 8}, {"affine.XStep", unsafe.Offsetof(af.XStep), 16},
		{"affine.YStep", unsafe.Offsetof(af.YStep), 24},
		{"affine.Rows", unsafe.Offsetof(af.Rows), 32}, {"affine.Vectors", unsafe.Offsetof(af.Vectors),
			40}, {"affine.Scale", unsafe.Offsetof(af.Scale), 48},
		{"affine.Shift", unsafe.Offsetof(af.Shift), 56}, {"affine.Low", unsafe.Offsetof(af.Low), 64},
		{"affine.High", unsafe.Offsetof(af.High), 68},
		{"row.Depth", unsafe.Offsetof(rw.Depth), 8}, {"row.B", unsafe.Offsetof(rw.B), 16},
		{"row.Panel", unsafe.Offsetof(rw.Panel), 24},
		{"row.Bias", unsafe.Offsetof(rw.Bias), 32}, {"row.Y", unsafe.Offsetof(rw.Y), 40},
		{"row.Panels", unsafe.Offsetof(rw.Panels), 48},
		{"row.Floor", unsafe.Offsetof(rw.Floor), 56},
		{"depthwiseTap", unsafe.Sizeof(depthwiseTap{}), 16},
		{"depthwiseGradient.XStep", unsafe.Offsetof(dg.XStep), 8},
		{"depthwiseGradient.XRow", unsafe.Offsetof(dg.XRow), 16},
		{"depthwiseGradient.TapStep", unsafe.Offsetof(dg.TapStep), 24},
		{"depthwiseGradient.Taps", unsafe.Offsetof(dg.Taps), 32},
		{"depthwiseGradient.Dy", unsafe.Offsetof(dg.Dy), 40},
		{"depthwiseGradient.DyStep", unsafe.Offsetof(dg.DyStep), 48},
		{"depthwiseGradient.DyRow", unsafe.Offsetof(dg.DyRow), 56},
		{"depthwiseGradient.Rows", unsafe.Offsetof(dg.Rows), 64},
		{"depthwiseGradient.Positions", unsafe.Offsetof(dg.Positions), 72},
		{"depthwiseGradient.Vectors", unsafe.Offsetof(dg.Vectors), 80},
		{"depthwiseGradient.Dw", unsafe.Offsetof(dg.Dw), 88},
		{"depthwiseGradient.DwStep", unsafe.Offsetof(dg.DwStep), 96},
		{"depthwiseGradient.scratch", unsafe.Offsetof(dg.scratch), 104},
		{"depthwiseGradient.Fetch", unsafe.Offsetof(dg.Fetch), 128},
		{"depthwiseGradient.FetchEnd", unsafe.Offsetof(dg.FetchEnd), 136},
		{"rmsprop.decayed", unsafe.Offsetof(rmspropConstants{}.decayed), 24},
	} {
		if test.got != test.want {
			t.Errorf("%s is at %d, the assembly expects %d", test.name, test.got, test.want)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Setenv(EnvironmentVariable, "")
	best, err := Select("")
	must(t, err)
	if best.Name() != Available()[0] {
		t.Errorf("best set is %s, want %s", best.Name(), Available()[0])
	}
	t.Setenv(EnvironmentVariable, "portable")
	if s, err := Select(""); err != nil || s.Name() != "portable" {
		t.Errorf("%s=portable gives %v, %v", EnvironmentVariable, s, err)
	}
	t.Setenv(EnvironmentVariable, "sse9")
	if _, err := Select(""); err == nil {
		t.Error("an unknown set is no error")
	}
}

// fewestAllocations is how often f allocates in the best of some tries: the process's other
// goroutines may allocate meanwhile, and are counted, too.
func fewestAllocations(f func()) float64 {
	fewest := testing.AllocsPerRun(1, f)
	for range 5 {
		if fewest == 0 {
			break
		}
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}
