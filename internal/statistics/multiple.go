package statistics

import (
	"fmt"
	"slices"
)

// Holm returns the p-values adjusted for there being several, in the same order:
// rejecting what stays below α makes any false rejection less likely than α. Holm,
// Scandinavian Journal of Statistics 6 (1979).
func Holm(p []float64) ([]float64, error) {
	order := make([]int, len(p))
	for i, value := range p {
		if !(value >= 0 && value <= 1) {
			return nil, fmt.Errorf("%w: p-value %v", ErrArgument, value)
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case p[i] < p[j]:
			return -1
		case p[i] > p[j]:
			return 1
		}
		return 0
	})
	adjusted, largest := make([]float64, len(p)), 0.0
	for rank, i := range order {
		largest = max(largest, min(1, p[i]*float64(len(p)-rank)))
		adjusted[i] = largest
	}
	return adjusted, nil
}
