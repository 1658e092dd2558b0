package infer

import (
	"slipway/metrics"
	"slipway/onnx"
)

// A Scale says what probabilities a model's scores stand for.
type Scale int

const (
	// ScaleSoftmax is of classes of which an image has one: scores are logits, of which a softmax
	// makes probabilities, or, where those of each image sum to 1, probabilities already.
	ScaleSoftmax Scale = iota
	// ScaleLogits is of logits of classes that stand alone: the sigmoid of each is its
	// probability.
	ScaleLogits
	// ScaleSigmoid is of the probabilities of classes that stand alone.
	ScaleSigmoid
)

// ScaleOf returns the scale of the scores that an output has, by the model's record and by what
// the graph ends in. Output names it, as RuntimeOptions do. One score an image is read as two, of
// which an image has one.
func ScaleOf(model *onnx.Model, output string) (Scale, error) {
	record, _, err := model.TrainingRecord()
	if err != nil {
		return ScaleSoftmax, err
	}
	ports, err := findPorts(model, output)
	if err != nil || formOf(ports.outputDims) == oneScore {
		return ScaleSoftmax, nil // opening the model says what is wrong
	}
	switch head := FindHead(model, output); {
	case head.Operator == headSigmoid:
		return ScaleSigmoid, nil
	case head.None() && record.Probabilities == onnx.SigmoidOfScores:
		return ScaleLogits, nil
	}
	return ScaleSoftmax, nil
}

// String says for people what makes probabilities of the scores, empty where that is the usual.
func (s Scale) String() string {
	if s == ScaleSoftmax {
		return ""
	}
	return "the probability of each class stands alone, by the sigmoid of its score"
}

// metricOptions says of scores of that scale what package metrics is told.
func (s Scale) metricOptions(scores Logits) metrics.Options {
	if s == ScaleSoftmax {
		return metrics.Options{Probabilities: areProbabilities(scores)}
	}
	return metrics.Options{Independent: true, Probabilities: s == ScaleSigmoid}
}

// Probabilities returns those that N×K scores stand for, of a model that ends in the head.
func (s Scale) Probabilities(head Head, scores Logits) Logits {
	switch {
	case s == ScaleLogits:
		return Head{Operator: headSigmoid}.Apply(scores)
	case head.None():
		return Head{Operator: headSoftmax}.Apply(scores)
	case head.Operator == headLogSoftmax:
		return Logits{N: scores.N, K: scores.K, Values: Exponentials(scores.Values)}
	}
	return scores
}
