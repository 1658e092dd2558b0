package dataset

import (
	"math/bits"
	"math/rand/v2"
	"strconv"

	"slipway/internal/random"
)

// newSource returns the random stream that belongs to (purpose, seed, epoch) alone.
func newSource(purpose string, seed uint64, epoch int) *rand.Rand {
	return random.New(seed, "dataset/"+purpose+"/"+strconv.Itoa(epoch))
}

// permutation shuffles 0…n−1 (Fisher–Yates; Knuth, TAOCP 2, 3.4.2, P).
func permutation(n int, source rand.Source) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := below(uint64(i+1), source)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// below draws 0…n−1 without bias (Lemire, ACM TOMACS 29(1), 2019). It is spelt
// out here because rand.Rand may draw otherwise in another Go release, and a
// checkpoint must resume in the same order there.
func below(n uint64, source rand.Source) uint64 {
	hi, lo := bits.Mul64(source.Uint64(), n)
	if lo < n {
		for threshold := -n % n; lo < threshold; {
			hi, lo = bits.Mul64(source.Uint64(), n)
		}
	}
	return hi
}
