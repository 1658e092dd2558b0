package reference

import "math"

// BinaryLossForward returns the mean binary cross-entropy of σ(z) for logits N×K and targets t,
// N×K, 0 ≤ t ≤ 1, with the weights w of a target by class, nil for 1:
//
//	L = 1/(N·K) · Σ_n Σ_k ( w[k]·t[n,k]·(−log σ(z[n,k])) + (1−t[n,k])·(−log(1−σ(z[n,k]))) )
func BinaryLossForward[T Float](classes int, logits, targets []T, weights []float64) T {
	total := 0.0
	for i, z := range logits {
		positive, t := 1.0, float64(targets[i])
		if weights != nil {
			positive = weights[i%classes]
		}
		total += positive*t*softplus(-float64(z)) + (1-t)*softplus(float64(z))
	}
	return T(total / float64(len(logits)))
}

// BinaryLossBackward returns dz = dloss/(N·K) · ((1 − t + w·t)·σ(z) − w·t).
func BinaryLossBackward[T Float](classes int, dloss T, logits, targets []T, weights []float64) []T {
	dz := make([]T, len(logits))
	for i, z := range logits {
		positive, t := 1.0, float64(targets[i])
		if weights != nil {
			positive = weights[i%classes]
		}
		sigmoid := 1 / (1 + math.Exp(-float64(z)))
		dz[i] = T(float64(dloss) * ((1-t+positive*t)*sigmoid - positive*t) / float64(len(logits)))
	}
	return dz
}

// softplus returns log(1 + exp(x)), which is −log(1−σ(x)), without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
