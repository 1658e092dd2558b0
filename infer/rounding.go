package infer

import (
	"context"
	"errors"
	"fmt"

	"slipway/dataset"
	"slipway/onnx"
)

// Numbers of images of a set that the rounding is measured on; more where a step of
// integers is at stake, which a value passes once in many images.
const (
	roundingImages      = 64
	roundingImagesSteps = 256
)

// roundingFactor is what the measured rounding may be passed by. Two ways of
// computing a graph in one runtime round as independently of each other as two
// runtimes do, so that the measured difference is a sample of what is to be
// judged; but the largest of 64 images is measured, and the largest of all is
// compared. Of normally distributed differences of 10 classes the largest of 64
// images lies near 3.2 deviations, that of 10,000 near 4.4, of a million near 5.3: less
// than twice as much. The other factor of 2 is for sums that a third order of
// summation rounds worse than the two that were measured.
const roundingFactor = 4

// The largest tolerances that a measurement can give, of a graph that computes with
// floats and of one that rounds to integers. What two ways of computing one graph
// differ by beyond them is told as the finding that it is.
const (
	mostRounding      = 1e-3
	mostRoundingSteps = 1e-2
)

// A Rounding is how far apart two ways of computing one graph in one runtime are.
type Rounding struct {
	// Ways names them for a reader.
	Ways string
	// Images that they were measured on.
	Images int
	// Measured is the largest difference of their logits, by the range of all.
	Measured float64
	// Steps says that the graph rounds to integers. Then a value that lies near the
	// edge of a step moves by a whole one, which few images meet and which is larger
	// than all other rounding.
	Steps bool
	// Beyond is how many of the images differ by more than DefaultTolerance.
	Beyond int
}

// Allowance is what the measurement allows two runtimes to differ by: DefaultTolerance
// at least. Where steps are passed, few images may differ by what a step is.
func (r Rounding) Allowance() Allowance {
	a := Allowance{Tolerance: max(DefaultTolerance, roundingFactor*r.Measured)}
	if !r.Steps {
		a.Tolerance = min(a.Tolerance, mostRounding)
		return a
	}
	a.Tolerance = min(a.Tolerance, mostRoundingSteps)
	// The edges were moved by so many roundings, and a value passes one in proportion.
	a.Share = min(1, roundingFactor*float64(r.Beyond)/shiftedRoundings/float64(max(1, r.Images)))
	return a
}

// String says where the allowance comes from.
func (r Rounding) String() string {
	allowance := r.Allowance()
	text := fmt.Sprintf("%d times the rounding measured between %s on %d images", roundingFactor,
		r.Ways, r.Images)
	if roundingFactor*r.Measured > allowance.Tolerance {
		text = fmt.Sprintf(
			"the most that is taken for rounding; %s are %.2g of the range apart on %d images", r.Ways,
			r.Measured, r.Images)
	}
	if r.Steps {
		text += fmt.Sprintf("; %.2g %% of the images may differ by more than %.3g", 100*allowance.Share,
			DefaultTolerance)
	}
	return text
}

// roundingWays names what RuntimeOptions.Plain sets against a runtime.
func roundingWays(name string) string {
	switch name {
	case RuntimeONNXRuntime:
		return "onnxruntime with and without graph optimizations"
	case RuntimeNative:
		return "native's kernels for this processor and its portable ones"
	}
	return name
}

// MeasureRounding computes logits a second time, rounded otherwise, on some images
// of the set and says how far both are apart. The logits are those of all images,
// as the model answered in the runtime of that name; options are those that it was
// opened with. A graph of floats is computed in another order of its sums
// (RuntimeOptions.Plain), one that rounds to integers also with the edges of its
// steps moved by rounding's size. A runtime that computes in one way alone, and
// such a graph, is ErrUnsupported.
func MeasureRounding(ctx context.Context, name string, model *onnx.Model, options RuntimeOptions,
	source dataset.Source, pixels dataset.Pixels, logits Logits) (Rounding, error) {
	set := source.Info()
	if logits.N != source.Len() || logits.N == 0 {
		return Rounding{}, fmt.Errorf("rounding: logits of %d images, data %s has %d", logits.N, set.Name,
			source.Len())
	}
	shifted, err := withShiftedSteps(model)
	if err != nil {
		return Rounding{}, err
	}
	rounding := Rounding{Ways: roundingWays(name), Steps: shifted != nil}
	indices := spread(source.Len(), roundingImages)
	if rounding.Steps {
		indices = spread(source.Len(), roundingImagesSteps)
		rounding.Ways += fmt.Sprintf(", and with the edges of integers' steps moved by %d roundings,",
			shiftedRoundings)
	}
	rounding.Images = len(indices)
	batch := Batch{N: len(indices), C: set.Channels, H: set.Height, W: set.Width}
	if batch.Pixels, err = dataset.Inputs(ctx, source, indices, pixels); err != nil {
		return Rounding{}, err
	}
	if rounding.Steps {
		again, err := runOnce(ctx, name, shifted, options, batch)
		if err == nil {
			err = rounding.take(logits, again, indices)
		}
		if err != nil {
			return Rounding{}, err
		}
	}
	options.Plain = true
	again, err := runOnce(ctx, name, model, options, batch)
	if errors.Is(err, ErrUnsupported) && rounding.Steps {
		return rounding, nil
	}
	if err != nil {
		return Rounding{}, err
	}
	return rounding, rounding.take(logits, again, indices)
}

func runOnce(ctx context.Context, name string, model *onnx.Model, options RuntimeOptions,
	batch Batch) (Logits, error) {
	runtime, err := OpenRuntime(ctx, name, model, options)
	if err != nil {
		return Logits{}, err
	}
	logits, err := runtime.Run(ctx, batch)
	return logits, errors.Join(err, runtime.Close())
}

// take counts the logits of some images, computed again.
func (r *Rounding) take(logits, again Logits, indices []int) error {
	if again.K != logits.K || again.N != len(indices) {
		return fmt.Errorf("rounding: %d×%d logits instead of %d×%d", again.N, again.K, len(indices),
			logits.K)
	}
	limits := valueRange(logits.Values)
	beyond := 0
	for row, image := range indices {
		largest := 0.0
		for k, v := range logits.Row(image) {
			largest = max(largest, difference(v, again.Row(row)[k]))
		}
		if largest > 0 {
			r.Measured = max(r.Measured, largest/limits)
			if largest > DefaultTolerance*limits {
				beyond++
			}
		}
	}
	r.Beyond = max(r.Beyond, beyond)
	return nil
}

// spread returns at most count of n indices, evenly spread, in ascending order: a
// set may be sorted by its labels.
func spread(n, count int) []int {
	count = min(n, count)
	indices := make([]int, count)
	for i := range indices {
		indices[i] = i * n / count
	}
	return indices
}
