package corrupt

import "math/rand/v2"

// below draws 0…n−1, n ≤ 2¹⁶, with a bias below 2⁻¹⁶ of each chance. It is spelt out
// because rand.Rand may draw otherwise in another Go release.
func below(n int, r *rand.Rand) int {
	return int(r.Uint64() >> 32 * uint64(n) >> 32)
}

// side draws −1 or 1.
func side(r *rand.Rand) int64 { return int64(2*below(2, r) - 1) }
