package statistics

import (
	"fmt"
	"math"
	"slices"
)

// Ranking is how well scores put the positives of a binary question before its negatives.
// Both figures depend on the order of the scores alone.
type Ranking struct {
	// ROCAUC is the area under the receiver operating characteristic: the share of the pairs
	// of a positive and a negative in which the positive has the higher score, ties counted
	// half. Without a positive or without a negative it is NaN. It is scikit-learn's
	// roc_auc_score; Hanley and McNeil, Radiology 143 (1982).
	ROCAUC float64
	// AveragePrecision is Σ (Rₙ − Rₙ₋₁)·Pₙ over the distinct scores from the highest down, P
	// and R being precision and recall of what has at least that score. Without a positive it
	// is NaN. It is scikit-learn's average_precision_score, which interpolates nothing.
	AveragePrecision float64
}

// NewRanking ranks the scores; positive says of each whether it is one to find. A score that
// is NaN has no place in an order and is an error.
func NewRanking(scores []float64, positive []bool) (Ranking, error) {
	if len(scores) != len(positive) {
		return Ranking{}, fmt.Errorf("%w: %d scores for %d answers", ErrArgument,
			len(scores), len(positive))
	}
	order := make([]int, len(scores))
	for i, score := range scores {
		if math.IsNaN(score) {
			return Ranking{}, fmt.Errorf("%w: score %d is NaN", ErrArgument, i)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	// Counts of pairs are whole numbers: sums of them are exact up to 2⁵³.
	var found, passed, pairs, precisions float64
	for from := 0; from < len(order); {
		to := from
		var positives, negatives float64
		for ; to < len(order) && scores[order[to]] == scores[order[from]]; to++ {
			if positive[order[to]] {
				positives++
			} else {
				negatives++
			}
		}
		pairs += negatives * (found + positives/2)
		found, passed = found+positives, passed+negatives
		precisions += positives * found / (found + passed)
		from = to
	}
	// 0/0 is the NaN of what is not defined.
	return Ranking{ROCAUC: pairs / (found * passed), AveragePrecision: precisions / found}, nil
}
