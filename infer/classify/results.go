package classify

import (
	"cmp"
	"slices"
)

// results are the classes of image i, the most probable first.
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
	for _, class := range w.best(cap(results)) {
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

// fewClasses is how many of the best are found by going through all classes once, with an
// insertion for each that is better, instead of by sorting them.
const fewClasses = 16

// best are the n most probable classes of the row, in order; the lower one of equals first.
func (w *workspace) best(n int) []int {
	w.order = atLeast(w.order, len(w.row))
	if n > fewClasses {
		for class := range w.order {
			w.order[class] = class
		}
		slices.SortFunc(w.order, func(a, b int) int {
			return cmp.Or(cmp.Compare(w.row[b], w.row[a]), cmp.Compare(a, b))
		})
		return w.order[:n]
	}
	best := w.order[:0]
	for class, p := range w.row {
		at := len(best)
		for at > 0 && p > w.row[best[at-1]] {
			at--
		}
		switch {
		case at == n:
		case len(best) < n:
			best = slices.Insert(best, at, class)
		default:
			copy(best[at+1:], best[at:])
			best[at] = class
		}
	}
	return best
}
