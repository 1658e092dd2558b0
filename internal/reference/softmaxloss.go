package reference

import "math"

// SoftmaxLoss is a loss of softmax(z) for logits N×K. With the coefficients c, N×K, and
// p = softmax(z),
//
//	L = 1/D · Σ_n Σ_k c[n,k] · (1 − p[n,k])^γ · (−log p[n,k])
//
// What a coefficient of 0 stands before is left out, whatever it is.
type SoftmaxLoss struct {
	Batch, Classes int
	Gamma, Divisor float64
	Coefficients   []float64
}

// Targets returns the coefficients c = t·w of labels that are smoothed, shared and weighted, and
// the divisor of their weighted mean. Row n belongs to labels[n] with shares[n] and to others[n]
// with the rest; others and shares are nil where a row has one label. Weights are by class, nil
// for 1.
//
//	t[n] = (1−ε)·(s·onehot(a) + (1−s)·onehot(b)) + ε/K     D = Σ_n (s·w[a] + (1−s)·w[b])
func Targets(classes int, labels, others []int32, shares []float32, smoothing float64,
	weights []float64) (
	coefficients []float64, divisor float64,
) {
	weight := func(class int32) float64 {
		if weights == nil {
			return 1
		}
		return weights[class]
	}
	coefficients = make([]float64, len(labels)*classes)
	for n, label := range labels {
		row := coefficients[n*classes : (n+1)*classes]
		for k := range row {
			row[k] = smoothing / float64(classes)
		}
		share := 1.0
		if others != nil {
			share = float64(shares[n])
			row[others[n]] += (1 - smoothing) * (1 - share)
			divisor += (1 - share) * weight(others[n])
		}
		row[label] += (1 - smoothing) * share
		divisor += share * weight(label)
		for k := range row {
			row[k] *= weight(int32(k))
		}
	}
	return coefficients, divisor
}

// SoftmaxLossForward returns the loss.
func SoftmaxLossForward[T Float](l SoftmaxLoss, logits []T) T {
	total := 0.0
	for n := range l.Batch {
		logP := logSoftmax(logits[n*l.Classes : (n+1)*l.Classes])
		for k, c := range l.Coefficients[n*l.Classes : (n+1)*l.Classes] {
			if c != 0 {
				total += c * math.Pow(-math.Expm1(logP[k]), l.Gamma) * -logP[k]
			}
		}
	}
	return T(total / l.Divisor)
}

// SoftmaxLossBackward returns the gradient by the logits. With the derivative of a term by log p,
//
//	g[k] = c[k] · (γ·(1−p[k])^(γ−1) · p[k]·log p[k] − (1−p[k])^γ)
//
// it is dz[n,j] = dloss/D · (g[j] − p[j]·Σ_k g[k]), and g is 0 where p = 1 and γ > 0.
func SoftmaxLossBackward[T Float](l SoftmaxLoss, dloss T, logits []T) []T {
	dz := make([]T, len(logits))
	g := make([]float64, l.Classes)
	for n := range l.Batch {
		logP := logSoftmax(logits[n*l.Classes : (n+1)*l.Classes])
		sum := 0.0
		for k, c := range l.Coefficients[n*l.Classes : (n+1)*l.Classes] {
			p, rest := math.Exp(logP[k]), -math.Expm1(logP[k])
			g[k] = -c * math.Pow(rest, l.Gamma)
			if l.Gamma != 0 && p > 0 && rest > 0 {
				g[k] += c * l.Gamma * math.Pow(rest, l.Gamma-1) * p * logP[k]
			}
			if c == 0 {
				g[k] = 0
			}
			sum += g[k]
		}
		for j := range g {
			dz[n*l.Classes+j] = T(float64(dloss) * (g[j] - math.Exp(logP[j])*sum) / l.Divisor)
		}
	}
	return dz
}

// logSoftmax returns log softmax(z), after the row's maximum is subtracted.
func logSoftmax[T Float](row []T) []float64 {
	top, sum := maximum(row), 0.0
	for _, z := range row {
		sum += math.Exp(float64(z) - top)
	}
	logP := make([]float64, len(row))
	for k, z := range row {
		logP[k] = float64(z) - top - math.Log(sum)
	}
	return logP
}
