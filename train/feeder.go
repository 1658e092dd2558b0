package train

import (
	"errors"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/kernel"
)

// feedImages is how many images of a batch are one item of a feeder's work.
const feedImages = 16

// feeder writes batches into the input of a graph, on the engine's threads where it has any. Its methods must not run at
// the same time as each other. In a steady step it allocates nothing.
type feeder struct {
	pool   *kernel.Pool // nil if there is none
	pixels dataset.Pixels
	task   func(worker, item int)
	// The batch in progress, and what went wrong with its items.
	set     *dataset.Set
	images  []float32
	labels  []int32
	indices []int
	errors  []error
}

func newFeeder(engine *builder.Engine, pixels dataset.Pixels) *feeder {
	f := &feeder{pixels: pixels}
	if kernels, native := engine.Kernels(); native {
		f.pool = kernels.Pool
	}
	f.task = f.item
	return f
}

// fill writes the images of those indices, B×C×H×W, and their labels, B.
func (f *feeder) fill(images []float32, labels []int32, set *dataset.Set, indices []int) error {
	items := (len(indices) + feedImages - 1) / feedImages
	if f.pool == nil || items < 2 {
		return set.Fill(images, labels, indices, f.pixels)
	}
	for len(f.errors) < items {
		f.errors = append(f.errors, nil)
	}
	f.set, f.images, f.labels, f.indices = set, images, labels, indices
	f.pool.Run(items, f.task)
	f.set, f.images, f.labels, f.indices = nil, nil, nil, nil
	return errors.Join(f.errors[:items]...)
}

func (f *feeder) item(_, item int) {
	first := item * feedImages
	last := min(first+feedImages, len(f.indices))
	f.errors[item] = f.set.Fill(f.images[first*f.set.ImageSize():], f.labels[first:last], f.indices[first:last], f.pixels)
}
