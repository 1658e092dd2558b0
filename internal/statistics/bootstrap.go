package statistics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"slipway/internal/random"
)

// Bootstrapped is what a bootstrap came to: Efron and Tibshirani, An Introduction to
// the Bootstrap (1993).
type Bootstrapped struct {
	// Estimate is the statistic of the values themselves.
	Estimate float64
	// Percentile is the interval between two quantiles of the resamples; BCa moves
	// the quantiles to correct for bias and skewness (chapter 14).
	Percentile, BCa Interval
}

// Bootstrap draws that many resamples of the values, with replacement, and returns
// the intervals of the statistic. It needs at least two values.
func Bootstrap(values []float64, statistic func([]float64) float64, resamples int, level float64,
	seed uint64) (Bootstrapped, error) {
	if len(values) < 2 || resamples < 2 {
		return Bootstrapped{}, fmt.Errorf(
			"%w: bootstrap of %d values, %d resamples; at least 2 of each are needed", ErrArgument,
			len(values), resamples)
	}
	source := random.New(seed, "bootstrap")
	distribution, sample := make([]float64, resamples), make([]float64, len(values))
	for i := range distribution {
		for j := range sample {
			sample[j] = values[source.IntN(len(values))]
		}
		distribution[i] = statistic(sample)
	}
	return bootstrapIntervals(values, statistic, distribution, level)
}

// bootstrapIntervals returns the intervals from the statistics of the resamples.
func bootstrapIntervals(values []float64, statistic func([]float64) float64, distribution []float64,
	level float64) (Bootstrapped, error) {
	if err := checkLevel(level); err != nil {
		return Bootstrapped{}, err
	}
	estimate, tail := statistic(values), (1-level)/2
	result := Bootstrapped{
		Estimate:   estimate,
		Percentile: Interval{Quantile(distribution, tail), Quantile(distribution, 1-tail)},
	}
	result.BCa = result.Percentile
	// The bias: how far the estimate is from the median of the resamples.
	below, equal := 0, 0
	for _, v := range distribution {
		switch {
		case v < estimate:
			below++
		case v == estimate:
			equal++
		}
	}
	if below+equal == 0 || below == len(distribution) {
		return result, nil // no finite correction: the percentile interval stands
	}
	bias := distuv.UnitNormal.Quantile((float64(below) + float64(equal)/2) / float64(
		len(distribution)))
	acceleration, ok := jackknifeAcceleration(values, statistic)
	if !ok || math.IsInf(bias, 0) {
		return result, nil
	}
	corrected := func(p float64) float64 {
		z := bias + distuv.UnitNormal.Quantile(p)
		return Quantile(distribution, distuv.UnitNormal.CDF(bias+z/(1-acceleration*z)))
	}
	result.BCa = Interval{corrected(tail), corrected(1 - tail)}
	return result, nil
}

// jackknifeAcceleration returns a sixth of the skewness of the statistic, as the
// values left out one by one show it; not ok if nothing changes.
func jackknifeAcceleration(values []float64, statistic func([]float64) float64) (
	acceleration float64, ok bool) {
	left := make([]float64, len(values))
	sample := make([]float64, 0, len(values)-1)
	for i := range values {
		sample = append(append(sample[:0], values[:i]...), values[i+1:]...)
		left[i] = statistic(sample)
	}
	mean, cubes, squares := Mean(left), 0.0, 0.0
	for _, v := range left {
		d := mean - v
		cubes += d * d * d
		squares += d * d
	}
	if squares == 0 {
		return 0, false
	}
	return cubes / (6 * math.Pow(squares, 1.5)), true
}

// CrossedBootstrap returns the percentile interval of the mean of a table whose rows
// and columns are both samples: runs that other seeds could have given, and images
// that others could stand for. Rows and columns are drawn independently, as in Owen,
// The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007); it errs on the side
// of wide intervals. All rows have the same length.
func CrossedBootstrap(table [][]int8, resamples int, level float64, seed uint64) (Interval, error) {
	if len(table) == 0 || len(table[0]) == 0 || resamples < 2 {
		return Interval{}, fmt.Errorf("%w: crossed bootstrap of an empty table, or %d resamples",
			ErrArgument, resamples)
	}
	columns := len(table[0])
	for _, row := range table {
		if len(row) != columns {
			return Interval{}, fmt.Errorf("%w: rows of %d and %d columns", ErrArgument, columns, len(row))
		}
	}
	if err := checkLevel(level); err != nil {
		return Interval{}, err
	}
	source := random.New(seed, "crossed bootstrap")
	distribution := make([]float64, resamples)
	weights, rowSums := make([]int32, columns), make([]float64, len(table))
	for r := range distribution {
		clear(weights)
		for range columns {
			weights[source.Uint32N(uint32(columns))]++
		}
		for i, row := range table {
			sum := int32(0)
			for j, v := range row {
				sum += weights[j] * int32(v)
			}
			rowSums[i] = float64(sum)
		}
		total := 0.0
		for range table {
			total += rowSums[source.IntN(len(table))]
		}
		distribution[r] = total / float64(len(table)*columns)
	}
	tail := (1 - level) / 2
	return Interval{Quantile(distribution, tail), Quantile(distribution, 1-tail)}, nil
}
