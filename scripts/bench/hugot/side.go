package main

import (
	"errors"
	"fmt"
	"image"
	"runtime"
	"syscall"
	"time"

	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/pipelines"
	"github.com/knights-analytics/hugot/util/imageutil"
)

// side is a pipeline of hugot's and the images that it is asked about.
type side struct {
	session  *hugot.Session
	pipeline *pipelines.ImageClassificationPipeline
	images   []image.Image
}

func (s *side) open(m model) (note string, err error) {
	if s.session != nil {
		return "", errors.New("a model is open already")
	}
	if s.session, note, err = newSession(m.Library); err != nil {
		return "", fmt.Errorf("a session: %w", err)
	}
	type pipeline = *pipelines.ImageClassificationPipeline
	s.pipeline, err = hugot.NewPipeline(s.session, hugot.ImageClassificationConfig{
		Name: "bench", ModelPath: m.Folder, OnnxFilename: "model.onnx",
		Options: []hugot.ImageClassificationOption{
			pipelines.WithNCHWFormat[pipeline](),
			pipelines.WithNormalizationSteps[pipeline](imageutil.RescaleStep(),
				imageutil.PixelNormalizationStep(m.Means, m.Deviations)),
			pipelines.WithTopK(m.Classes),
		},
	})
	if err != nil {
		return "", fmt.Errorf("a pipeline: %w", err)
	}
	return note, nil
}

func (s *side) add(p pixels) error {
	if p.Width < 1 || p.Height < 1 || len(p.RGBA) != 4*p.Width*p.Height {
		return fmt.Errorf("an image of %d×%d has %d bytes", p.Width, p.Height, len(p.RGBA))
	}
	s.images = append(s.images, &image.RGBA{Pix: p.RGBA, Stride: 4 * p.Width,
		Rect: image.Rect(0, 0, p.Width, p.Height)})
	return nil
}

// classify is the whole way of one image; the class with the highest score is the first.
func (s *side) classify(m image.Image) ([]pipelines.ImageClassificationResult, error) {
	output, err := s.pipeline.RunWithImages([]image.Image{m})
	if err != nil {
		return nil, err
	}
	if len(output.Predictions) != 1 || len(output.Predictions[0]) == 0 {
		return nil, fmt.Errorf("one image has %d predictions", len(output.Predictions))
	}
	return output.Predictions[0], nil
}

func (s *side) labels() ([]string, error) {
	if s.pipeline == nil {
		return nil, errors.New("no model is open")
	}
	labels := make([]string, len(s.images))
	for i, m := range s.images {
		results, err := s.classify(m)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		labels[i] = results[0].Label
	}
	return labels, nil
}

// sample is what an image took in one round, on average.
type sample struct {
	Micros      float64 `json:"micros"`
	Computed    float64 `json:"computed"` // µs of processors' time
	Allocations float64 `json:"allocations"`
}

// round measures as scripts/bench/classify/measure.go does of the sides in its own process.
func (s *side) round() (*sample, error) {
	if s.pipeline == nil || len(s.images) == 0 {
		return nil, errors.New("a round needs a model and images")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	used, err := computed()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	for i, m := range s.images {
		if _, err := s.classify(m); err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
	}
	took := time.Since(begin)
	usedThen, err := computed()
	if err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&after)
	n := float64(len(s.images))
	return &sample{
		Micros:      float64(took.Nanoseconds()) / 1e3 / n,
		Computed:    float64((usedThen - used).Nanoseconds()) / 1e3 / n,
		Allocations: float64(after.Mallocs-before.Mallocs) / n,
	}, nil
}

// computed is the time that this process has computed, as slipway/internal/cputime has it, which
// another module need not import.
func computed() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("the time computed: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

func (s *side) close() error {
	if s.session == nil {
		return nil
	}
	return s.session.Destroy()
}
