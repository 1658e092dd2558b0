package classify

import "slipway/infer/port"

// results are the classes of image i, the best first.
func (s *session) results(scores Logits, i int) ([]Result, error) {
	labels, err := s.classifier.namesOf(scores.K)
	if err != nil {
		return nil, err
	}
	w := &s.work
	w.row = append(w.row[:0], scores.Row(i)...)
	s.classifier.scale.Probabilities(w.row)
	for _, p := range w.row {
		if p != p {
			return nil, ErrNotFinite
		}
	}
	results := make([]Result, 0, s.classifier.top(scores.K))
	w.order = port.Best(w.order, scores.Row(i), cap(results))
	for _, class := range w.order {
		results = append(results, Result{class, labels[class], float64(w.row[class])})
	}
	return results, nil
}

// top is how many of so many classes are returned.
func (c *Classifier) top(classes int) int {
	if c.chosen.top == 0 {
		return classes
	}
	return min(c.chosen.top, classes)
}
