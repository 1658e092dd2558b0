package kernel

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// someZero returns random numbers of which that share is not 0.
func someZero(r *rand.Rand, n int, density float64) []float32 {
	values := random(r, n)
	for i := range values {
		if r.Float64() > density {
			values[i] = 0
		}
	}
	return values
}

// layerPlan is what plans of layers with weights have in common.
type layerPlan interface {
	Forward(y, x, w, b []float32) error
	BackwardInput(dx, dy, y, w []float32) error
}

// sameInShares holds a plan for a batch against one for an eighth of it, eight times.
func sameInShares(t *testing.T, name string, whole, part layerPlan, x, dy, w, b []float32) {
	t.Helper()
	const shares = 8
	of := func(values []float32, k int) []float32 {
		n := len(values) / shares
		return values[k*n : (k+1)*n]
	}
	y, wantY := make([]float32, len(dy)), make([]float32, len(dy))
	dx, wantX := make([]float32, len(x)), make([]float32, len(x))
	for k := range shares {
		must(t, part.Forward(of(wantY, k), of(x, k), w, b))
		must(t, part.BackwardInput(of(wantX, k), of(dy, k), of(wantY, k), w))
	}
	must(t, whole.Forward(y, x, w, b))
	must(t, whole.BackwardInput(dx, dy, y, w))
	same(t, name+": y", y, wantY)
	same(t, name+": dx", dx, wantX)
}

// A convolution gives each share of a batch the bits that it has in a batch of its own, whatever
// way it takes.
func TestConvolutionsInShares(t *testing.T) {
	rounds := 24
	if testing.Short() {
		rounds = 6
	}
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(1, 2))
		for range rounds {
			kernel := []int{1, 3, 5}[r.IntN(3)]
			channels := []int{3, 16, 32, 144}
			f := Conv2DConfig{Batch: 32, Height: 4 + r.IntN(8), Width: 4 + r.IntN(8),
				Channels: channels[r.IntN(4)], Filters: channels[r.IntN(4)] + r.IntN(2),
				KernelHeight: kernel, KernelWidth: kernel, StrideHeight: 1, StrideWidth: 1,
				PaddingHeight: kernel / 2, PaddingWidth: kernel / 2}
			switch r.IntN(4) {
			case 0:
				f.FilteredGradients = true
			case 1:
				f.ReLU = true
			case 2:
				f.ReLU = true
				f.MaxPool = &Window{Height: 2, Width: 2, StrideHeight: 2, StrideWidth: 2}
			case 3:
				f.StrideHeight, f.StrideWidth = 2, 2
			}
			whole, part, err := NewConv2DOfShares(engine, f, 8)
			must(t, err)
			name := fmt.Sprintf("%+v", f)
			height, width := whole.Output()
			x := someZero(r, f.Batch*f.Height*f.Width*f.Channels, 0.6)
			dy := someZero(r, f.Batch*height*width*f.Filters, 0.5)
			w, b := random(r, f.Filters*kernel*kernel*f.Channels), random(r, f.Filters)
			sameInShares(t, name, whole, part, x, dy, w, b)
		}
	})
}

// A dense layer does so by the plan of a share, which decides whether zeros are left out.
func TestDenseLayersInShares(t *testing.T) {
	batches := []int{256, 64}
	if testing.Short() {
		batches = batches[:1]
	}
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, batch := range batches {
			for _, size := range [][2]int{{400, 500}, {800, 84}, {256, 96}, {784, 128}, {40, 10}} {
				for _, density := range []float64{0.1, 0.4, 1} {
					in, out := size[0], size[1]
					relu := density < 1
					whole, part, err := NewDenseOfShares(engine, DenseConfig{batch, in, out, relu}, 8)
					must(t, err)
					x, dy := someZero(r, batch*in, density), someZero(r, batch*out, density)
					sameInShares(t, fmt.Sprint(batch, size, density), whole, part, x, dy,
						random(r, in*out), random(r, out))
				}
			}
		}
	})
}

// A batch that is no equal shares is an error.
func TestUnequalShares(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	conv := Conv2DConfig{Batch: 6, Height: 4, Width: 4, Channels: 2, Filters: 2,
		KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1}
	for name, err := range map[string]error{
		"convolution": third(NewConv2DOfShares(engine, conv, 4)),
		"none":        third(NewConv2DOfShares(engine, conv, 0)),
		"grouped": third(NewGroupedConv2DOfShares(engine, GroupedConv2DConfig{
			Conv2DConfig: conv, Groups: 2, DilationHeight: 1, DilationWidth: 1}, 4)),
		"depthwise": third(NewDepthwiseOfShares(engine, DepthwiseConfig{
			Batch: 6, Height: 4, Width: 4, Channels: 2, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 1, StrideWidth: 1, DilationHeight: 1, DilationWidth: 1}, 4)),
		"dense": third(NewDenseOfShares(engine, DenseConfig{6, 3, 2, false}, 4)),
	} {
		if err == nil || !strings.Contains(err.Error(), "equal shares") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func third[P any](_, _ P, err error) error { return err }
