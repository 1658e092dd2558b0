package reference

import (
	"math/rand/v2"
	"testing"
)

func TestBinaryLossGradient(t *testing.T) {
	for _, weights := range [][]float64{nil, {1, 0.5, 3, 2, 8}} {
		r := rand.New(rand.NewPCG(1, 12))
		z, targets := random(r, 20), make([]float64, 20)
		for i := range targets {
			targets[i] = r.Float64()
		}
		checkGradient(t, "loss", z, BinaryLossBackward(5, 1.5, z, targets, weights), func() float64 {
			return 1.5 * BinaryLossForward(5, z, targets, weights)
		})
	}
}
