package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// filteredWeights are shapes of which the weights' gradient is computed by Winograd's minimal
// filtering: odd maps, all paddings that are less than the kernel, blocks of channels and filters
// that are not full, one image and many.
func filteredWeights() []Conv2DConfig {
	square := func(batch, height, width, channels, filters, kernel, padding int) Conv2DConfig {
		return Conv2DConfig{
			Batch: batch, Height: height, Width: width, Channels: channels, Filters: filters,
			KernelHeight: kernel, KernelWidth: kernel, StrideHeight: 1, StrideWidth: 1,
			PaddingHeight: padding, PaddingWidth: padding, FilteredGradients: true,
		}
	}
	oblong := square(3, 14, 11, 16, 32, 3, 0)
	oblong.PaddingWidth, oblong.ExtraHeight, oblong.ExtraWidth = 2, 1, 2
	return []Conv2DConfig{
		square(4, 8, 8, 16, 16, 3, 1), square(5, 9, 13, 32, 16, 3, 0), square(3, 11, 10, 16, 48, 3, 2),
		oblong,
		square(9, 8, 7, 80, 16, 3, 1), square(9, 8, 8, 16, 144, 3, 1), square(2, 21, 14, 80, 80, 3, 1),
		square(4, 12, 10, 32, 32, 4, 2), square(4, 11, 9, 16, 32, 5, 2), square(4, 13, 8, 32, 16, 5, 0),
		square(5, 9, 9, 16, 16, 4, 3),
		square(1, 32, 32, 16, 16, 3, 1), square(257, 8, 8, 16, 16, 3, 1), square(33, 4, 4, 64, 64, 3, 1),
	}
}

// weightsGradient returns dw of a new plan.
func weightsGradient(t *testing.T, engine Engine, f Conv2DConfig, x, dy []float32) []float32 {
	t.Helper()
	c, err := NewConv2D(engine, f)
	must(t, err)
	if got := c.filteredWeights != nil; got != f.FilteredGradients {
		t.Fatalf("%+v: filtered: %v", f, got)
	}
	dw := make([]float32, f.Filters*c.depth)
	for range 2 { // the second time finds the scratch memory used
		must(t, c.BackwardParameters(dw, nil, dy, nil, x))
	}
	return dw
}

// tensors returns x and dy of a shape.
func filteredTensors(t *testing.T, f Conv2DConfig, seed uint64) (x, dy []float32) {
	t.Helper()
	c, err := NewConv2D(newEngine(t, "portable", 1), f)
	must(t, err)
	r := rand.New(rand.NewPCG(seed, 12))
	return random(r, c.sizeX()), random(r, c.sizeY())
}

func TestWinogradWeights(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range filteredWeights() {
			x, dy := filteredTensors(t, f, uint64(i))
			got := weightsGradient(t, engine, f, x, dy)
			want := referenceConvolution(f, x, make([]float32, len(got)), make([]float32, f.Filters), dy).dw
			near(t, fmt.Sprintf("%+v: dw", f), got, want, len(dy)/f.Filters)
		}
	})
}

func TestWinogradWeightsApply(t *testing.T) {
	base := Conv2DConfig{
		Batch: 32, Height: 16, Width: 16, Channels: 32, Filters: 64, KernelHeight: 3, KernelWidth: 3,
		StrideHeight: 1, StrideWidth: 1, PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: true,
	}
	for _, test := range []struct {
		name   string
		change func(f *Conv2DConfig)
		want   bool
	}{
		{"3×3", func(*Conv2DConfig) {}, true},
		{"large maps", func(f *Conv2DConfig) { f.Batch, f.Height, f.Width = 1, 112, 112 }, true},
		{"not asked for", func(f *Conv2DConfig) { f.FilteredGradients = false }, false},
		{"direct", func(f *Conv2DConfig) { f.Direct = true }, false},
		{"ReLU", func(f *Conv2DConfig) { f.ReLU = true }, false},
		{"pooling", func(f *Conv2DConfig) { f.MaxPool = window(2, 2, 2, 2, 0, 0) }, false},
		{"stride", func(f *Conv2DConfig) { f.StrideHeight = 2 }, false},
		{"1×1", func(f *Conv2DConfig) { f.KernelHeight, f.KernelWidth = 1, 1 }, false},
		{"oblong kernel", func(f *Conv2DConfig) { f.KernelWidth = 5 }, false},
		{"few channels", func(f *Conv2DConfig) { f.Channels = 8 }, false},
		{"channels that are no whole vectors", func(f *Conv2DConfig) { f.Channels = 33 }, false},
		{"filters that are no whole vectors", func(f *Conv2DConfig) { f.Filters = 65 }, false},
		{"maps smaller than a tile", func(f *Conv2DConfig) { f.Height, f.Width = 3, 3 }, false},
		{"maps that tiles cover badly", func(f *Conv2DConfig) { f.Height, f.Width = 5, 5 }, false},
		{"few tiles", func(f *Conv2DConfig) { f.Batch, f.Height, f.Width = 1, 8, 8 }, false},
	} {
		for _, set := range Available() {
			f := base
			test.change(&f)
			c, err := NewConv2D(newEngine(t, set, 1), f)
			must(t, err)
			if got := c.filteredWeights != nil; got != test.want {
				t.Errorf("%s, %s: applies: %v, want %v", test.name, set, got, test.want)
			}
		}
	}
}

func TestWinogradWeightsSameBitsOnAnyThreads(t *testing.T) {
	for _, name := range Available() {
		for i, f := range filteredWeights() {
			if name == "portable" && f.Batch > 9 {
				continue // slow; the plans are the same for all sets
			}
			x, dy := filteredTensors(t, f, uint64(i))
			want := weightsGradient(t, newEngine(t, name, 1), f, x, dy)
			for _, threads := range []int{2, 3, 7} {
				same(t, fmt.Sprintf("%s, %d threads: dw", name, threads),
					weightsGradient(t, newEngine(t, name, threads), f, x, dy), want)
			}
		}
	}
}

// What is not finite, or becomes so in a transform, is computed directly: the same bits as without
// Winograd.
func TestWinogradWeightsLeaveTheInfiniteToTheDirectSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		f := filteredWeights()[1]
		direct := f
		direct.FilteredGradients = false
		for name, plant := range map[string]func(x, dy []float32){
			"infinite pixel":    func(x, _ []float32) { x[500] = float32(math.Inf(1)) },
			"last pixel is NaN": func(x, _ []float32) { x[len(x)-1] = float32(math.NaN()) },
			"NaN gradient":      func(_, dy []float32) { dy[77] = float32(math.NaN()) },
			"infinite gradient": func(_, dy []float32) { dy[len(dy)-1] = float32(math.Inf(-1)) },
			"overflowing sums":  func(x, _ []float32) { x[300] = math.MaxFloat32 / 2 },
		} {
			x, dy := filteredTensors(t, f, 3)
			plant(x, dy)
			same(t, name, weightsGradient(t, engine, f, x, dy), weightsGradient(t, engine, direct, x, dy))
		}
	})
}

// The errors of both ways, against sums in float64: Winograd's are a few times larger, and both are
// far below the values.
func TestWinogradWeightsAreNearlyAsExact(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for kernel := winogradSmallest; kernel <= winogradLargest; kernel++ {
			f := Conv2DConfig{
				Batch: 16, Height: 12, Width: 12, Channels: 32, Filters: 16, KernelHeight: kernel,
				KernelWidth:  kernel,
				StrideHeight: 1, StrideWidth: 1, PaddingHeight: kernel / 2, PaddingWidth: kernel / 2,
				FilteredGradients: true,
			}
			x, dy := filteredTensors(t, f, uint64(kernel))
			want := exactWeightsGradient(f, x, dy)
			var errors [2]float64
			for i, filtered := range []bool{true, false} {
				f.FilteredGradients = filtered
				for j, v := range weightsGradient(t, engine, f, x, dy) {
					errors[i] = max(errors[i], math.Abs(float64(v)-want[j]))
				}
			}
			t.Logf("%d×%d: largest error %.1e, the direct sum's %.1e", kernel, kernel, errors[0], errors[1])
			if ratio := errors[0] / errors[1]; !(ratio < 10) {
				t.Errorf("%d×%d: the error is %.1f times the direct sum's", kernel, kernel, ratio)
			}
		}
	})
}

// exactWeightsGradient is dw[o,u,v,c] = Σ dy[n,i,j,o]·x[n,i+u−p,j+v−p,c] in float64.
func exactWeightsGradient(f Conv2DConfig, x, dy []float32) []float64 {
	dw := make([]float64, f.Filters*f.KernelHeight*f.KernelWidth*f.Channels)
	height := f.Height + 2*f.PaddingHeight + 1 - f.KernelHeight
	width := f.Width + 2*f.PaddingWidth + 1 - f.KernelWidth
	for at := range f.Batch * height * width {
		n, i, j := at/(height*width), at/width%height, at%width
		for tap := range f.KernelHeight * f.KernelWidth {
			h, k := i+tap/f.KernelWidth-f.PaddingHeight, j+tap%f.KernelWidth-f.PaddingWidth
			if h < 0 || h >= f.Height || k < 0 || k >= f.Width {
				continue
			}
			pixel := x[((n*f.Height+h)*f.Width+k)*f.Channels:][:f.Channels]
			for o, g := range dy[at*f.Filters:][:f.Filters] {
				row := dw[(o*f.KernelHeight*f.KernelWidth+tap)*f.Channels:]
				for c, v := range pixel {
					row[c] += float64(g) * float64(v)
				}
			}
		}
	}
	return dw
}
