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
