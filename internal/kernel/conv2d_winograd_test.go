package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Where Winograd's minimal filtering applies, TestConv2D and its like run it; this says where.
func TestWinogradApplies(t *testing.T) {
	base := Conv2DConfig{Batch: 2, Height: 12, Width: 12, Channels: 32, Filters: 64, KernelHeight: 5,
		KernelWidth: 5, StrideHeight: 1, StrideWidth: 1}
	for _, test := range []struct {
		name   string
		change func(f *Conv2DConfig)
		want   bool
	}{
		{"5×5", func(*Conv2DConfig) {}, true},
		{"3×3, padded", func(f *Conv2DConfig) {
			f.KernelHeight, f.KernelWidth, f.PaddingHeight, f.PaddingWidth = 3, 3, 1, 1
		}, true},
		{"4×4, pooled", func(f *Conv2DConfig) {
			f.KernelHeight, f.KernelWidth, f.MaxPool = 4, 4, window(2, 2, 2, 2, 0, 0)
		}, true},
		{"direct", func(f *Conv2DConfig) { f.Direct = true }, false},
		{"stride", func(f *Conv2DConfig) { f.StrideWidth = 2 }, false},
		{"oblong kernel", func(f *Conv2DConfig) { f.KernelWidth = 3 }, false},
		{"7×7", func(f *Conv2DConfig) { f.KernelHeight, f.KernelWidth = 7, 7 }, false},
		{"few channels", func(f *Conv2DConfig) { f.Channels = 8 }, false},
		{"channels that are no whole vectors", func(f *Conv2DConfig) { f.Channels = 33 }, false},
		{"filters that are no whole vectors", func(f *Conv2DConfig) { f.Filters = 65 }, false},
		{"output smaller than a tile", func(f *Conv2DConfig) { f.Height = 5 }, false},
		{"large image", func(f *Conv2DConfig) { f.Height, f.Width = 100, 100 }, false},
	} {
		for _, set := range Available() {
			f := base
			test.change(&f)
			c, err := NewConv2D(newEngine(t, set, 1), f)
			must(t, err)
			if got := c.winograd != nil; got != test.want {
				t.Errorf("%s, %s: applies: %v, want %v", test.name, set, got, test.want)
			}
		}
	}
}

// What is not finite, or becomes so in a transform, is computed directly: the same bits as without
// Winograd.
func TestWinogradLeavesTheInfiniteToTheDirectSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		f := Conv2DConfig{Batch: 5, Height: 8, Width: 9, Channels: 16, Filters: 32, KernelHeight: 3,
			KernelWidth: 3, StrideHeight: 1, StrideWidth: 1, ReLU: true}
		direct := f
		direct.Direct = true
		for name, plant := range map[string]func(x, w []float32){
			"infinite pixel":   func(x, _ []float32) { x[500] = float32(math.Inf(1)) },
			"NaN weight":       func(_, w []float32) { w[77] = float32(math.NaN()) },
			"overflowing sums": func(x, _ []float32) { x[300] = math.MaxFloat32 / 2 },
		} {
			r := rand.New(rand.NewPCG(4, 4))
			x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
				f.Filters*9*f.Channels), random(r, f.Filters)
			plant(x, w)
			var y [2][]float32
			before := engine.Pool.again.Load()
			for i, config := range []Conv2DConfig{f, direct} {
				c, err := NewConv2D(engine, config)
				must(t, err)
				y[i] = make([]float32, c.sizeY())
				must(t, c.Forward(y[i], x, w, b))
			}
			same(t, name, y[0], y[1])
			if again := engine.Pool.again.Load() - before; again != 1 {
				t.Errorf("%s: computed again %d times", name, again)
			}
		}
	})
}

// The errors of both ways, against sums in float64: Winograd's are a few times larger, and both are
// far below the values.
func TestWinogradIsNearlyAsExact(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for kernel := winogradSmallest; kernel <= winogradLargest; kernel++ {
			f := Conv2DConfig{Batch: 3, Height: 12, Width: 11, Channels: 32, Filters: 32,
				KernelHeight: kernel, KernelWidth: kernel, StrideHeight: 1, StrideWidth: 1}
			r := rand.New(rand.NewPCG(uint64(kernel), 4))
			x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
				f.Filters*kernel*kernel*f.Channels), random(r, f.Filters)
			var errors [2]float64
			for i, direct := range []bool{false, true} {
				f.Direct = direct
				c, err := NewConv2D(engine, f)
				must(t, err)
				y := make([]float32, c.sizeY())
				must(t, c.Forward(y, x, w, b))
				want := referenceConvolution(f, x, w, b, y).y
				for j := range y {
					errors[i] += math.Pow(float64(y[j])-float64(want[j]), 2) / float64(len(y))
				}
			}
			if ratio := math.Sqrt(errors[0] / errors[1]); !(ratio < 10) {
				t.Errorf("%d×%d: the error is %.1f times the direct sum's", kernel, kernel, ratio)
			} else {
				t.Logf("%d×%d: the error is %.1f times the direct sum's (root of mean squares %.1e and %.1e)",
					kernel, kernel, ratio, math.Sqrt(errors[0]), math.Sqrt(errors[1]))
			}
		}
	})
}

// The input's gradient leaves what is not finite to the direct sum, too: one NaN spoils what it
// reaches and no more.
func TestWinogradInputLeavesTheInfiniteToTheDirectSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		f := Conv2DConfig{
			Batch: 3, Height: 9, Width: 12, Channels: 16, Filters: 32, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 1,
			StrideWidth:  1, PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: true,
		}
		c, err := NewConv2D(engine, f)
		must(t, err)
		if c.filtered == nil {
			t.Fatal("the gradient is not filtered")
		}
		r := rand.New(rand.NewPCG(4, 5))
		x, w, dx := random(r, c.sizeX()), random(r, f.Filters*c.depth), make([]float32, c.sizeX())
		for name, value := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(-1),
			"none": 1} {
			dy := random(r, c.sizeY())
			dy[2000] = float32(value)
			before := engine.Pool.again.Load()
			must(t, c.BackwardInput(dx, dy, nil, w))
			if again := engine.Pool.again.Load() > before; again != (name != "none") {
				t.Errorf("%s: computed again: %v", name, again)
			}
			want := referenceConvolution(f, x, w, make([]float32, f.Filters), dy).dx
			near(t, name, dx, want, f.KernelHeight*f.KernelWidth*f.Filters)
		}
	})
}

// A small batch, whose weights are transformed panel by panel, gives the bits that the same images
// have in a large one.
func TestWinogradByPanelGivesTheSameBits(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		small := Conv2DConfig{
			Batch: 3, Height: 8, Width: 9, Channels: 144, Filters: 144, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 1,
			StrideWidth:  1, PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: true,
		}
		large := small
		large.Batch = 25
		r := rand.New(rand.NewPCG(8, 5))
		images := large.Height * large.Width * large.Channels // of one, and its gradients, too
		x, dy := random(r, large.Batch*images), random(r, large.Batch*images)
		w, b := random(r, large.Filters*9*large.Channels), random(r, large.Filters)
		var y, dx [2][]float32
		for i, f := range []Conv2DConfig{small, large} {
			c, err := NewConv2D(engine, f)
			must(t, err)
			if want := i == 0; c.winograd.byPanel != want || c.filtered.plan.winograd.byPanel != want {
				t.Fatalf("batch %d: panel by panel: %v", f.Batch, c.winograd.byPanel)
			}
			y[i], dx[i] = make([]float32, f.Batch*images), make([]float32, f.Batch*images)
			must(t, c.Forward(y[i], x[:f.Batch*images], w, b))
			must(t, c.BackwardInput(dx[i], dy[:f.Batch*images], nil, w))
		}
		same(t, "y", y[0], y[1][:len(y[0])])
		same(t, "dx", dx[0], dx[1][:len(dx[0])])
	})
}
