package reference

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSoftmaxLossGradient(t *testing.T) {
	const batch, classes = 4, 5
	labels, others, shares := []int32{0, 4, 2, 2}, []int32{1, 4, 0, 3}, []float32{0.75, 0.5, 1, 0}
	for _, gamma := range []float64{0, 0.5, 1, 2, 5} {
		for _, weights := range [][]float64{nil, {1, 0.5, 3, 2, 8}} {
			r := rand.New(rand.NewPCG(1, 11))
			z := random(r, batch*classes)
			l := SoftmaxLoss{Batch: batch, Classes: classes, Gamma: gamma}
			l.Coefficients, l.Divisor = Targets(classes, labels, others, shares, 0.1, weights)
			checkGradient(t, "loss", z, SoftmaxLossBackward(l, 1.5, z), func() float64 {
				return 1.5 * SoftmaxLossForward(l, z)
			})
		}
	}
}

// Targets of an image sum to 1, and the divisor is the batch's size, where all classes count alike.
func TestTargets(t *testing.T) {
	coefficients, divisor := Targets(4, []int32{3, 1}, []int32{3, 0}, []float32{0.25, 0.75}, 0.2, nil)
	for n := range 2 {
		sum := 0.0
		for _, c := range coefficients[4*n : 4*n+4] {
			sum += c
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("image %d: targets %v", n, coefficients[4*n:4*n+4])
		}
	}
	if math.Abs(coefficients[3]-0.85) > 1e-12 || math.Abs(coefficients[4]-0.25) > 1e-12 ||
		divisor != 2 {
		t.Errorf("targets %v, divisor %v", coefficients, divisor)
	}
}
