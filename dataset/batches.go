package dataset

import (
	"fmt"
	"iter"
)

// Batches deals the indices 0…n−1 of a set's images out in mini-batches, each epoch in
// another order. It holds no position: it is a function of seed and epoch,
// and safe for concurrent use.
type Batches struct {
	n, size  int
	seed     uint64
	shuffled bool
}

// NewBatches deals n indices in an order drawn anew for each epoch from the seed. The size
// of a batch is at least 1; one over n gives one batch of all images.
func NewBatches(n, size int, seed uint64) (*Batches, error) {
	b, err := Sequential(n, size)
	if err != nil {
		return nil, err
	}
	b.seed, b.shuffled = seed, true
	return b, nil
}

// Sequential deals in the set's own order, for evaluation.
func Sequential(n, size int) (*Batches, error) {
	if n < 1 {
		return nil, fmt.Errorf("%w: batches of %d images", ErrEmpty, n)
	}
	if size < 1 {
		return nil, fmt.Errorf("%w: batch size %d, at least 1 is needed", ErrArgument, size)
	}
	return &Batches{n: n, size: size}, nil
}

// Size returns the images of a full batch.
func (b *Batches) Size() int { return b.size }

// Steps returns the batches of an epoch, ⌈Len/Size⌉: the last may be short.
func (b *Batches) Steps() int { return (b.n-1)/b.size + 1 }

// Epoch yields the batches of an epoch from step first on: the step, counted
// from 0, and its indices, which the receiver may keep but not change. The
// first epoch's number is the caller's choice. A first of Steps or more yields
// nothing; a negative one counts as 0.
func (b *Batches) Epoch(epoch, first int) iter.Seq2[int, []int] {
	return func(yield func(int, []int) bool) {
		order := b.Order(epoch)
		for step := max(first, 0); step < b.Steps(); step++ {
			begin := step * b.size
			end := begin + min(b.size, b.n-begin)
			if !yield(step, order[begin:end:end]) {
				return
			}
		}
	}
}

// Order returns the order of all indices in an epoch.
func (b *Batches) Order(epoch int) []int {
	if b.shuffled {
		return permutation(b.n, newSource("shuffle", b.seed, epoch))
	}
	order := make([]int, b.n)
	for i := range order {
		order[i] = i
	}
	return order
}
