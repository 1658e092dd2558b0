package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// pointwise is a convolution of one tap whose gradients may be summed in another order.
func pointwise(batch, height, width, channels, filters int) Conv2DConfig {
	return Conv2DConfig{
		Batch: batch, Height: height, Width: width, Channels: channels, Filters: filters, KernelHeight: 1,
		KernelWidth:  1,
		StrideHeight: 1, StrideWidth: 1, FilteredGradients: true,
	}
}

// togetherShapes are shapes whose gradients are computed at once: convolutions of one tap that are
// cut into bands, across images and within them, and that cannot be, and others; where no position
// of x, or not every one, is seen.
func togetherShapes() []Conv2DConfig {
	unseen := pointwise(3, 1, 1, 5, 17)
	unseen.StrideHeight, unseen.StrideWidth, unseen.PaddingHeight, unseen.PaddingWidth = 2, 2, 1, 1
	strided := pointwise(5, 9, 8, 16, 33)
	strided.StrideHeight, strided.StrideWidth = 2, 3
	windows := pointwise(6, 7, 5, 17, 5)
	windows.KernelHeight, windows.KernelWidth, windows.StrideWidth, windows.PaddingHeight,
		windows.ExtraWidth = 3, 2, 2, 1, 1
	plain := pointwise(4, 9, 9, 24, 40)
	plain.FilteredGradients = false
	return []Conv2DConfig{
		pointwise(1, 1, 1, 1, 1), pointwise(257, 1, 1, 3, 2), pointwise(1, 53, 1, 16, 16),
		pointwise(3, 7, 7, 1, 48),
		pointwise(2, 28, 28, 65, 31), pointwise(6, 8, 12, 16, 32), pointwise(257, 2, 2, 17, 16),
		pointwise(2, 16, 16, 480, 80),
		pointwise(96, 1, 1, 5, 1), pointwise(1, 7, 67, 33, 64), unseen, strided, windows, plain,
	}
}

func TestBandsAreAllPositions(t *testing.T) {
	for _, test := range []struct {
		f    Conv2DConfig
		rows int // 0 if there are none
	}{
		{pointwise(8, 8, 8, 16, 16), 512}, {pointwise(8, 8, 8, 480, 80), 0},
		{pointwise(8, 7, 7, 480, 80), 56}, {
			pointwise(1, 53, 1, 16, 16), 53},
		{pointwise(1, 47, 1, 16, 16), 0}, {pointwise(1, 521, 1, 16, 16), 0},
		{pointwise(3, 7, 7, 1, 48), 147},
	} {
		got, ok := test.f.bands(1)
		if ok != (test.rows > 0) || ok && (got.Height != 1 || got.Width != test.rows) {
			t.Errorf("%+v: bands of %d×%d, %t; want 1×%d", test.f, got.Height, got.Width, ok, test.rows)
		}
		if got.Batch*got.Height*got.Width != test.f.Batch*test.f.Height*test.f.Width {
			t.Errorf("%+v: %d bands of %d×%d", test.f, got.Batch, got.Height, got.Width)
		}
	}
}

// All gradients at once are the reference's, and those one after the other, the same bits on any
// number of threads; and they allocate nothing.
func TestConv2DGradientsAtOnce(t *testing.T) {
	for _, name := range Available() {
		for i, f := range togetherShapes() {
			var first convolutionTensors
			for _, threads := range []int{1, 2, 3, 5, 7, 16} {
				if name == "portable" && threads > 3 {
					continue // slow; the plans are the same for all sets
				}
				r := rand.New(rand.NewPCG(uint64(i), 14))
				c, err := NewConv2D(newEngine(t, name, threads), f)
				must(t, err)
				got, apart := newConvolutionTensors(c), newConvolutionTensors(c)
				x, w, b := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r, f.Filters)
				got.dy = random(r, c.sizeY())
				run := func() {
					must(t, c.Forward(got.y, x, w, b))
					must(t, c.Backward(got.dx, got.dw, got.db, got.dy, nil, x, w))
				}
				run()
				if n := fewestAllocations(run); n != 0 {
					t.Errorf("%s, %d threads: a pass of %+v allocates %g times", name, threads, f, n)
				}
				must(t, c.BackwardParameters(apart.dw, apart.db, got.dy, nil, x))
				must(t, c.BackwardInput(apart.dx, got.dy, nil, w))
				alone := make([]float32, len(got.dw))
				must(t, c.Backward(slices.Clone(got.dx), alone, nil, got.dy, nil, x, w))
				label := fmt.Sprintf("%s, %d threads, %+v: ", name, threads, f)
				same(t, label+"dw apart", apart.dw, got.dw)
				same(t, label+"db apart", apart.db, got.db)
				same(t, label+"dx apart", apart.dx, got.dx)
				same(t, label+"dw without db", alone, got.dw)
				if threads == 1 {
					first = got
					want := referenceConvolution(f, x, w, b, got.dy)
					near(t, label+"y", got.y, want.y, c.depth)
					near(t, label+"dw", got.dw, want.dw, len(got.dy)/f.Filters)
					near(t, label+"db", got.db, want.db, len(got.dy)/f.Filters)
					near(t, label+"dx", got.dx, want.dx, f.KernelHeight*f.KernelWidth*f.Filters)
					continue
				}
				same(t, label+"y", got.y, first.y)
				same(t, label+"dw", got.dw, first.dw)
				same(t, label+"db", got.db, first.db)
				same(t, label+"dx", got.dx, first.dx)
			}
		}
	}
}
