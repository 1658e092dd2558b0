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
	// OfIndependentLogits is of classes that stand alone, of which an image may have several: the
	// sigmoid of each score is its class's probability.
	OfIndependentLogits
	// OfIndependentProbabilities is of the probabilities of classes that stand alone.
	OfIndependentProbabilities
)

// ScaleOf returns what the scores are by the function that the model ends in, or by its record:
// logits where neither says anything. Output names the score output, as for Find. One score an
// image is read as two, of which an image has one.
func ScaleOf(model *onnx.Model, output string) Scale {
	ports, err := Find(model, output)
	alone := err == nil && formOf(ports.OutputDims) != oneScore
	switch head := FindHead(model, output); {
	case head.Operator == Sigmoid && alone:
		return OfIndependentProbabilities
	case head.Operator == Softmax, head.Operator == Sigmoid:
		return OfProbabilities
	case head.Operator == LogSoftmax:
		return OfLogarithms
	case err == nil && ports.single == singleProbability:
		return OfProbabilities
	case alone && recordedSigmoid(model):
		return OfIndependentLogits
	}
	return OfLogits
}

// recordedSigmoid reports what the record says. One that cannot be read is told of elsewhere.
func recordedSigmoid(model *onnx.Model) bool {
	record, _, err := model.TrainingRecord()
	return err == nil && record.Probabilities == onnx.SigmoidOfScores
}

// Independent reports whether classes stand alone, so that an image may have several.
func (s Scale) Independent() bool {
	return s == OfIndependentLogits || s == OfIndependentProbabilities
}

// Threshold returns the score above which a class that stands alone has a probability above that
// one, 0 < probability < 1; it is 0 of a logit and 0.5.
func (s Scale) Threshold(probability float64) float32 {
	if s == OfIndependentLogits {
		return float32(math.Log(probability / (1 - probability)))
	}
	return float32(probability)
}

// String says for people what makes probabilities of the scores, empty where that is the usual.
func (s Scale) String() string {
	if s.Independent() {
		return "the probability of each class stands alone, by the sigmoid of its score"
	}
	return ""
}

// Probabilities makes probabilities of an image's scores, in place.
func (s Scale) Probabilities(scores []float32) {
	switch s {
	case OfLogits:
		Head{Operator: Softmax}.apply(scores)
	case OfIndependentLogits:
		Head{Operator: Sigmoid}.apply(scores)
	case OfLogarithms:
		for k, v := range scores {
			scores[k] = float32(math.Exp(float64(v)))
		}
	}
}
