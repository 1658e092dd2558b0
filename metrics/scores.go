package metrics

import (
	"fmt"
	"math"
)

// scores are those of a set, with what makes probabilities of them: these are not kept, since
// they would take twice the memory.
type scores struct {
	values  []float32 // N×classes
	labels  []int
	classes int
	answers []int // the class of the highest score, −1 where there is a NaN
	// independent says that each class's probability stands alone, probabilities that values are
	// those already.
	independent, probabilities bool
	// highest and logSum are, of logits of a softmax, the largest of a row and log Σ exp(z −
	// highest).
	highest, logSum []float64
}

func newScores(values []float32, labels []int, classes int, options Options) (*scores, error) {
	if classes < 1 || len(labels) == 0 || len(values) != classes*len(labels) {
		return nil, fmt.Errorf("%w: %d scores for %d labels of %d classes", ErrArgument,
			len(values), len(labels), classes)
	}
	s := &scores{values: values, labels: labels, classes: classes, answers: make([]int, len(labels)),
		independent: options.Independent, probabilities: options.Probabilities}
	softmax := !s.independent && !s.probabilities
	if softmax {
		s.highest, s.logSum = make([]float64, len(labels)), make([]float64, len(labels))
	}
	for i, label := range labels {
		if label < 0 || label >= classes {
			return nil, fmt.Errorf("%w: label %d of image %d, there are %d classes", ErrArgument,
				label, i, classes)
		}
		s.answers[i] = s.answer(i)
		if s.probabilities && s.answers[i] >= 0 {
			if err := checkProbabilities(s.row(i)); err != nil {
				return nil, fmt.Errorf("image %d: %w", i, err)
			}
		}
		if softmax && s.answers[i] >= 0 {
			s.highest[i], s.logSum[i] = normaliser(s.row(i), s.answers[i])
		}
	}
	return s, nil
}

func (s *scores) row(i int) []float32 { return s.values[i*s.classes : (i+1)*s.classes] }

func (s *scores) answer(i int) int {
	best := 0
	for class, v := range s.row(i) {
		if v != v {
			return -1
		}
		if v > s.row(i)[best] {
			best = class
		}
	}
	return best
}

// checkProbabilities allows for the rounding of float32 and of a softmax in float16.
func checkProbabilities(row []float32) error {
	const rounding = 1e-3
	for class, p := range row {
		if !(p >= 0 && p <= 1+rounding) {
			return fmt.Errorf("%w: the score %v of class %d is no probability", ErrArgument, p, class)
		}
	}
	return nil
}

// normaliser returns the row's largest value and log Σ exp(z − largest): no exponent overflows.
func normaliser(row []float32, answer int) (highest, logSum float64) {
	highest = float64(row[answer])
	sum := 0.0
	for _, v := range row {
		if z := float64(v); z == highest {
			sum++ // also where both are infinite
		} else {
			sum += math.Exp(z - highest)
		}
	}
	return highest, math.Log(sum)
}

// logProbability is the logarithm of a class's probability for an image that has an answer.
func (s *scores) logProbability(i, class int) float64 {
	z := float64(s.row(i)[class])
	switch {
	case s.probabilities:
		return math.Log(z)
	case s.independent:
		return logSigmoid(z)
	case z == s.highest[i]:
		return -s.logSum[i]
	}
	return z - s.highest[i] - s.logSum[i]
}

// probability is that of a class for an image that has an answer.
func (s *scores) probability(i, class int) float64 {
	if s.probabilities {
		return float64(s.row(i)[class])
	}
	return math.Exp(s.logProbability(i, class))
}

// loss is the cross-entropy of an image that has an answer; where probabilities stand alone, the
// mean over the classes of the binary one.
func (s *scores) loss(i, label int) float64 {
	if !s.independent {
		return -s.logProbability(i, label)
	}
	sum := 0.0
	for class, v := range s.row(i) {
		switch z := float64(v); {
		case class == label:
			sum -= s.logProbability(i, class)
		case s.probabilities:
			sum -= math.Log1p(-min(z, 1)) // rounding may take z above 1
		default:
			sum -= logSigmoid(-z) // 1 − σ(z) is σ(−z)
		}
	}
	return sum / float64(s.classes)
}

// logSigmoid is log σ(z) = −log(1 + exp(−z)): no exponent overflows.
func logSigmoid(z float64) float64 { return min(z, 0) - math.Log1p(math.Exp(-math.Abs(z))) }
