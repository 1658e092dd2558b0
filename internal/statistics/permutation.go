package statistics

import (
	"fmt"
	"math"
	"math/bits"

	"gonum.org/v1/gonum/stat/combin"

	"slipway/internal/random"
)

// Permutation is what a permutation test came to.
type Permutation struct {
	// P is the share of the arrangements whose means differ at least as much as
	// those seen, in either direction.
	P float64
	// Arrangements were looked at: all there are if Exact, else as many drawn at
	// random, the one seen counted among them.
	Arrangements int
	Exact        bool
}

const (
	// maxArrangements is the most that a test goes through one by one: 10 against
	// 10 values have 184,756, and 20 pairs 1,048,576.
	maxArrangements = 1 << 20
	// drawnArrangements gives a p-value near 0.05 a standard error of 0.0007.
	drawnArrangements = 100_000
)

// PermutationTest compares the means of two independent samples: under the hypothesis
// that both come from one distribution, every way to deal the values out is as likely.
func PermutationTest(a, b []float64, seed uint64) (Permutation, error) {
	if len(a) == 0 || len(b) == 0 {
		return Permutation{}, fmt.Errorf("%w: permutation test of %d and %d values", ErrArgument, len(a),
			len(b))
	}
	all := append(append([]float64(nil), a...), b...)
	total, scale := 0.0, 0.0
	for _, v := range all {
		total += v
		scale += math.Abs(v)
	}
	nA, nB := float64(len(a)), float64(len(b))
	difference := func(sumA float64) float64 { return math.Abs(sumA/nA - (total-sumA)/nB) }
	sumA := 0.0
	for _, v := range a {
		sumA += v
	}
	// Sums of the same values in another order differ by rounding alone.
	seen := difference(sumA) - 1e-14*scale
	if combinations := combin.GeneralizedBinomial(float64(len(all)),
		nA); combinations <= maxArrangements {
		atLeast, count := 0, 0
		chosen := make([]int, len(a))
		for generator := combin.NewCombinationGenerator(len(all), len(a)); generator.Next(); count++ {
			sum := 0.0
			for _, i := range generator.Combination(chosen) {
				sum += all[i]
			}
			if difference(sum) >= seen {
				atLeast++
			}
		}
		return Permutation{float64(atLeast) / float64(count), count, true}, nil
	}
	source := random.New(seed, "permutation test")
	atLeast := 1 // the arrangement seen
	for range drawnArrangements - 1 {
		sum := 0.0
		for i := range a { // the first steps of a Fisher–Yates shuffle
			j := i + source.IntN(len(all)-i)
			all[i], all[j] = all[j], all[i]
			sum += all[i]
		}
		if difference(sum) >= seen {
			atLeast++
		}
	}
	return Permutation{float64(atLeast) / drawnArrangements, drawnArrangements, false}, nil
}

// PairedPermutationTest compares the means of pairs: under the hypothesis that
// the two of a pair are exchangeable, every choice of signs of the differences is
// as likely.
func PairedPermutationTest(a, b []float64, seed uint64) (Permutation, error) {
	d, err := differences(a, b)
	if err != nil {
		return Permutation{}, err
	}
	if len(d) == 0 {
		return Permutation{}, fmt.Errorf("%w: permutation test of no pairs", ErrArgument)
	}
	sum, scale := 0.0, 0.0
	for _, v := range d {
		sum += v
		scale += math.Abs(v)
	}
	seen := math.Abs(sum) - 1e-14*scale
	if len(d) <= bits.Len(maxArrangements)-1 {
		atLeast, count := 0, 1<<len(d)
		for arrangement := range count {
			signed := 0.0
			for i, v := range d {
				if arrangement>>i&1 == 1 {
					v = -v
				}
				signed += v
			}
			if math.Abs(signed) >= seen {
				atLeast++
			}
		}
		return Permutation{float64(atLeast) / float64(count), count, true}, nil
	}
	source := random.New(seed, "paired permutation test")
	atLeast := 1
	for range drawnArrangements - 1 {
		signed := 0.0
		for _, v := range d {
			if source.Uint64()&1 == 1 {
				v = -v
			}
			signed += v
		}
		if math.Abs(signed) >= seen {
			atLeast++
		}
	}
	return Permutation{float64(atLeast) / drawnArrangements, drawnArrangements, false}, nil
}
