package infer

import (
	"math"
	"slices"

	"slipway/infer/port"
)

// Confidence is how right and how sure a model is on a set. An image's confidence
// is its largest class probability, by softmax of its scores where these are not
// probabilities themselves, or by what Result.Scale says.
type Confidence struct {
	Images int
	// Accuracy is the fraction of images answered right, 0…1. It says nothing where
	// the set's labels are not the model's classes.
	Accuracy float64
	// Mean of the confidences, 0…1. An image that is answered has 1/K at least where the K
	// probabilities sum to 1; where each class stands alone, all may be near 0.
	Mean float64
	// Above90 and Above99 are the fractions of images with a confidence over 0.9 and 0.99.
	Above90, Above99 float64
	// Unanswered counts the images with a NaN among their scores; they count as
	// wrong, and with confidence 0.
	Unanswered int
}

// NewConfidence computes the figures of a result that has its logits.
func NewConfidence(result *Result) Confidence {
	c := Confidence{Images: result.Images, Accuracy: result.Accuracy(), Unanswered: result.Unanswered}
	scores, probabilities := result.Logits, result.Scale.Independent() ||
		areProbabilities(result.Logits)
	if result.Scale == port.OfIndependentLogits {
		scores.Values = slices.Clone(scores.Values)
		for i := range scores.N {
			result.Scale.Probabilities(scores.Row(i))
		}
	}
	for i := range scores.N {
		top := topProbability(scores.Row(i), probabilities)
		c.Mean += top
		if top > 0.9 {
			c.Above90++
		}
		if top > 0.99 {
			c.Above99++
		}
	}
	n := float64(result.Images)
	c.Mean, c.Above90, c.Above99 = c.Mean/n, c.Above90/n, c.Above99/n
	return c
}

// areProbabilities reports whether every row is a distribution: nothing negative,
// and a sum of 1 as far as float32 goes. Rows with a NaN are passed over.
func areProbabilities(logits Logits) bool {
	const rounding = 1e-3
	seen := false
	for i := range logits.N {
		sum, least := 0., 0.
		for _, v := range logits.Row(i) {
			sum += float64(v)
			least = math.Min(least, float64(v))
		}
		if math.IsNaN(sum) {
			continue
		}
		if least < 0 || math.Abs(sum-1) > rounding {
			return false
		}
		seen = true
	}
	return seen
}

// topProbability is the largest of the row's probabilities, 0 when one is NaN.
func topProbability(row []float32, probabilities bool) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		if math.IsNaN(float64(v)) {
			return 0
		}
		top = math.Max(top, float64(v))
	}
	if probabilities {
		return top
	}
	// exp(top − top) / Σ exp(v − top): no exponent overflows. Where the largest is
	// infinite, infinities share what there is.
	sum := 0.
	for _, v := range row {
		if d := float64(v) - top; float64(v) == top {
			sum++
		} else {
			sum += math.Exp(d)
		}
	}
	return 1 / sum
}
