package random

import "math/bits"

// Philox is the counter-based generator Philox4x32-10 of Salmon, Moraes, Dror
// and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11): ten rounds
// of multiplication and exclusive-or turn a 128-bit counter and a 64-bit key
// into four random words. Any element of the stream is computed on its own, so
// that a mask does not depend on how the work is split.
func Philox(key uint64, counter [4]uint32) [4]uint32 {
	const (
		multiplier0, multiplier1 = 0xD2511F53, 0xCD9E8D57
		weyl0, weyl1             = 0x9E3779B9, 0xBB67AE85
	)
	key0, key1 := uint32(key), uint32(key>>32)
	for round := 0; round < 10; round++ {
		high0, low0 := bits.Mul32(multiplier0, counter[0])
		high1, low1 := bits.Mul32(multiplier1, counter[2])
		counter = [4]uint32{high1 ^ counter[1] ^ key0, low1, high0 ^ counter[3] ^ key1, low0}
		key0 += weyl0
		key1 += weyl1
	}
	return counter
}
