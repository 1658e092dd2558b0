package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestInterleave3: each element lies where counting puts it, whatever its bits are, and nothing
// behind the last one is written.
func TestInterleave3(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(4, 4))
		for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 48, 100, 1021} {
			planes := [3][]float32{}
			for i := range planes {
				planes[i] = make([]float32, n)
				for k := range planes[i] {
					planes[i][k] = math.Float32frombits(r.Uint32())
				}
			}
			dst := random(r, 3*n+20)
			want := append([]float32(nil), dst...)
			for k := range n {
				for i := range planes {
					want[3*k+i] = planes[i][k]
				}
			}
			engine.Interleave3(dst[:3*n], planes[0], planes[1], planes[2])
			same(t, fmt.Sprint(n, " positions"), dst, want)
		}
	})
}

// TestSlicesDoNotHangOnPlaces: an element of a slice that is no whole number of vectors is what it
// is in a vector, in place, too, and nothing is allocated for it.
func TestSlicesDoNotHangOnPlaces(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(5, 5))
		gate := engine.GateTable(Gate{1. / 6, 0.5})
		for name, compute := range map[string]func(y, x []float32){
			"clamp": func(y, x []float32) { engine.Clamp(y, x, 0.2, 0.5, 0, 1) },
			"gate":  func(y, x []float32) { engine.Gate(y, x, gate) },
		} {
			x := random(r, 64)
			x[3], x[9] = nan32, float32(math.Inf(1))
			whole := make([]float32, len(x))
			compute(whole, x)
			for _, n := range []int{0, 1, 3, 8, 13, 24, 57} {
				y := append([]float32(nil), x...)
				run := func() { compute(y[:n], y[:n]) }
				run()
				same(t, fmt.Sprint(name, " of ", n), y, append(append([]float32(nil), whole[:n]...), x[n:]...))
				if allocations := fewestAllocations(run); allocations != 0 {
					t.Errorf("%s of %d: %g allocations", name, n, allocations)
				}
			}
		}
	})
}

// TestScaleRowsByChannels: what is left after the whole vectors is what the others are.
func TestScaleRowsByChannels(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		r := rand.New(rand.NewPCG(6, 6))
		for _, channels := range []int{1, 8, 11, 24, 40, 59} {
			const rows = 5
			x, scale, shift := random(r, rows*channels), random(r, channels), random(r, channels)
			y := make([]float32, rows*(channels+3))
			engine.ScaleRows(y, channels+3, x, scale, shift, -0.5, 0.5)
			want := make([]float32, len(y))
			for i, v := range x {
				c := i % channels
				scaled := float64(v)*float64(scale[c]) + float64(shift[c])
				want[i/channels*(channels+3)+c] = float32(min(max(scaled, -0.5), 0.5))
			}
			near(t, fmt.Sprint(channels, " channels"), y, want, 1)
		}
	})
}
