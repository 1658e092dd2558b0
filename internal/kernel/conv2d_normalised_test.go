package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestConvolutionNormalisesAsItReads is testNormalisesAsItReads of plans as they come.
func TestConvolutionNormalisesAsItReads(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		several := append(slices.Clone(convolutions), // of which Winograd's groups of tiles are and are not whole images
			Conv2DConfig{9, 8, 8, 64, 64, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
			Conv2DConfig{3, 32, 30, 16, 32, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
			Conv2DConfig{2, 28, 28, 64, 128, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
			Conv2DConfig{2, 8, 8, 512, 512, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true}, // panel by panel
			Conv2DConfig{5, 12, 12, 80, 48, 3, 3, 1, 1, 0, 0, false, nil, false, false, 0, 0, true},
			// Of the images whose gradients a thread keeps, the input's are computed one by one.
			Conv2DConfig{17, 8, 8, 32, 48, 1, 1, 1, 1, 0, 0, false, nil, false, false, 0, 0, false},
			// A group begins with tiles that see padding alone.
			Conv2DConfig{5, 8, 8, 64, 64, 3, 3, 1, 1, 6, 6, false, nil, false, false, 0, 0, true})
		for i, f := range several {
			if f.ReLU || f.MaxPool != nil {
				continue
			}
			testNormalisesAsItReads(t, engine, i, f, func() *Conv2D {
				c, err := NewConv2D(engine, f)
				must(t, err)
				return c
			})
		}
	})
}

// testNormalisesAsItReads compares a convolution between two normalisations, which it takes up,
// with the three one after another: the same numbers are multiplied, so the bits are the same. seed
// decides whether they are of a batch.
func testNormalisesAsItReads(t *testing.T, engine Engine, seed int, f Conv2DConfig,
	plan func() *Conv2D) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(seed), 8))
	apart, together := plan(), plan()
	normalisation := func(channels, size int) *BatchNorm {
		n, err := NewBatchNorm(engine, BatchNormConfig{
			Rows: size / channels, Channels: channels, Epsilon: 1e-3, Batch: seed%2 == 0, Low: 0, High: 1.5,
		})
		must(t, err)
		return n
	}
	before, behind := normalisation(f.Channels, apart.sizeX()), normalisation(f.Filters,
		apart.sizeY())
	must(t, together.NormaliseBefore(before))
	must(t, together.NormaliseBehind(behind))

	x, w, b, dz := random(r, apart.sizeX()), random(r, f.Filters*apart.depth), random(r,
		f.Filters), random(r, apart.sizeY())
	scale, shift, variance := random(r, f.Channels), random(r, f.Channels), positive(r, f.Channels)
	scale2, shift2, variance2 := random(r, f.Filters), random(r, f.Filters), positive(r, f.Filters)
	must(t, before.Prepare(x, scale, shift, shift, variance))
	normal := make([]float32, len(x))
	must(t, before.Forward(normal, x, scale, shift, shift, variance))

	want, got := newConvolutionTensors(apart), newConvolutionTensors(apart)
	must(t, apart.Forward(want.y, normal, w, b))
	must(t, together.Forward(got.y, x, w, b))
	must(t, behind.Prepare(got.y, scale2, shift2, shift2, variance2))
	must(t, behind.Backward(want.dy, nil, nil, dz, want.y, scale2))
	if f.FilteredGradients {
		want.db, got.db = nil, nil
	}
	must(t, apart.Backward(want.dx, want.dw, want.db, want.dy, nil, normal, w))
	parts := slices.Clone(dz)
	must(t, together.Backward(got.dx, got.dw, got.db, dz, got.y, x, w))
	// Of frozen weights, and of an image that nobody asks for.
	inputAlone, parametersAlone := newConvolutionTensors(apart), newConvolutionTensors(apart)
	parametersAlone.db = parametersAlone.db[:len(want.db)]
	if want.db == nil {
		parametersAlone.db = nil
	}
	must(t, together.Backward(inputAlone.dx, nil, nil, slices.Clone(parts), got.y, x, w))
	must(t, together.Backward(nil, parametersAlone.dw, parametersAlone.db, parts, got.y, x, w))
	if !slices.Equal(parts, want.dy) {
		t.Errorf("%+v: dy is not the gradient of y", f)
	}
	for _, pair := range []struct {
		name      string
		got, want []float32
	}{
		{"y", got.y, want.y}, {"dw", got.dw, want.dw}, {"db", got.db, want.db}, {"dx", got.dx, want.dx},
		{"dx alone", inputAlone.dx, want.dx}, {"dw alone", parametersAlone.dw, want.dw},
		{"db alone", parametersAlone.db, want.db},
	} {
		if !slices.Equal(pair.got, pair.want) {
			t.Errorf("%+v: %s differs", f, pair.name)
		}
	}
}

func positive(r *rand.Rand, n int) []float32 {
	v := random(r, n)
	for i := range v {
		v[i] *= v[i]
	}
	return v
}

func newConvolutionTensors(c *Conv2D) convolutionTensors {
	return convolutionTensors{
		y: make([]float32, c.sizeY()), dy: make([]float32, c.sizeY()), dx: make([]float32, c.sizeX()),
		dw: make([]float32, c.config.Filters*c.depth), db: make([]float32, c.config.Filters),
	}
}

// TestNormalisationOfOtherSizeIsRefused: a plan that is next to another one's tensor would read
// past it.
func TestNormalisationOfOtherSizeIsRefused(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	c, err := NewConv2D(engine, Conv2DConfig{
		Batch: 2, Height: 4, Width: 4, Channels: 3, Filters: 5, KernelHeight: 3, KernelWidth: 3,
		StrideHeight: 1, StrideWidth: 1,
	})
	must(t, err)
	for _, shape := range [][2]int{{31, 3}, {33, 3}, {24, 4}, {8, 4}, {7, 5}} {
		n, err := NewBatchNorm(engine, BatchNormConfig{Rows: shape[0], Channels: shape[1], Epsilon: 1,
			Low: nan32, High: nan32})
		must(t, err)
		if c.NormaliseBefore(n) == nil || c.NormaliseBehind(n) == nil {
			t.Errorf("%v is taken", shape)
		}
	}
}
