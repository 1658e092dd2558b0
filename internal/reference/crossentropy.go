package reference

import "math"

// CrossEntropyForward returns the mean over the batch of −log softmax(z[n])[label[n]], for logits
// N×K:
//
//	loss = 1/N · Σ_n ( log Σ_k exp(z[n,k]) − z[n,label[n]] )
func CrossEntropyForward[T Float](batch, classes int, logits []T, labels []int32) T {
	total := 0.0
	for n := range batch {
		row := logits[n*classes : (n+1)*classes]
		top, sum := maximum(row), 0.0
		for _, z := range row {
			sum += math.Exp(float64(z) - top)
		}
		total += math.Log(sum) + top - float64(row[labels[n]])
	}
	return T(total / float64(batch))
}

// CrossEntropyBackward returns dz[n,k] = dloss · (softmax(z[n])[k] − [k = label[n]]) / N.
func CrossEntropyBackward[T Float](batch, classes int, dloss T, logits []T, labels []int32) []T {
	p := SoftmaxForward(batch, classes, logits)
	dz := make([]T, len(p))
	for i := range p {
		target := 0.0
		if int(labels[i/classes]) == i%classes {
			target = 1
		}
		dz[i] = T(float64(dloss) * (float64(p[i]) - target) / float64(batch))
	}
	return dz
}
