package random

import "math"

// Words are the words of Philox under a key, from a place on: one after another, as many as are
// asked for. Words of different keys or places are independent.
type Words struct {
	key     uint64
	counter [4]uint32
	block   [4]uint32
	left    int // of the block
}

// NewWords returns the words at a place, such as a step, under a key of Key.
func NewWords(key, place uint64) Words {
	return Words{key: key, counter: [4]uint32{uint32(place), uint32(place >> 32)}}
}

// Uint32 returns the next word.
func (w *Words) Uint32() uint32 {
	if w.left == 0 {
		w.block, w.left = Philox(w.key, w.counter), 4
		if w.counter[2]++; w.counter[2] == 0 {
			w.counter[3]++
		}
	}
	w.left--
	return w.block[3-w.left]
}

// Unit returns a number between 0 and 1, neither of them: the middle of one of 2⁵² parts.
func (w *Words) Unit() float64 {
	high, low := w.Uint32(), w.Uint32()
	return (float64(uint64(high)<<20|uint64(low>>12)) + 0.5) / (1 << 52)
}

// Below returns one of 0…n−1, n at least 1. None is likelier by more than n in 2³².
func (w *Words) Below(n int) int { return int(uint64(w.Uint32()) * uint64(n) >> 32) }

// Normal returns a number of the normal distribution of mean 0 and deviation 1, by Box and Muller's
// transform.
func (w *Words) Normal() float64 {
	radius := math.Sqrt(-2 * math.Log(w.Unit()))
	return radius * math.Cos(2*math.Pi*w.Unit())
}

// Beta returns a number of the distribution Beta(a, b), a and b above 0, between 0 and 1 and
// possibly either of them, where it is nearer to it than a float64 can be. It is X/(X+Y) for X of
// the distribution Gamma(a) and Y of Gamma(b).
func (w *Words) Beta(a, b float64) float64 {
	x, y := w.logGamma(a), w.logGamma(b)
	return 1 / (1 + math.Exp(y-x))
}

// logGamma returns the logarithm of a number of the distribution Gamma(shape, 1), by the rejections
// of Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (ACM TOMS 26(3), 2000):
// a shape below 1 is raised by 1, and the result multiplied by U^(1/shape). The number itself would
// be 0 for a small shape.
func (w *Words) logGamma(shape float64) float64 {
	if shape < 1 {
		return w.logGamma(shape+1) + math.Log(w.Unit())/shape
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := w.Normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(w.Unit()) < x*x/2+d-d*v+d*math.Log(v) {
			return math.Log(d * v)
		}
	}
}
