// Package random is where all of Slipway's randomness comes from.
//
// Nothing in it has a clock or hidden state. A stream is a pure function of a
// seed and of what it is for; a dropout mask is a pure function of the seed, of
// the layer and of the step. So a checkpoint needs no generator state beyond
// the seed and the position, and a resumed run draws what an unbroken one does.
package random

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// New returns a stream of random numbers (ChaCha8) for one purpose. Streams of
// different seeds or purposes are independent.
func New(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewChaCha8(key(seed, purpose)))
}

// Key returns 64 bits that depend on the seed and the purpose alone, for use
// as a Philox key.
func Key(seed uint64, purpose string) uint64 {
	digest := key(seed, purpose)
	return binary.LittleEndian.Uint64(digest[:8])
}

func key(seed uint64, purpose string) [32]byte {
	message := binary.LittleEndian.AppendUint64(nil, seed)
	return sha256.Sum256(append(message, purpose...))
}
