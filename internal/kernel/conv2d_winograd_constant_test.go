package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// constantShapes are convolutions that Winograd's filtering pays for in evaluation: of chunks that
// are whole and not, of parts for the threads, with narrow panels, and larger than training's.
func constantShapes() []Conv2DConfig {
	var shapes []Conv2DConfig
	for _, s := range []struct{ batch, height, width, channels, filters, kernel, padding int }{
		{1, 12, 12, 32, 64, 5, 2}, {1, 56, 50, 16, 48, 3, 1}, {9, 7, 8, 64, 32, 3, 1},
		{3, 14, 14, 128, 160, 3, 1}, {2, 30, 21, 32, 16, 4, 0}, {1, 7, 7, 32, 224, 3, 1},
		{1, 66, 70, 16, 16, 3, 0}, {5, 9, 11, 16, 16, 3, 1}, {17, 8, 8, 16, 96, 3, 1},
	} {
		shapes = append(shapes, Conv2DConfig{Batch: s.batch, Height: s.height, Width: s.width,
			Channels: s.channels, Filters: s.filters, KernelHeight: s.kernel, KernelWidth: s.kernel,
			StrideHeight: 1, StrideWidth: 1, PaddingHeight: s.padding, PaddingWidth: s.padding,
			ConstantWeights: true})
	}
	return shapes
}

// filteredPlan returns a plan that Winograd's filtering computes.
func filteredPlan(t *testing.T, engine Engine, f Conv2DConfig) *Conv2D {
	t.Helper()
	c, err := NewConv2D(engine, f)
	must(t, err)
	if c.winograd == nil {
		t.Fatalf("%+v: Winograd's filtering does not apply", f)
	}
	return c
}

// One image of a batch has the bits that it has alone, in training's plan and in those of
// evaluation: added to, rectified, among others, with weights that another plan transformed.
func TestWinogradOfConstantWeights(t *testing.T) {
	for i, f := range constantShapes() {
		eachEngine(t, func(t *testing.T, engine Engine) {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			c := filteredPlan(t, engine, f)
			x, w, b, z := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters),
				random(r, c.sizeY())
			training := f
			training.Batch, training.ConstantWeights = 1, false
			if f.Height*f.Width > 60*60 {
				training.ConstantWeights = true // there are more tiles than training takes
			}
			single := filteredPlan(t, engine, training)
			want := make([]float32, 0, c.sizeY())
			for image := range f.Batch {
				y := make([]float32, single.sizeY())
				must(t, single.Forward(y, x[image*c.sizeImage():][:c.sizeImage()], w, b))
				want = append(want, y...)
			}
			got, given := make([]float32, c.sizeY()), slices.Clone(w)
			for range 2 {
				must(t, c.Forward(got, x, given, b))
				same(t, "alone", got, want)
				clear(given) // it was promised to stay, and is not read again
			}
			if allocations := fewestAllocations(func() {
				must(t, c.Forward(got, x, given, b))
			}); allocations != 0 && engine.Set.Name() != "portable" { // whose tiles escape
				t.Errorf("%g allocations", allocations)
			}

			added := make([]float32, len(want))
			for k, v := range want {
				added[k] = max(v+z[k], 0)
			}
			other := filteredPlan(t, engine, f)
			other.Finish(Finish{Low: 0, High: nan32})
			among := f.Filters + 24
			must(t, other.Among(among))
			packed, err := filteredPlan(t, engine, othersOf(f)).Pack(w)
			must(t, err)
			if !other.Share(packed) {
				t.Fatal("the transformed weights are not shared")
			}
			wide, addend := random(r, len(want)/f.Filters*among), make([]float32, 0)
			for at := 0; at < len(z); at += f.Filters {
				addend = append(append(addend, z[at:at+f.Filters]...), make([]float32, 24)...)
			}
			expected := slices.Clone(wide)
			for at := range len(want) / f.Filters {
				copy(expected[at*among:], added[at*f.Filters:][:f.Filters])
			}
			must(t, other.ForwardAdd(wide[:other.spanY()], x, given, b, addend[:other.spanY()]))
			same(t, "added among others", wide, expected)
		})
	}
}

// No two items write the same position of a channel: which of two threads is the later one is
// nobody's choice.
func TestWinogradItemsLieApart(t *testing.T) {
	for _, f := range constantShapes() {
		eachEngine(t, func(t *testing.T, engine Engine) {
			w := filteredPlan(t, engine, f).winograd
			if w.cuts == nil {
				t.Fatal("the tiles are not cut")
			}
			last := len(w.cuts) - 1
			if all := w.images * w.tiles; w.cuts[last] != all || w.shared && w.images != f.Batch {
				t.Fatalf("%d of %d tiles in %d chunks", w.cuts[last], all, last)
			}
			writer := make(map[int64]int)
			for item := range last {
				for _, at := range w.output[w.cuts[item]:w.cuts[item+1]] {
					for i := range w.size * w.size {
						position := at + int64(4*f.Filters*(i/w.size*w.conv.convWidth+i%w.size))
						if other, ok := writer[position]; ok && other != item {
							t.Fatalf("%+v: items %d and %d write the same", f, other, item)
						}
						writer[position] = item
					}
				}
			}
			if len(writer) != w.images*w.conv.convHeight*w.conv.convWidth {
				t.Errorf("%d positions are written", len(writer))
			}
		})
	}
}

// What a call works in is within what FiltersConv2D says, on any number of threads: where these
// share the input each has products of its own part alone.
func TestWinogradOfConstantWeightsWorksInWhatItSays(t *testing.T) {
	for _, threads := range []int{1, 2, 8, 24} {
		for _, name := range Available() {
			for _, f := range append(constantShapes(), Conv2DConfig{Batch: 7, Height: 36, Width: 16,
				Channels: 64, Filters: 80, KernelHeight: 5, KernelWidth: 5, StrideHeight: 1, StrideWidth: 1,
				ConstantWeights: true}) {
				engine, err := NewEngine(name, threads) // whose pool has nothing yet
				must(t, err)
				w := filteredPlan(t, engine, f).winograd
				_, said, _ := FiltersConv2D(engine, f)
				memory := w.take()
				if got := 4 * len(memory); got > said {
					t.Errorf("%s, %d threads, %+v: %d bytes, %d are said", name, threads, f, got, said)
				}
				engine.Pool.Close()
			}
		}
	}
}

// othersOf is a configuration for another number of images.
func othersOf(f Conv2DConfig) Conv2DConfig {
	f.Batch += 2
	return f
}

// An image with what is not finite is computed directly, and none beside it.
func TestWinogradOfConstantWeightsLeavesOneImageToTheDirectSum(t *testing.T) {
	f := Conv2DConfig{Batch: 3, Height: 13, Width: 15, Channels: 16, Filters: 32, KernelHeight: 3,
		KernelWidth: 3, StrideHeight: 1, StrideWidth: 1, PaddingHeight: 1, PaddingWidth: 1,
		ConstantWeights: true}
	direct := f
	direct.Direct = true
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(4, 4))
		c := filteredPlan(t, engine, f)
		x, w, b, z := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters),
			random(r, c.sizeY())
		plain, err := NewConv2D(engine, direct)
		must(t, err)
		run := func(c *Conv2D) []float32 {
			y := make([]float32, c.sizeY())
			must(t, c.ForwardAdd(y, x, w, b, z))
			return y
		}
		want := run(c)
		x[c.sizeImage()+500] = float32(math.Inf(1))
		size := c.sizeY() / f.Batch
		copy(want[size:2*size], run(plain)[size:])
		for range 2 {
			same(t, "the second image", run(c), want)
		}
		alone, wanted := make([]float32, c.sizeY()), make([]float32, c.sizeY())
		must(t, c.Forward(alone, x, w, b))
		must(t, plain.Forward(wanted, x, w, b))
		same(t, "without what was added before", alone[size:2*size], wanted[size:2*size])
	})
}

// What pays does not depend on the batch; where it does not, and where results are gated or bounded
// from above, the plan is a Direct one to the bit.
func TestWinogradPays(t *testing.T) {
	base := Conv2DConfig{Batch: 4, Height: 14, Width: 14, Channels: 32, Filters: 64, KernelHeight: 3,
		KernelWidth: 3, StrideHeight: 1, StrideWidth: 1, PaddingHeight: 1, PaddingWidth: 1,
		ConstantWeights: true}
	for name, test := range map[string]struct {
		change func(f *Conv2DConfig)
		finish Finish
		want   bool
	}{
		"14×14":          {func(*Conv2DConfig) {}, NoFinish(), true},
		"7×7":            {func(f *Conv2DConfig) { f.Height, f.Width = 7, 7 }, NoFinish(), true},
		"one tile":       {func(f *Conv2DConfig) { f.Height, f.Width = 4, 4 }, NoFinish(), false},
		"tiles cut off":  {func(f *Conv2DConfig) { f.Height, f.Width = 5, 5 }, NoFinish(), false},
		"rectified":      {func(*Conv2DConfig) {}, Finish{Low: 0, High: nan32}, true},
		"bounded by six": {func(*Conv2DConfig) {}, Finish{Low: 0, High: 6}, false},
		"gated":          {func(*Conv2DConfig) {}, Finish{nan32, nan32, &Gate{1. / 6, 0.5}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine Engine) {
				f := base
				test.change(&f)
				var plans [2]*Conv2D
				var y [2][]float32
				for i := range plans {
					f.Direct = i == 1
					c, err := NewConv2D(engine, f)
					must(t, err)
					c.Finish(test.finish)
					r := rand.New(rand.NewPCG(2, 3))
					x, w, b := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters)
					plans[i], y[i] = c, make([]float32, c.sizeY())
					must(t, c.Forward(y[i], x, w, b))
				}
				if got := plans[0].winograd != nil; got != test.want {
					t.Fatalf("filtered: %v, want %v", got, test.want)
				}
				if !test.want {
					same(t, "the direct sum", y[0], y[1])
				}
				packed, err := plans[1].Pack(random(rand.New(rand.NewPCG(1, 1)), f.Filters*plans[1].depth))
				must(t, err)
				if shared := plans[0].Share(packed); shared == test.want {
					t.Errorf("weights packed for the direct sum are shared: %v", shared)
				}
			})
		})
	}
}

// Of few tiles the transformed weights take longer to come from memory than the direct sum takes,
// whatever the batch.
func TestWinogradOfConstantWeightsPays(t *testing.T) {
	for _, f := range []struct {
		side, channels, filters int
		pays                    bool
	}{
		{14, 256, 256, true}, {7, 128, 32, true}, {7, 512, 512, false}, {8, 256, 256, false},
		{4, 64, 64, false},
	} {
		for _, batch := range []int{1, 8} {
			plan := Conv2DConfig{Batch: batch, Height: f.side, Width: f.side, Channels: f.channels,
				Filters: f.filters, KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1,
				PaddingHeight: 1, PaddingWidth: 1, ConstantWeights: true}
			if _, _, pays := FiltersConv2D(newEngine(t, "", 1), plan); pays != f.pays {
				t.Errorf("%+v: filtered %v, want %v", plan, pays, f.pays)
			}
		}
	}
}
