package port

import (
	"math"

	"slipway/onnx"
)

// A Scale says what a model's scores are.
type Scale int

const (
	// OfLogits is of scores whose softmax are probabilities.
	OfLogits Scale = iota
	// OfLogarithms is of logarithms of probabilities.
	OfLogarithms
	// OfProbabilities is of scores that are probabilities.
	OfProbabilities
)

// ScaleOf returns what the scores are by the function that the model ends in: logits where it
// ends in none. Output names the score output, as for Find.
func ScaleOf(model *onnx.Model, output string) Scale {
	switch FindHead(model, output).Operator {
	case Softmax, Sigmoid:
		return OfProbabilities
	case LogSoftmax:
		return OfLogarithms
	}
	if ports, err := Find(model, output); err == nil && ports.single == singleProbability {
		return OfProbabilities
	}
	return OfLogits
}

// Probabilities makes probabilities of an image's scores, in place.
func (s Scale) Probabilities(scores []float32) {
	switch s {
	case OfLogits:
		Head{Operator: Softmax}.apply(scores)
	case OfLogarithms:
		for k, v := range scores {
			scores[k] = float32(math.Exp(float64(v)))
		}
	}
}
