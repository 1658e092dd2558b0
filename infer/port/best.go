package port

import (
	"cmp"
	"slices"
)

// fewClasses is how many of the best are found by going through all classes once, with an
// insertion for each that is better, instead of by sorting them.
const fewClasses = 16

// Best returns the n classes with an image's highest scores, or all where there are fewer, the best
// first; the lower one of equals goes first, as it does where answers are counted, and NaN last.
// Scores are ranked and not the probabilities made of them, of which different ones are rounded to
// the same: the sigmoids of 18 and 20 are both 1. The list lies in the memory of order if that has
// room for all classes.
func Best(order []int, scores []float32, n int) []int {
	n = max(0, min(n, len(scores)))
	order = slices.Grow(order[:0], len(scores))
	if n > fewClasses {
		for class := range scores {
			order = append(order, class)
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
		})
		return order[:n]
	}
	for class, score := range scores {
		at := len(order)
		for at > 0 && cmp.Less(scores[order[at-1]], score) {
			at--
		}
		switch {
		case at == n:
		case len(order) < n:
			order = slices.Insert(order, at, class)
		default:
			copy(order[at+1:], order[at:])
			order[at] = class
		}
	}
	return order
}
