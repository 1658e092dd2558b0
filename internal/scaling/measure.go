package scaling

import (
	"context"
	"fmt"
	"slices"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/train"
)

// Point is what exchanges of so many bytes each way took, in seconds.
type Point struct {
	Bytes         int
	Least, Median float64
}

// Sizes are those that are measured: from 1 kB to 100 MB.
func Sizes() []int {
	return []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000}
}

// Measure times exchanges of each size with the rank at that distance: that whose number differs by
// it. All ranks call it, and all exchange at the same time, as they do in a step.
func Measure(ctx context.Context, c train.Communicator, distance int, sizes []int) ([]Point,
	error) {
	peer := c.Rank() ^ distance
	if peer >= c.Size() {
		return nil, fmt.Errorf("%d ranks; their number is a power of two", c.Size())
	}
	most := slices.Max(sizes)
	to, from := make([]byte, most), make([]byte, most)
	for i := range from {
		from[i] = byte(i) // memory that was never written to would be one page of zeros
	}
	var points []Point
	for _, size := range sizes {
		times := make([]float64, repetitions(size))
		// The first are not counted: they make connections and touch memory.
		for i := -2; i < len(times); i++ {
			// Both begin together, as far as a message can say so.
			if err := c.Exchange(ctx, peer, to[:1], from[:1]); err != nil {
				return nil, err
			}
			began := time.Now()
			if err := c.Exchange(ctx, peer, to[:size], from[:size]); err != nil {
				return nil, err
			}
			if i >= 0 {
				times[i] = time.Since(began).Seconds()
			}
		}
		slices.Sort(times)
		points = append(points, Point{size, times[0], times[len(times)/2]})
	}
	return points, nil
}

// repetitions is the same on all ranks.
func repetitions(size int) int { return max(10, min(200, 200_000_000/size)) }

// Measured times a network's steps on random images by one thread, and returns the work with their
// times: those of two batches, whose difference is the images'. Each is the least of several steps,
// in the processor's time.
func (w Work) Measured(ctx context.Context, network *builder.Network, few, many int) (Work,
	error) {
	less, err := leastStep(ctx, network, few)
	if err != nil {
		return w, err
	}
	more, err := leastStep(ctx, network, many)
	if err != nil {
		return w, err
	}
	w.PerImage = max(more-less, 0) / float64(many-few)
	w.Step = max(less-w.PerImage*float64(few), 0)
	return w, nil
}

// leastStep is the least time of a step.
func leastStep(ctx context.Context, network *builder.Network, batch int) (float64, error) {
	const steps = 12
	in := network.Input()
	images := make([]uint8, steps*batch*in[0]*in[1]*in[2])
	for i := range images {
		images[i] = uint8(i * i >> 3)
	}
	const classes = 10
	labels := make([]int32, steps*batch)
	for i := range labels {
		labels[i] = int32(i % classes)
	}
	set, err := dataset.NewSet("random", images, labels, in[0], in[1], in[2], classes)
	if err != nil {
		return 0, err
	}
	config := train.Config{BatchSize: batch, Epochs: 1, Threads: 1}
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		return 0, err
	}
	defer trainer.Close()
	var least, last time.Duration
	err = trainer.Fit(ctx, train.Callbacks{Step: func(s train.StepReport) error {
		now := processorTime()
		// The first step makes what the others use again.
		if took := now - last; s.Step == 2 || s.Step > 2 && took < least {
			least = took
		}
		last = now
		return nil
	}})
	return least.Seconds(), err
}
