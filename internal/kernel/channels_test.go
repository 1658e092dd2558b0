package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// channelsConfigs have rows that are whole vectors and not, blocks of rows that are full and not.
var channelsConfigs = []ChannelsConfig{
	{1, 1, 1}, {3, 1, 7}, {2, 5, 3}, {3, 64, 16}, {2, 65, 17}, {1, 200, 33}, {5, 130, 8}, {70, 2, 40},
}

func TestScale(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range channelsConfigs {
			for _, perImage := range []bool{false, true} {
				plan, err := NewScale(engine, f, perImage)
				must(t, err)
				factors := f.Channels
				if perImage {
					factors *= f.Batch
				}
				r := rand.New(rand.NewPCG(uint64(f.elements()), 3))
				x, dy, s := random(r, f.elements()), random(r, f.elements()), random(r, factors)
				y, ds := make([]float32, len(x)), make([]float32, factors)
				wantY, wantS := make([]float32, len(x)), make([]float64, factors)
				for i := range x {
					at := i % f.Channels
					if perImage {
						at += i / (f.Area * f.Channels) * f.Channels
					}
					wantY[i] = x[i] * s[at]
					wantS[at] += float64(x[i]) * float64(dy[i])
				}
				must(t, plan.Forward(y, x, s))
				same(t, "y", y, wantY)
				for range 2 { // the second time with sums of the first
					must(t, plan.BackwardScale(ds, dy, x))
					near(t, "ds", ds, narrow(wantS), f.rows())
				}
			}
		}
	})
}

func narrow(wide []float64) []float32 {
	values := make([]float32, len(wide))
	for i, v := range wide {
		values[i] = float32(v)
	}
	return values
}

func TestConcat(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, rows := range []int{1, 64, 65, 200} {
			channels := []int{3, 1, 16, 17}
			plan, err := NewConcat(engine, rows, channels)
			must(t, err)
			r := rand.New(rand.NewPCG(uint64(rows), 4))
			var parts, back [][]float32
			for _, n := range channels {
				parts, back = append(parts, random(r, rows*n)), append(back, make([]float32, rows*n))
			}
			var want []float32
			for row := range rows {
				for i, n := range channels {
					want = append(want, parts[i][row*n:(row+1)*n]...)
				}
			}
			y := make([]float32, len(want))
			must(t, plan.Join(y, parts))
			same(t, "whole", y, want)
			back[1] = nil // nobody asks for it
			must(t, plan.Cut(back, y))
			for i := range back {
				if i != 1 {
					same(t, "part", back[i], parts[i])
				}
			}
		}
	})
}

func TestLayerNorm(t *testing.T) {
	const epsilon = 1e-3
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, f := range channelsConfigs {
			rows, c := f.rows(), f.Channels
			plan, err := NewLayerNorm(engine, rows, c, epsilon)
			must(t, err)
			r := rand.New(rand.NewPCG(uint64(f.elements()), 5))
			x, dy, w, b := random(r, rows*c), random(r, rows*c), random(r, c), random(r, c)
			for i := range x {
				x[i] += 3 // a mean that is to be taken off
			}
			y, dx, dw, db := make([]float32, rows*c), make([]float32, rows*c), make([]float32,
				c), make([]float32, c)
			wantY, wantX, wantW, wantB := make([]float64, rows*c), make([]float64, rows*c), make([]float64,
				c), make([]float64, c)
			for row := range rows {
				at := func(i int) int { return row*c + i }
				mean, variance, sum, product := 0.0, 0.0, 0.0, 0.0
				for i := range c {
					mean += float64(x[at(i)]) / float64(c)
				}
				for i := range c {
					variance += math.Pow(float64(x[at(i)])-mean, 2) / float64(c)
				}
				standard := func(i int) float64 {
					return (float64(x[at(i)]) - mean) / math.Sqrt(variance+epsilon)
				}
				for i := range c {
					wantY[at(i)] = standard(i)*float64(w[i]) + float64(b[i])
					wantW[i] += float64(dy[at(i)]) * standard(i)
					wantB[i] += float64(dy[at(i)])
					sum += float64(dy[at(i)]) * float64(w[i]) / float64(c)
					product += float64(dy[at(i)]) * float64(w[i]) * standard(i) / float64(c)
				}
				for i := range c {
					g := float64(dy[at(i)]) * float64(w[i])
					wantX[at(i)] = (g - sum - standard(i)*product) / math.Sqrt(variance+epsilon)
				}
			}
			must(t, plan.Forward(y, x, w, b))
			near(t, "y", y, narrow(wantY), 0)
			for range 2 {
				must(t, plan.Backward(dx, dw, db, dy, x, w))
				near(t, "dw", dw, narrow(wantW), 1)
				near(t, "db", db, narrow(wantB), 1)
			}
			// One channel's gradient is nothing but rounding, made larger by 1/√ε.
			near(t, "dx", dx, narrow(wantX), 4)
			again := slices.Repeat([]float32{float32(math.NaN())}, len(dx))
			must(t, plan.Backward(again, nil, nil, dy, x, w))
			same(t, "dx alone", again, dx)
			clear(dw)
			must(t, plan.Backward(nil, dw, nil, dy, x, w))
			near(t, "dw alone", dw, narrow(wantW), 1)
		}
	})
}

// Plans give the same bits on any number of threads.
func TestChannelsOnAnyThreads(t *testing.T) {
	f := ChannelsConfig{3, 333, 37}
	r := rand.New(rand.NewPCG(1, 6))
	x, dy, w := random(r, f.elements()), random(r, f.elements()), random(r, f.Channels)
	for _, set := range Available() {
		var first [][]float32
		for _, threads := range []int{1, 2, 3, 7} {
			engine := newEngine(t, set, threads)
			scale, err := NewScale(engine, f, false)
			must(t, err)
			norm, err := NewLayerNorm(engine, f.rows(), f.Channels, 1e-5)
			must(t, err)
			ds, y := make([]float32, f.Channels), make([]float32, len(x))
			dx, dw, db := make([]float32, len(x)), make([]float32, f.Channels), make([]float32, f.Channels)
			must(t, scale.BackwardScale(ds, dy, x))
			must(t, norm.Forward(y, x, w, w))
			must(t, norm.Backward(dx, dw, db, dy, x, w))
			prelu, err := NewPReLU(engine, f.rows(), f.Channels, true)
			must(t, err)
			slope := make([]float32, 1)
			must(t, prelu.Backward(nil, slope, dy, x, w[:1]))
			all := [][]float32{ds, y, dx, dw, db, slope}
			if first == nil {
				first = all
			}
			for i := range all {
				same(t, set, all[i], first[i])
			}
		}
	}
}

func TestChannelsRefuseWhatDoesNotFit(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for _, f := range []ChannelsConfig{{}, {1, 0, 1}, {1, 1, -1}, {1 << 20, 1 << 20, 1 << 20}} {
		if _, err := NewScale(engine, f, true); err == nil {
			t.Errorf("a scale of %+v is accepted", f)
		}
		if _, err := NewLayerNorm(engine, f.Batch*f.Area, f.Channels, 1); err == nil {
			t.Errorf("a normalisation of %+v is accepted", f)
		}
	}
	if _, err := NewConcat(engine, 1, []int{1, 0}); err == nil {
		t.Error("a part of no channels is accepted")
	}
	if _, err := NewLayerNorm(engine, 1, 1, 0); err == nil {
		t.Error("epsilon 0 is accepted")
	}
	plan, err := NewConcat(engine, 2, []int{1, 2})
	must(t, err)
	if plan.Join(make([]float32, 6), [][]float32{make([]float32, 2), make([]float32, 3)}) == nil {
		t.Error("a part of another length is accepted")
	}
	if plan.Join(make([]float32, 6), [][]float32{make([]float32, 2), nil}) == nil {
		t.Error("a missing part is accepted")
	}
	if plan.Cut([][]float32{nil}, make([]float32, 6)) == nil {
		t.Error("a missing list is accepted")
	}
}
