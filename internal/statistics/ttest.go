package statistics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// TTest is what a t-test came to.
type TTest struct {
	// Difference is the mean of the first less that of the second, Interval its
	// confidence interval.
	Difference float64
	Interval   Interval
	// T has DegreesOfFreedom; P is two-sided.
	T, DegreesOfFreedom, P float64
}

// Welch compares the means of two independent samples of at least two values each,
// whose variances may differ: Welch, Biometrika 34 (1947). If neither varies, P is 1
// for equal means and 0 for others.
func Welch(a, b []float64, level float64) (TTest, error) {
	if len(a) < 2 || len(b) < 2 {
		return TTest{}, fmt.Errorf("%w: Welch's test of %d and %d values, at least 2 each are needed",
			ErrArgument, len(a), len(b))
	}
	deviationA, deviationB := StandardDeviation(a), StandardDeviation(b)
	nA, nB := float64(len(a)), float64(len(b))
	shareA, shareB := deviationA*deviationA/nA, deviationB*deviationB/nB
	degrees := nA + nB - 2 // that of the limit where neither varies
	if shareA+shareB > 0 {
		degrees = (shareA + shareB) * (shareA + shareB) / (shareA*shareA/(nA-1) + shareB*shareB/(nB-1))
	}
	return tTest(Mean(a)-Mean(b), math.Sqrt(shareA+shareB), degrees, level)
}

// PairedT compares the means of pairs, at least two: the t-test of their differences.
func PairedT(a, b []float64, level float64) (TTest, error) {
	d, err := differences(a, b)
	if err != nil {
		return TTest{}, err
	}
	if len(d) < 2 {
		return TTest{}, fmt.Errorf("%w: paired test of %d pairs, at least 2 are needed", ErrArgument,
			len(d))
	}
	n := float64(len(d))
	return tTest(Mean(d), StandardDeviation(d)/math.Sqrt(n), n-1, level)
}

// MeanInterval returns Student's interval of the mean of at least two values.
func MeanInterval(values []float64, level float64) (Interval, error) {
	test, err := PairedT(values, make([]float64, len(values)), level)
	return test.Interval, err
}

// PredictionInterval returns the interval that holds one more value as often as the
// level says, if the values, two or more, are normally distributed: mean ± t·s·√(1+1/n).
func PredictionInterval(values []float64, level float64) (Interval, error) {
	if len(values) < 2 {
		return Interval{}, fmt.Errorf("%w: prediction from %d values, at least 2 are needed", ErrArgument,
			len(values))
	}
	if err := checkLevel(level); err != nil {
		return Interval{}, err
	}
	n := float64(len(values))
	student := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	half := student.Quantile(1-(1-level)/2) * StandardDeviation(values) * math.Sqrt(1+1/n)
	mean := Mean(values)
	return Interval{mean - half, mean + half}, nil
}

func tTest(difference, standardError, degrees, level float64) (TTest, error) {
	if err := checkLevel(level); err != nil {
		return TTest{}, err
	}
	test := TTest{Difference: difference, DegreesOfFreedom: degrees,
		Interval: Interval{difference, difference}, P: 1}
	if standardError == 0 {
		if difference != 0 {
			test.T, test.P = math.Copysign(math.Inf(1), difference), 0
		}
		return test, nil
	}
	student := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}
	test.T = difference / standardError
	test.P = 2 * student.CDF(-math.Abs(test.T))
	half := student.Quantile(1-(1-level)/2) * standardError
	test.Interval = Interval{difference - half, difference + half}
	return test, nil
}
