package port

import (
	"math"
	"testing"
)

// On the threshold, and beside it, a probability is read as the doc comment says.
func TestSingleScoreThreshold(t *testing.T) {
	half := float32(0.5)
	l := singleProbability.logits(make([]float32, 8), []float32{math.Nextafter32(half, 0), half,
		math.Nextafter32(half, 1), float32(math.NaN())})
	for i, want := range []int{0, 0, 1, -1} {
		if got := l.Label(i); got != want {
			t.Errorf("%g is class %d, want %d", l.Row(i)[1], got, want)
		}
	}
	l = singleLogit.logits(make([]float32, 10), []float32{-math.SmallestNonzeroFloat32, 0,
		math.SmallestNonzeroFloat32, float32(math.Inf(1)), float32(math.NaN())})
	for i, want := range []int{0, 0, 1, 1, -1} {
		if got := l.Label(i); got != want {
			t.Errorf("a logit of %g is class %d, want %d", l.Row(i)[1], got, want)
		}
	}
}
