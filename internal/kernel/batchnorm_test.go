package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// referenceBatchNorm is the plan in float64, two passes over the values.
func referenceBatchNorm(f BatchNormConfig, x, weight, bias, mean, variance, dy []float32) (y, dx,
	dWeight, dBias []float32) {
	y, dx = make([]float32, len(x)), make([]float32, len(x))
	dWeight, dBias = make([]float32, f.Channels), make([]float32, f.Channels)
	m := float64(f.Rows)
	for c := range f.Channels {
		mu, sigma := float64(mean[c]), float64(variance[c])
		if f.Batch {
			mu, sigma = 0, 0
			for i := c; i < len(x); i += f.Channels {
				mu += float64(x[i]) / m
			}
			for i := c; i < len(x); i += f.Channels {
				sigma += (float64(x[i]) - mu) * (float64(x[i]) - mu) / m
			}
		}
		inverse := 1 / math.Sqrt(sigma+f.Epsilon)
		var sum, product float64
		passed := make([]float64, f.Rows)
		for r := range f.Rows {
			i := r*f.Channels + c
			normal := (float64(x[i]) - mu) * inverse
			v := normal*float64(weight[c]) + float64(bias[c])
			g := float64(dy[i])
			if v <= float64(f.Low) || v >= float64(f.High) {
				g = 0
			}
			if v < float64(f.Low) {
				v = float64(f.Low)
			}
			if v > float64(f.High) {
				v = float64(f.High)
			}
			y[i], passed[r] = float32(v), g
			sum += g
			product += g * normal
		}
		dWeight[c], dBias[c] = float32(product), float32(sum)
		for r, g := range passed {
			i := r*f.Channels + c
			if f.Batch {
				g -= sum/m + (float64(x[i])-mu)*inverse*product/m
			}
			dx[i] = float32(float64(weight[c]) * inverse * g)
		}
	}
	return y, dx, dWeight, dBias
}

func TestBatchNorm(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, shape := range [][2]int{{1, 1}, {2, 3}, {7, 16}, {64, 17}, {1000, 8}, {513, 24}, {301, 33},
			{40, 100}, {9, 1280}, {70000, 5}} {
			for _, clamp := range [][2]float32{{nan32, nan32}, {0, nan32}, {0, 0.5}} {
				for _, batch := range []bool{true, false} {
					f := BatchNormConfig{Rows: shape[0], Channels: shape[1], Epsilon: 1e-3, Batch: batch,
						Low: clamp[0], High: clamp[1]}
					r := rand.New(rand.NewPCG(uint64(i), 5))
					n, c := f.Rows*f.Channels, f.Channels
					x, dy, weight, bias := random(r, n), random(r, n), random(r, c), random(r, c)
					mean, variance := random(r, c), random(r, c)
					for k := range x {
						x[k] += float32(k % c) // every channel has its own mean
					}
					for k := range variance {
						variance[k] = variance[k] * variance[k]
					}
					b, err := NewBatchNorm(engine, f)
					must(t, err)
					y, dx, dWeight, dBias := make([]float32, n), make([]float32, n), make([]float32,
						c), make([]float32, c)
					run := func() {
						must(t, b.Forward(y, x, weight, bias, mean, variance))
						must(t, b.Backward(dx, dWeight, dBias, dy, x, weight))
					}
					run()
					// The second time finds the scratch memory used.
					if allocations := fewestAllocations(run); allocations != 0 {
						t.Errorf("%+v: %g allocations", f, allocations)
					}
					wantY, wantX, wantWeight, wantBias := referenceBatchNorm(f, x, weight, bias, mean, variance,
						dy)
					name := fmt.Sprintf("%+v: ", f)
					near(t, name+"y", y, wantY, 64)
					near(t, name+"dx", dx, wantX, 4096)
					near(t, name+"dw", dWeight, wantWeight, 1024)
					near(t, name+"db", dBias, wantBias, 1024)
				}
			}
		}
	})
}

// Values far from zero, compared with how far they lie apart, have the variance that they have.
func TestBatchNormOfValuesFarFromZero(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		const rows, channels = 3000, 19
		r := rand.New(rand.NewPCG(6, 6))
		x := random(r, rows*channels)
		for i := range x {
			x[i] = x[i]*0.01 + 1000
		}
		b, err := NewBatchNorm(engine, BatchNormConfig{Rows: rows, Channels: channels, Epsilon: 1e-9,
			Batch: true, Low: nan32, High: nan32})
		must(t, err)
		ones := make([]float32, channels)
		for i := range ones {
			ones[i] = 1
		}
		zeros, y := make([]float32, channels), make([]float32, len(x))
		must(t, b.Forward(y, x, ones, zeros, zeros, zeros))
		mean, variance := b.Statistics()
		for c := range channels {
			wantMean, wantVariance := 0.0, 0.0
			for i := c; i < len(x); i += channels {
				wantMean += float64(x[i]) / rows
			}
			for i := c; i < len(x); i += channels {
				wantVariance += (float64(x[i]) - wantMean) * (float64(x[i]) - wantMean) / rows
			}
			if math.Abs(mean[c]-wantMean) > 1e-6 || math.Abs(variance[c]-wantVariance) > 1e-5*wantVariance {
				t.Errorf("channel %d: mean %v, variance %v, want %v and %v", c, mean[c], variance[c], wantMean,
					wantVariance)
			}
		}
	})
}

func TestBatchNormIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		var first [][]float32
		for _, threads := range []int{1, 2, 3, 7} {
			r := rand.New(rand.NewPCG(1, 3))
			f := BatchNormConfig{Rows: 20011, Channels: 21, Epsilon: 1e-5, Batch: true, Low: 0, High: nan32}
			n, c := f.Rows*f.Channels, f.Channels
			b, err := NewBatchNorm(newEngine(t, set, threads), f)
			must(t, err)
			x, dy, weight, bias := random(r, n), random(r, n), random(r, c), random(r, c)
			got := [][]float32{make([]float32, n), make([]float32, n), make([]float32, c),
				make([]float32, c)}
			must(t, b.Forward(got[0], x, weight, bias, bias, bias))
			must(t, b.Backward(got[1], got[2], got[3], dy, x, weight))
			if first == nil {
				first = got
			}
			for i := range got {
				same(t, fmt.Sprintf("%s, %d threads, tensor %d", set, threads, i), got[i], first[i])
			}
		}
	}
}

// TestBatchNormSum holds the end of a residual block to its parts, one after the other: the same
// bits.
func TestBatchNormSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, shape := range [][2]int{{1, 1}, {7, 16}, {1000, 8}, {301, 33}, {9, 1280}} {
			for _, low := range []float32{0, nan32} {
				f := BatchNormConfig{Rows: shape[0], Channels: shape[1], Epsilon: 1e-3, Batch: i%2 == 0,
					Low: nan32, High: nan32}
				r := rand.New(rand.NewPCG(uint64(i), 6))
				n, c := f.Rows*f.Channels, f.Channels
				x, z, weight, bias := random(r, n), random(r, n), random(r, c), random(r, c)
				mean, variance := random(r, c), positive(r, c)
				b, err := NewBatchNorm(engine, f)
				must(t, err)
				e, err := NewElementwise(engine)
				must(t, err)
				got, want := make([]float32, n), make([]float32, n)
				must(t, b.Forward(want, x, weight, bias, mean, variance))
				must(t, e.AddClamped(want, want, z, low, nan32))
				must(t, b.ForwardSum(got, x, z, weight, bias, mean, variance, low))
				if !slices.Equal(got, want) {
					t.Errorf("%+v, low %v: differs from normalisation and sum", f, low)
				}
				// Back through the ReLU: the sums of the next gradient are taken on the way, item by item as by
				// itself.
				dy, g, wantG, dx, wantX := random(r, n), make([]float32, n), make([]float32, n), make([]float32,
					n), make([]float32, n)
				must(t, e.ReLUGradient(wantG, dy, want))
				must(t, b.Backward(wantX, nil, nil, wantG, x, weight))
				must(t, b.ReLUGradient(g, dy, got, x))
				must(t, b.Backward(dx, nil, nil, g, x, weight))
				if !slices.Equal(g, wantG) || !slices.Equal(dx, wantX) {
					t.Errorf("%+v: the gradient differs", f)
				}
			}
		}
		clamping, err := NewBatchNorm(engine, BatchNormConfig{Rows: 1, Channels: 1, Epsilon: 1, Low: 0,
			High: nan32})
		must(t, err)
		one := make([]float32, 1)
		if clamping.ForwardSum(one, one, one, one, one, one, one, 0) == nil {
			t.Error("a sum of clamped values is taken")
		}
	})
}

// TestMeasuredByConvolution is testMeasuredByConvolution of plans as they come.
func TestMeasuredByConvolution(t *testing.T) {
	for _, set := range Available() {
		for i, f := range []Conv2DConfig{
			{3, 9, 7, 5, 17, 3, 3, 2, 1, 1, 1, false, nil, false, false, 0, 0, true},
			{7, 8, 8, 16, 32, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
			{40, 4, 4, 24, 16, 1, 1, 1, 1, 0, 0, false, nil, false, false, 0, 0, true},
			{1, 12, 12, 16, 16, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true},
			{3, 8, 8, 144, 144, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true}, // Winograd's panel by panel
			{257, 2, 3, 17, 16, 1, 1, 1, 1, 0, 0, false, nil, false, false, 0, 0, true}, // in bands
			{5, 9, 9, 16, 16, 3, 3, 1, 1, 1, 1, true, window(2, 2, 2, 2, 0, 0), false, false, 0, 0, false},
		} {
			testMeasuredByConvolution(t, i, f, func(threads int) (Engine, *Conv2D) {
				engine := newEngine(t, set, threads)
				c, err := NewConv2D(engine, f)
				must(t, err)
				return engine, c
			})
		}
	}
}

// testMeasuredByConvolution holds the sums that a plan takes of what it stores, and of its input's
// gradient, to those that the normalisation takes by itself; also where the values lie far from
// zero, and on any number of threads to the same bits.
func testMeasuredByConvolution(t *testing.T, seed int, f Conv2DConfig,
	plan func(threads int) (Engine, *Conv2D)) {
	t.Helper()
	var first [][]float64
	for _, threads := range []int{1, 2, 3, 7} {
		engine, c := plan(threads)
		r := rand.New(rand.NewPCG(uint64(seed), 10))
		normalisation := func(channels, size int) *BatchNorm {
			n, err := NewBatchNorm(engine, BatchNormConfig{Rows: size / channels, Channels: channels,
				Epsilon: 1e-5, Batch: true, Low: 0, High: nan32})
			must(t, err)
			return n
		}
		before, measured, alone := normalisation(f.Channels, c.sizeX()), normalisation(f.Filters,
			c.sizeY()), normalisation(f.Filters, c.sizeY())
		must(t, c.NormaliseBefore(before))
		must(t, c.Measure(measured))
		x, w, b, dy := random(r, c.sizeX()), random(r, f.Filters*c.depth), random(r,
			f.Filters), random(r, c.sizeY())
		for k := range b {
			b[k] += 1000 // times the values' spread, or so
		}
		scale, shift, ones := random(r, f.Channels), random(r, f.Channels), make([]float32, f.Filters)
		must(t, before.Prepare(x, scale, shift, shift, positive(r, f.Channels)))
		y := make([]float32, c.sizeY())
		must(t, c.Forward(y, x, w, b))
		must(t, measured.Prepare(y, ones, ones, ones, ones))
		must(t, alone.Prepare(y, ones, ones, ones, ones))
		dx, dw := make([]float32, c.sizeX()), make([]float32, len(w))
		must(t, c.Backward(dx, dw, nil, dy, nil, x, w))
		gradients := [2][]float32{make([]float32, f.Channels), make([]float32, f.Channels)}
		must(t, before.PrepareBackward(gradients[0], gradients[1], dx, x, scale)) // by what was measured,
		sums := [2][]float64{slices.Clone(before.sums[0]), slices.Clone(before.sums[1])}
		want := [2][]float32{make([]float32, f.Channels), make([]float32, f.Channels)}
		must(t, before.PrepareBackward(want[0], want[1], dx, x, scale)) // and by itself
		for k := range gradients {
			for j, g := range gradients[k] {
				if d := math.Abs(float64(g - want[k][j])); !(d <= 2e-6*math.Sqrt(float64(len(dx)))) {
					t.Errorf("%+v: gradient %d of channel %d is %v, by itself %v", f, k, j, g,
						want[k][j])
				}
			}
		}
		got := [][]float64{slices.Clone(measured.mean), slices.Clone(measured.variance), sums[0],
			sums[1]}
		for k, name := range []string{"mean", "variance"} {
			for j, v := range got[k] {
				of := [][]float64{alone.mean, alone.variance}[k][j]
				if !(math.Abs(v-of) <= 1e-6*math.Abs(of)) {
					t.Errorf("%+v: %s of channel %d is %v, by itself %v", f, name, j, v, of)
				}
			}
		}
		if first == nil {
			first = got
		}
		for k := range got {
			if !slices.Equal(got[k], first[k]) {
				t.Errorf("%+v: other sums on %d threads", f, threads)
			}
		}
	}
}
