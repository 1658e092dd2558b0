package reference

import "math"

// SoftmaxForward returns p[n,k] = exp(z[n,k]) / Σ_j exp(z[n,j]) of logits N×K, computed after the
// row's maximum is subtracted, so that nothing overflows.
func SoftmaxForward[T Float](batch, classes int, logits []T) []T {
	p := make([]T, len(logits))
	for n := range batch {
		row := logits[n*classes : (n+1)*classes]
		top, sum := maximum(row), 0.0
		for _, z := range row {
			sum += math.Exp(float64(z) - top)
		}
		for k, z := range row {
			p[n*classes+k] = T(math.Exp(float64(z)-top) / sum)
		}
	}
	return p
}

func maximum[T Float](row []T) float64 {
	top := math.Inf(-1)
	for _, z := range row {
		if v := float64(z); v > top || v != v {
			top = v
		}
	}
	return top
}
