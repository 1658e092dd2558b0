// Package statistics has what it takes to compare training runs: tests of a
// difference, intervals of a figure, and how well scores are calibrated.
//
// All functions are pure: what draws random numbers takes a seed, and the same seed gives the same
// answer. Distributions are Gonum's. Tests, Holm's correction, the bootstrap of one sample,
// intervals of shares and of one more value, and calibration are checked against SciPy or
// statsmodels on the same numbers (testdata/golden.json, made by scripts/golden/make-golden
// statistics). Counts of classes and rankings are checked against scikit-learn by package metrics,
// which is made of them. Quantile, MeanInterval and CrossedBootstrap are checked by cases whose
// answer is known.
package statistics

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrArgument is wrapped by the errors for arguments that are out of range.
var ErrArgument = errors.New("argument out of range")

// Interval is a range of values, both ends included.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Contains reports whether x is in the interval.
func (i Interval) Contains(x float64) bool { return i.Low <= x && x <= i.High }

// Mean returns the mean of the values, NaN if there are none.
func Mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// StandardDeviation returns the sample's (divided by n − 1), 0 of a single value.
func StandardDeviation(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	mean, sum := Mean(values), 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

// Quantile returns the value below which a share p of the values lies, 0 ≤ p ≤ 1,
// interpolated between neighbours as NumPy does (Hyndman and Fan's type 7).
func Quantile(values []float64, p float64) float64 {
	if len(values) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := p * float64(len(sorted)-1)
	below := int(math.Floor(at))
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// differences returns a[i] − b[i].
func differences(a, b []float64) ([]float64, error) {
	if len(a) != len(b) {
		return nil, fmt.Errorf("%w: pairs of %d and %d values", ErrArgument, len(a), len(b))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d, nil
}

func checkLevel(level float64) error {
	if !(level > 0 && level < 1) {
		return fmt.Errorf("%w: confidence level %v is not between 0 and 1", ErrArgument, level)
	}
	return nil
}
