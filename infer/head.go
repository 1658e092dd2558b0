package infer

import (
	"math"

	"slipway/infer/port"
)

// unitRoundoff is half the distance of 1 to the next float32, 2⁻²⁴.
const unitRoundoff = 0x1p-24

// rounding is that of the function itself: of each of K terms of a sum, of the
// exponential, the quotient and the store, as a fraction of a score; and the
// smallest score that is told from 0, for Softmax the smallest normal number.
// Runtimes approximate the logistic function to a few units of 1's last place, near
// 0, too: onnxruntime clamps what it takes to ±18.
func roundingOf(h Head, classes int) (fraction, least float64) {
	unit, normal := unitRoundoff, 0x1p-126
	if h.Float16 {
		unit, normal = 0x1p-11, 0x1p-14
	}
	if h.Operator == port.Sigmoid {
		return 4 * unit, 4 * unit
	}
	return float64(classes+4) * unit, normal
}

// change is the smallest change of the logits, in their own units, that makes p of
// q or q of p: two runtimes whose logits differ by no more than it can have given
// both.
//
// With |Δz| ≤ δ for every logit z, e^z changes by a factor within e^±δ. The odds of
// a class, p/(1−p) = e^z ÷ Σ e^z' of the others, change by one within e^±2δ, so
// that logit(p) = ln(p/(1−p)) moves by 2δ at most, and p by p(1−p)(e^2δ−1) at
// most, which is a bound of p(1−p)·2δ for small δ and attained. Turned round: δ is
// at least half of what logit(p) has moved. Of a Sigmoid it is all of it, as
// logit(p) is z; of a LogSoftmax half of the difference, as ln p changes by no more
// than logit(p). Rounding in the function is granted before that: an interval
// stands for each number.
func changeOf(h Head, p, q float32, classes int) float64 {
	if p == q {
		return 0
	}
	a, b := float64(min(p, q)), float64(max(p, q))
	if math.IsNaN(a) {
		return math.Inf(1)
	}
	roundings, smallest := roundingOf(h, classes)
	if h.Operator == port.LogSoftmax {
		granted := 2*roundings + roundings/4*(math.Abs(a)+math.Abs(b))
		return max(0, finiteOr(b-a-granted, math.Inf(1))) / 2
	}
	granted := func(v float64) float64 { return roundings*v + smallest }
	if a < -smallest || b > 1+granted(1) {
		return math.Inf(1) // no probability
	}
	// Two intervals that both reach 0, or 1, cannot be told apart: ∞−∞.
	least := max(0, finiteOr(logOdds(b-granted(b))-logOdds(a+granted(a)), 0))
	if h.Operator == port.Softmax {
		return least / 2
	}
	return least
}

// finiteOr is v, or another number where v is none.
func finiteOr(v, other float64) float64 {
	if math.IsNaN(v) {
		return other
	}
	return v
}

// logOdds is ln(p/(1−p)), ∓Inf from 0 down and from 1 up.
func logOdds(p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	}
	return math.Log(p) - math.Log1p(-p)
}

// logit is the logit that a score stands for, up to a number that all of its image
// have in common; ±Inf where the score is rounded to 0 or, of a Sigmoid, to 1.
func logitOf(h Head, score float32) float64 {
	switch p := float64(score); h.Operator {
	case port.Softmax:
		return math.Log(p)
	case port.Sigmoid:
		return logOdds(p)
	default:
		return p
	}
}

// leastRange is a range that the logits have at least, from what the scores tell:
// that of one image's logits, or, where they are known outright, of all. What a
// Sigmoid makes of large logits is too near to 1 to tell them by.
func leastRangeOf(h Head, scores Logits) float64 {
	largest, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for i := range scores.N {
		if h.Operator != port.Sigmoid {
			low, high = math.Inf(1), math.Inf(-1)
		}
		for _, score := range scores.Row(i) {
			if h.Operator == port.Sigmoid && score > 1-0x1p-10 {
				continue
			}
			if z := logitOf(h, score); !math.IsNaN(z) && !math.IsInf(z, 0) {
				low, high = min(low, z), max(high, z)
			}
		}
		largest = max(largest, high-low) // −∞ where there was none
	}
	return largest
}
