package train

import (
	"context"
	"errors"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/kernel"
)

// How many images of a batch are one item of a feeder's work: of a set in memory, and of
// another source, each image of which takes its time.
const (
	feedImages = 16
	feedSlowly = 2
)

// feeder writes batches into the input of a graph, on the engine's threads where it has
// any: between two steps they have nothing else to do. Its methods must not run at the same
// time as each other. In a steady step it allocates nothing of its own.
type feeder struct {
	pool   *kernel.Pool // nil if there is none
	pixels dataset.Pixels
	task   func(worker, item int)
	bytes  [][]uint8 // of each worker
	// The batch in progress, and what went wrong with its items.
	ctx    context.Context
	batch  feed
	images []float32
	labels []int32
	each   int // images of an item
	errors []error
}

// feed is what is read: images of a source in an epoch.
type feed struct {
	source  dataset.Source
	info    dataset.Info // of the source
	indices []int
	epoch   int
}

// of returns what is read of a span of the images.
func (f feed) of(images span) feed {
	f.indices = f.indices[images.first:images.end]
	if _, ok := f.source.(drawn); ok {
		f.epoch += images.first
	}
	return f
}

func newFeeder(engine *builder.Engine, pixels dataset.Pixels) *feeder {
	f := &feeder{pixels: pixels, bytes: make([][]uint8, 1)}
	if kernels, native := engine.Kernels(); native {
		f.pool = kernels.Pool
		f.bytes = make([][]uint8, f.pool.Threads())
	}
	f.task = f.item
	return f
}

// fill writes the images of a batch, B×C×H×W, and their labels, B.
func (f *feeder) fill(ctx context.Context, images []float32, labels []int32, batch feed) error {
	f.each = feedSlowly
	if _, ok := batch.source.(*dataset.Set); ok {
		f.each = feedImages
	}
	items := (len(batch.indices) + f.each - 1) / f.each
	for len(f.errors) < items {
		f.errors = append(f.errors, nil)
	}
	f.ctx, f.batch, f.images, f.labels = ctx, batch, images, labels
	if f.pool == nil || items < 2 {
		for item := range items {
			f.item(0, item)
		}
	} else {
		f.pool.Run(items, f.task)
	}
	f.ctx, f.batch, f.images, f.labels = nil, feed{}, nil, nil
	return errors.Join(f.errors[:items]...)
}

func (f *feeder) item(worker, item int) {
	first := item * f.each
	last := min(first+f.each, len(f.batch.indices))
	images, labels, indices := f.images, f.labels[first:last], f.batch.indices[first:last]
	info := &f.batch.info
	size := info.Channels * info.Height * info.Width
	if set, ok := f.batch.source.(*dataset.Set); ok {
		f.errors[item] = set.Fill(images[first*size:], labels, indices, f.pixels)
		return
	}
	if len(f.bytes[worker]) < f.each*size {
		f.bytes[worker] = make([]uint8, f.each*size)
	}
	bytes := f.bytes[worker][:len(indices)*size]
	epoch := f.batch.epoch
	if _, ok := f.batch.source.(drawn); ok {
		epoch += first
	}
	err := f.batch.source.Read(f.ctx, bytes, labels, indices, epoch)
	if err == nil {
		err = f.pixels.Feed(images[first*size:], bytes, info.Channels, size)
	}
	f.errors[item] = err
}
