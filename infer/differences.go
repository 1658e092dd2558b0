package infer

import (
	"fmt"
	"math"
	"slices"
)

// A Bucket counts the differences from From up to below To, which are fractions
// of the logits' range.
type Bucket struct {
	From, To float64
	Count    int
}

// A Histogram is how the differences of all logits are distributed.
type Histogram struct {
	// Equal counts the logits without a difference, NotFinite those with a NaN or
	// an infinity on one side.
	Equal, NotFinite int
	// Buckets are adjacent and ascending, two a decade, from the first that counts
	// something to the last; none if there is no finite difference.
	Buckets []Bucket
}

// Bounds of the buckets, in half decades: differences below 10⁻¹² of the range
// are smaller than float32 can tell and are counted in the first.
const (
	lowestHalfDecade  = -24
	highestHalfDecade = 12
)

// NewHistogram counts the differences of b from the reference a, which have the
// same N and K. Differences of 10⁶ ranges and more are in the last bucket.
func NewHistogram(a, b Logits) (Histogram, error) {
	if err := sameShape(a, b); err != nil {
		return Histogram{}, err
	}
	var h Histogram
	counts := make([]int, highestHalfDecade-lowestHalfDecade+1)
	rangeOf := valueRange(a.Values)
	first, last := len(counts), -1
	for i, va := range a.Values {
		diff := difference(va, b.Values[i])
		switch {
		case diff == 0:
			h.Equal++
			continue
		case math.IsInf(diff, 0):
			h.NotFinite++
			continue
		}
		// A range of 0 makes the fraction infinite, which is the last bucket.
		k := min(math.Floor(2*math.Log10(diff/rangeOf)), highestHalfDecade)
		bucket := max(int(k), lowestHalfDecade) - lowestHalfDecade
		counts[bucket]++
		first, last = min(first, bucket), max(last, bucket)
	}
	for bucket := first; bucket <= last; bucket++ {
		k := bucket + lowestHalfDecade
		h.Buckets = append(h.Buckets, Bucket{halfDecade(k), halfDecade(k + 1), counts[bucket]})
	}
	return h, nil
}

func halfDecade(k int) float64 { return math.Pow(10, float64(k)/2) }

// A LabelChange is an image whose two answers differ, or that has none on one side.
type LabelChange struct {
	Image int
	// A and B are the answers, -1 for none because of a NaN.
	A, B int
	// MarginA and MarginB are the distances of the two largest logits; NaN where
	// there is no answer.
	MarginA, MarginB float64
}

// ChangedLabels lists the images whose labels differ, those with the largest
// margin first: what rounding turns over has none worth the name.
func ChangedLabels(a, b Logits) ([]LabelChange, error) {
	if err := sameShape(a, b); err != nil {
		return nil, err
	}
	var changes []LabelChange
	for i := range a.N {
		la, lb := a.Label(i), b.Label(i)
		if la != lb || la < 0 {
			changes = append(changes, LabelChange{i, la, lb, answerMargin(a, i), answerMargin(b, i)})
		}
	}
	size := func(c LabelChange) float64 {
		if c.A < 0 || c.B < 0 {
			return math.Inf(1)
		}
		return max(c.MarginA, c.MarginB)
	}
	slices.SortStableFunc(changes, func(x, y LabelChange) int {
		switch sx, sy := size(x), size(y); {
		case sx > sy:
			return -1
		case sx < sy:
			return 1
		}
		return 0
	})
	return changes, nil
}

func answerMargin(l Logits, i int) float64 {
	if l.Label(i) < 0 {
		return math.NaN()
	}
	return margin(l.Row(i))
}

// WorstImages returns the n images whose logits differ most, the worst first; fewer
// if there are not so many. NaN and infinity count as infinitely far apart.
func WorstImages(a, b Logits, n int) ([]int, error) {
	if err := sameShape(a, b); err != nil {
		return nil, err
	}
	largest := make([]float64, a.N)
	order := make([]int, a.N)
	for i := range order {
		order[i] = i
		for k, v := range a.Row(i) {
			largest[i] = max(largest[i], difference(v, b.Row(i)[k]))
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case largest[i] > largest[j]:
			return -1
		case largest[i] < largest[j]:
			return 1
		}
		return 0
	})
	return order[:min(n, len(order))], nil
}

func sameShape(a, b Logits) error {
	if a.N != b.N || a.K != b.K {
		return fmt.Errorf("logits of %d images × %d classes cannot be compared with %d × %d", a.N, a.K,
			b.N, b.K)
	}
	if len(a.Values) != a.N*a.K || len(b.Values) != b.N*b.K {
		return fmt.Errorf("%d×%d logits must have %d values, not %d and %d", a.N, a.K, a.N*a.K,
			len(a.Values), len(b.Values))
	}
	return nil
}
