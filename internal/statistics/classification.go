package statistics

import "fmt"

// Counts are the answers to a binary question, or those about one of several classes.
type Counts struct {
	TruePositive, FalsePositive, FalseNegative int
}

// CountClasses counts of each class, from labels and answers 0…classes−1, what was answered
// right and wrong. An answer of −1 is none: it misses its label and accuses no class.
func CountClasses(labels, answers []int, classes int) ([]Counts, error) {
	if len(labels) != len(answers) {
		return nil, fmt.Errorf("%w: %d answers for %d labels", ErrArgument, len(answers), len(labels))
	}
	counts := make([]Counts, classes)
	for i, label := range labels {
		answer := answers[i]
		switch {
		case label < 0 || label >= classes:
			return nil, fmt.Errorf("%w: label %d of image %d, there are %d classes", ErrArgument,
				label, i, classes)
		case answer < -1 || answer >= classes:
			return nil, fmt.Errorf("%w: answer %d to image %d, there are %d classes", ErrArgument,
				answer, i, classes)
		case answer == label:
			counts[label].TruePositive++
			continue
		}
		counts[label].FalseNegative++
		if answer >= 0 {
			counts[answer].FalsePositive++
		}
	}
	return counts, nil
}

// Support is the number of positives that there are.
func (c Counts) Support() int { return c.TruePositive + c.FalseNegative }

// Precision is the share of the answers "positive" that are right, NaN without one.
func (c Counts) Precision() float64 {
	return float64(c.TruePositive) / float64(c.TruePositive+c.FalsePositive)
}

// Recall is the share of the positives that are found, NaN where there are none.
func (c Counts) Recall() float64 { return float64(c.TruePositive) / float64(c.Support()) }

// F1 is the harmonic mean of precision and recall, 2·TP / (2·TP + FP + FN): 0 where no answer is
// right, NaN where there are neither positives nor answers "positive".
func (c Counts) F1() float64 {
	right := 2 * float64(c.TruePositive)
	return right / (right + float64(c.FalsePositive+c.FalseNegative))
}

// TopK reports whether the label is among the k classes of the highest scores. Of equal
// scores the first class goes before the later ones, as in an answer.
func TopK[F float32 | float64](row []F, label, k int) bool {
	before := 0
	for class, score := range row {
		if score > row[label] || score == row[label] && class < label {
			before++
		}
	}
	return before < k
}

// MeanDefined is the mean of the values that are no NaN, NaN where all are.
func MeanDefined(values []float64) float64 {
	var sum, n float64
	for _, v := range values {
		if v == v {
			sum += v
			n++
		}
	}
	return sum / n
}
