package statistics

import (
	"fmt"
	"math"
)

// Scores are the answers of one classifier on labelled images.
type Scores struct {
	// Probabilities is N×Classes, each row summing to 1.
	Probabilities []float64
	Classes       int
	// Labels has N entries, 0…Classes−1.
	Labels []int
}

// NewIndependentScores makes scores of logits, N×classes, each by the sigmoid: classes stand alone.
func NewIndependentScores(logits []float32, classes int, labels []int) (Scores, error) {
	scores, err := NewScores(logits, classes, labels)
	if err != nil {
		return Scores{}, err
	}
	for i, z := range logits {
		scores.Probabilities[i] = 1 / (1 + math.Exp(-float64(z)))
	}
	return scores, nil
}

// NewScores makes scores of logits, N×classes, by softmax.
func NewScores(logits []float32, classes int, labels []int) (Scores, error) {
	if classes < 1 || len(labels) == 0 || len(logits) != classes*len(labels) {
		return Scores{}, fmt.Errorf("%w: %d logits for %d labels of %d classes", ErrArgument, len(logits),
			len(labels), classes)
	}
	probabilities := make([]float64, len(logits))
	for i, label := range labels {
		if label < 0 || label >= classes {
			return Scores{}, fmt.Errorf("%w: label %d of image %d, there are %d classes", ErrArgument, label,
				i, classes)
		}
		row, out := logits[i*classes:(i+1)*classes], probabilities[i*classes:(i+1)*classes]
		largest := math.Inf(-1)
		for _, v := range row {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return Scores{}, fmt.Errorf("%w: logit %v of image %d", ErrArgument, v, i)
			}
			largest = max(largest, float64(v))
		}
		sum := 0.0
		for c, v := range row {
			out[c] = math.Exp(float64(v) - largest)
			sum += out[c]
		}
		for c := range out {
			out[c] /= sum
		}
	}
	return Scores{probabilities, classes, labels}, nil
}

// Len returns the number of images.
func (s Scores) Len() int { return len(s.Labels) }

// Row returns the probabilities of image i; not a copy.
func (s Scores) Row(i int) []float64 { return s.Probabilities[i*s.Classes : (i+1)*s.Classes] }

// Answer returns the most probable class of image i, the first of equal ones, and its
// probability, the confidence.
func (s Scores) Answer(i int) (class int, confidence float64) {
	for c, p := range s.Row(i) {
		if p > confidence {
			class, confidence = c, p
		}
	}
	return class, confidence
}

// Correct says of each image whether the most probable class is its label.
func (s Scores) Correct() []bool {
	correct := make([]bool, s.Len())
	for i, label := range s.Labels {
		class, _ := s.Answer(i)
		correct[i] = class == label
	}
	return correct
}

// Confusion returns the number of images by label (row) and answer (column).
func (s Scores) Confusion() [][]int {
	matrix := make([][]int, s.Classes)
	for c := range matrix {
		matrix[c] = make([]int, s.Classes)
	}
	for i, label := range s.Labels {
		class, _ := s.Answer(i)
		matrix[label][class]++
	}
	return matrix
}

// Brier returns the mean over the images of Σ(p − y)², y the label's one-hot row, 0…2:
// Brier, Monthly Weather Review 78 (1950).
func (s Scores) Brier() float64 {
	sum := 0.0
	for i, label := range s.Labels {
		for c, p := range s.Row(i) {
			if c == label {
				p--
			}
			sum += p * p
		}
	}
	return sum / float64(s.Len())
}

// Bin is the images whose confidence is in one range of a reliability diagram.
type Bin struct {
	// Range is half open, but for the last bin's.
	Range Interval
	Count int
	// Confidence and Accuracy are means over the images, 0 if there are none.
	Confidence, Accuracy float64
}

// Reliability sorts the images by confidence into that many bins of equal width.
func (s Scores) Reliability(bins int) ([]Bin, error) {
	confidence := make([]float64, s.Len())
	for i := range confidence {
		_, confidence[i] = s.Answer(i)
	}
	return Reliability(confidence, s.Correct(), bins)
}

// Reliability sorts images, whose answers are that confident and right or not, into that many
// bins of equal width.
func Reliability(confidence []float64, right []bool, bins int) ([]Bin, error) {
	if bins < 1 || len(confidence) != len(right) {
		return nil, fmt.Errorf("%w: %d bins of %d confidences and %d answers", ErrArgument,
			bins, len(confidence), len(right))
	}
	out := make([]Bin, bins)
	for b := range out {
		out[b].Range = Interval{float64(b) / float64(bins), float64(b+1) / float64(bins)}
	}
	for i, c := range confidence {
		if !(c >= 0 && c <= 1.01) { // more than 1 by rounding
			return nil, fmt.Errorf("%w: confidence %v of image %d", ErrArgument, c, i)
		}
		bin := &out[min(bins-1, int(c*float64(bins)))]
		bin.Count++
		bin.Confidence += c
		if right[i] {
			bin.Accuracy++
		}
	}
	for b := range out {
		if n := float64(out[b].Count); n > 0 {
			out[b].Confidence /= n
			out[b].Accuracy /= n
		}
	}
	return out, nil
}

// CalibrationError returns the expected calibration error of the bins: the mean over
// the images of |accuracy − confidence| of their bin. Guo, Pleiss, Sun and Weinberger,
// On calibration of modern neural networks, ICML 2017.
func CalibrationError(bins []Bin) float64 {
	sum, n := 0.0, 0
	for _, bin := range bins {
		sum += float64(bin.Count) * math.Abs(bin.Accuracy-bin.Confidence)
		n += bin.Count
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}
