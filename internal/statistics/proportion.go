package statistics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson returns the score interval of a share of which successes of n were seen:
// Wilson, Probable inference, the law of succession, and statistical inference,
// JASA 22 (1927).
func Wilson(successes, n int, level float64) (Interval, error) {
	if err := checkProportion(successes, n, level); err != nil {
		return Interval{}, err
	}
	z := distuv.UnitNormal.Quantile(1 - (1-level)/2)
	total := float64(n)
	p := float64(successes) / total
	centre := (p + z*z/(2*total)) / (1 + z*z/total)
	half := z / (1 + z*z/total) * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	return Interval{max(0, centre-half), min(1, centre+half)}, nil
}

// ClopperPearson returns the exact interval of a share, which holds the true one at
// least as often as the level says: Clopper and Pearson, Biometrika 26 (1934).
func ClopperPearson(successes, n int, level float64) (Interval, error) {
	if err := checkProportion(successes, n, level); err != nil {
		return Interval{}, err
	}
	tail := (1 - level) / 2
	k, rest := float64(successes), float64(n-successes)
	interval := Interval{0, 1}
	if successes > 0 {
		interval.Low = mathext.InvRegIncBeta(k, rest+1, tail)
	}
	if successes < n {
		interval.High = mathext.InvRegIncBeta(k+1, rest, 1-tail)
	}
	return interval, nil
}

func checkProportion(successes, n int, level float64) error {
	if n < 1 || successes < 0 || successes > n {
		return fmt.Errorf("%w: %d of %d", ErrArgument, successes, n)
	}
	return checkLevel(level)
}

// McNemar returns the two-sided p-value of the exact test that two classifiers are
// right equally often, from the images that only the first and only the second has
// right: twice the smaller tail of a binomial distribution with p = ½, at most 1.
// McNemar, Psychometrika 12 (1947). Without any such image it is 1.
func McNemar(onlyFirst, onlySecond int) (float64, error) {
	if onlyFirst < 0 || onlySecond < 0 {
		return 0, fmt.Errorf("%w: %d and %d images", ErrArgument, onlyFirst, onlySecond)
	}
	n := onlyFirst + onlySecond
	if n == 0 {
		return 1, nil
	}
	tail := distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(min(onlyFirst, onlySecond)))
	return min(1, 2*tail), nil
}
