package augment

import (
	"fmt"

	"slipway/internal/random"
)

// draws are the random words of one operation for one image in one epoch: the Philox stream whose
// key belongs to the seed, the operation's place in the list and its name, and whose counter to the
// image's index, the epoch and the block. What one operation draws changes no other's draws.
type draws struct {
	key     uint64
	counter [4]uint32
}

// placeKey is the key of the operation at a place of a list.
func placeKey(seed uint64, place int, name string) uint64 {
	return random.Key(seed, fmt.Sprintf("augmentation/%d/%s", place, name))
}

func newDraws(key uint64, epoch, index int) draws {
	return draws{key, [4]uint32{uint32(index), uint32(uint64(index) >> 32), uint32(epoch), 0}}
}

// block is four words; blocks 0, 1, 2, … are independent.
func (d draws) block(n uint32) words {
	d.counter[3] = n
	return words(random.Philox(d.key, d.counter))
}

type words [4]uint32

// unit is a number between 0 and 1, neither of them: the middle of one of 2³² parts.
func (w words) unit(i int) float64 { return (float64(w[i]) + 0.5) / (1 << 32) }

// below is one of 0…n−1. None is likelier by more than n in 2³².
func (w words) below(i, n int) int { return int(uint64(w[i]) * uint64(n) >> 32) }

// happens is true with that probability.
func (w words) happens(i int, probability float64) bool { return w.unit(i) < probability }
