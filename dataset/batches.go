package dataset

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// Batches deals the indices 0…n−1 of a set's images out in mini-batches, each epoch in another
// order, or of images drawn so that each class comes as often as another. It holds no position: it
// is a function of seed and epoch, and safe for concurrent use.
type Batches struct {
	n, size  int
	seed     uint64
	shuffled bool
	classes  [][]int // the indices of each class that has any; nil unless these are balanced
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

// NewBalancedBatches deals as many indices an epoch as there are labels, one of each image, drawn
// with replacement: each time one of the classes that have images, all alike, and then one of its
// images. It is what PyTorch's WeightedRandomSampler does with weights of 1/n_c for a class of n_c
// images. Images of a rare class come several times an epoch, some of a frequent one not at all.
func NewBalancedBatches(labels []int32, size int, seed uint64) (*Batches, error) {
	b, err := NewBatches(len(labels), size, seed)
	if err != nil {
		return nil, err
	}
	of := make(map[int32][]int)
	for i, label := range labels {
		of[label] = append(of[label], i)
	}
	for _, label := range slices.Sorted(maps.Keys(of)) {
		b.classes = append(b.classes, of[label])
	}
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

// Order returns the indices of an epoch in their order.
func (b *Batches) Order(epoch int) []int {
	if b.classes != nil {
		return b.draw(newSource("balanced", b.seed, epoch))
	}
	if b.shuffled {
		return permutation(b.n, newSource("shuffle", b.seed, epoch))
	}
	order := make([]int, b.n)
	for i := range order {
		order[i] = i
	}
	return order
}

// draw draws an epoch's images from balanced classes.
func (b *Batches) draw(source rand.Source) []int {
	order := make([]int, b.n)
	for i := range order {
		class := b.classes[below(uint64(len(b.classes)), source)]
		order[i] = class[below(uint64(len(class)), source)]
	}
	return order
}
