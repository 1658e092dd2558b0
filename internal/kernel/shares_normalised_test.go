package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// shards brings together what a plan has of its parts, or notes down what plans of one part have
// given, one after the other.
type shards struct {
	rows          int
	moments, sums [2][]float64 // by part
	at            int
}

// merge replaces the first part's of two numbers by the means over the parts.
func merge(first, second []float64, channels int) {
	parts := len(first) / channels
	for _, values := range [][]float64{first, second} {
		for i := range channels {
			for part := 1; part < parts; part++ {
				values[i] += values[part*channels+i]
			}
			values[i] /= float64(parts)
		}
	}
}

func (s *shards) Moments(rows int, mean, variance []float64) (int, error) {
	s.moments[0], s.moments[1] = append(s.moments[0], mean...), append(s.moments[1], variance...)
	if s.rows > 0 { // of all parts, which are known
		copy(mean, s.moments[0])
		copy(variance, s.moments[1])
		return s.rows, nil
	}
	merge(mean, variance, s.at)
	return rows * (len(mean) / s.at), nil
}

func (s *shards) Sums(_ int, first, second []float64) error {
	s.sums[0], s.sums[1] = append(s.sums[0], first...), append(s.sums[1], second...)
	merge(first, second, s.at)
	return nil
}

// A normalisation of a batch in parts gives its Sync the sums that plans of the parts give theirs,
// to the bit, and adds the parts' gradients up in the tree: by itself, behind a sum and a ReLU, and
// where convolutions next to it take the sums.
func TestBatchNormInParts(t *testing.T) {
	const parts = 4
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, rows := range []int{1, 7, 300, 3000} {
			for _, c := range []int{1, 16, 33} {
				r := rand.New(rand.NewPCG(uint64(c), uint64(rows)))
				n := parts * rows * c
				x, z, dy, w, b := random(r, n), random(r, n), random(r, n), random(r, c), random(r, c)
				f := BatchNormConfig{Rows: parts * rows, Channels: c, Epsilon: 1e-3, Batch: true,
					Low: nan32, High: nan32, Shards: parts}
				whole := &shards{at: c}
				f.Sync = whole
				plan, err := NewBatchNorm(engine, f)
				must(t, err)
				y, g, dx := make([]float32, n), make([]float32, n), make([]float32, n)
				dw, db := make([]float32, c), make([]float32, c)
				plan.SumTimes(0.25)
				must(t, plan.ForwardSum(y, x, z, w, b, b, b, 0))
				must(t, plan.ReLUGradient(g, dy, y, x))
				must(t, plan.Backward(dx, dw, db, g, x, w))

				apart := &shards{at: c}
				f.Rows, f.Shards, f.Sync = rows, 0, apart
				single, err := NewBatchNorm(engine, f)
				must(t, err)
				own := make([]float32, n/parts)
				for k := range parts {
					must(t, single.Forward(own, ShareOf(x, k, parts), w, b, b, b))
				}
				name := fmt.Sprint(rows, " ", c)
				sameSums(t, name+": moments", whole.moments, apart.moments)

				merge(apart.moments[0], apart.moments[1], c)
				apart.rows = parts * rows
				var weights, biases [][]float32
				for k := range parts {
					partY, partG := make([]float32, n/parts), make([]float32, n/parts)
					weight, bias := make([]float32, c), make([]float32, c)
					partX, partZ := ShareOf(x, k, parts), ShareOf(z, k, parts)
					must(t, single.ForwardSum(partY, partX, partZ, w, b, b, b, 0))
					same(t, name+": y", ShareOf(y, k, parts), partY)
					must(t, single.ReLUGradient(partG, ShareOf(dy, k, parts), partY, partX))
					must(t, single.Backward(nil, weight, bias, partG, partX, w))
					weights, biases = append(weights, weight), append(biases, bias)
				}
				sameSums(t, name+": sums of the gradient", whole.sums, apart.sums)
				for i := range c {
					weights[0][i] = ((weights[0][i] + weights[1][i]) + (weights[2][i] + weights[3][i])) * 0.25
					biases[0][i] = ((biases[0][i] + biases[1][i]) + (biases[2][i] + biases[3][i])) * 0.25
				}
				same(t, name+": dw", dw, weights[0])
				same(t, name+": db", db, biases[0])
			}
		}
	})
}

// sameSums compares what a plan of several parts has given with what plans of one have.
func sameSums(t *testing.T, name string, got, want [2][]float64) {
	t.Helper()
	if !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}

// Parts that are unequal, or whose statistics nobody brings together, are an error.
func TestBatchNormInUnequalParts(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for _, f := range []BatchNormConfig{
		{Rows: 6, Channels: 1, Epsilon: 1, Shards: 4},
		{Rows: 6, Channels: 1, Epsilon: 1, Shards: 3},
		{Rows: 8, Channels: 1, Epsilon: 1, Shards: -1},
		{Rows: 8, Channels: 1, Epsilon: 1, Shards: 4, Batch: true},
	} {
		if _, err := NewBatchNorm(engine, f); err == nil {
			t.Errorf("%+v is no error", f)
		}
	}
}

// A share in which something is not finite is computed again without Winograd's filtering, each
// way, and the others are not.
func TestConvolutionsInSharesThatAreNotFinite(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		f := Conv2DConfig{Batch: 16, Height: 8, Width: 8, Channels: 16, Filters: 16,
			KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1,
			PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: true}
		for _, pool := range []bool{false, true} {
			if f.ReLU = pool; pool {
				f.MaxPool = &Window{Height: 2, Width: 2, StrideHeight: 2, StrideWidth: 2}
			}
			r := rand.New(rand.NewPCG(7, 2))
			whole, part, err := NewConv2DOfShares(engine, f, 8)
			must(t, err)
			height, width := whole.Output()
			x, dy := random(r, f.Batch*8*8*16), random(r, f.Batch*height*width*16)
			inf := float32(1)
			for range 200 {
				inf *= 2
			}
			x[5*8*8*16+77], dy[9*height*width*16+41] = inf, inf
			before := engine.Pool.again.Load()
			sameInShares(t, fmt.Sprint("pool ", pool), whole, part, x, dy,
				random(r, 16*9*16), random(r, 16))
			if again := engine.Pool.again.Load() - before; again < 3 {
				t.Errorf("%d batches were computed again", again)
			}
		}
	})
}
