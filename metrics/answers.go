package metrics

// Answer is what a classifier says of one image.
type Answer struct {
	// Label is the true class, Class the one with the highest score, −1 where there is a NaN
	// among the scores.
	Label, Class int
	// Confidence is the probability of Class, OfLabel that of Label; both 0 without an answer.
	Confidence, OfLabel float64
}

// Right reports whether the answer is the label.
func (a Answer) Right() bool { return a.Class == a.Label }

// Answers reads the answers out of scores, N×classes, for N labels, as New does.
func Answers(values []float32, labels []int, classes int, options Options) ([]Answer, error) {
	s, err := newScores(values, labels, classes, options)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(labels))
	for i, label := range labels {
		answers[i] = Answer{Label: label, Class: s.answers[i]}
		if s.answers[i] >= 0 {
			answers[i].Confidence = s.probability(i, s.answers[i])
			answers[i].OfLabel = s.probability(i, label)
		}
	}
	return answers, nil
}
