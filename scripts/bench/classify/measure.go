package main

import (
	"context"
	"fmt"
	"image"
	"runtime"
	"time"

	"slipway/infer/classify"
	"slipway/internal/cputime"
)

// side is one way to classify the images, and what it took.
type side struct {
	name, note string
	subject

	samples []sample // by round
}

// subject answers for all images, one after the other.
type subject interface {
	// labels has the label of the highest score of each image.
	labels(ctx context.Context) ([]string, error)
	// round measures one round of all images.
	round(ctx context.Context) (sample, error)
}

// sample is what an image took in one round, on average.
type sample struct {
	Micros      float64 `json:"micros"`
	Computed    float64 `json:"computed"` // µs of processors' time
	Allocations float64 `json:"allocations"`
}

// inProcess is a subject in this process.
type inProcess struct {
	images   []image.Image
	classify func(ctx context.Context, m image.Image) ([]classify.Result, error)
}

func (s inProcess) labels(ctx context.Context) ([]string, error) {
	labels := make([]string, len(s.images))
	for i, m := range s.images {
		results, err := s.classify(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		labels[i] = results[0].Label
	}
	return labels, nil
}

func (s inProcess) round(ctx context.Context) (sample, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	used, begin := cputime.Used(), time.Now()
	for _, m := range s.images {
		if _, err := s.classify(ctx, m); err != nil {
			return sample{}, err
		}
	}
	took, computed := time.Since(begin), cputime.Used()-used
	runtime.ReadMemStats(&after)
	n := float64(len(s.images))
	return sample{
		Micros:      float64(took.Nanoseconds()) / 1e3 / n,
		Computed:    float64(computed.Nanoseconds()) / 1e3 / n,
		Allocations: float64(after.Mallocs-before.Mallocs) / n,
	}, nil
}

// agree reports an image that a side calls otherwise than the first side does.
func agree(ctx context.Context, sides []*side) error {
	var first []string
	for _, s := range sides {
		labels, err := s.labels(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if first == nil {
			first = labels
		}
		if len(labels) != len(first) {
			return fmt.Errorf("%s answers for %d images of %d", s.name, len(labels), len(first))
		}
		for i, label := range labels {
			if label != first[i] {
				return fmt.Errorf("image %d is %q for %s, and %q for %s", i, first[i], sides[0].name,
					label, s.name)
			}
		}
	}
	return nil
}

// measure has the sides take turns, each round beginning with the next one.
func measure(ctx context.Context, sides []*side, rounds int) error {
	for round := range rounds {
		for k := range sides {
			s := sides[(k+round)%len(sides)]
			taken, err := s.round(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.samples = append(s.samples, taken)
		}
	}
	return ctx.Err()
}
