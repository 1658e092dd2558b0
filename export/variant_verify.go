package export

import (
	"context"
	"errors"
	"fmt"
	"math"

	"slipway/dataset"
	"slipway/infer"
	"slipway/onnx"
)

// limits are what a variant may differ from its source by, over all test images.
type limits struct {
	// difference of one score, as a fraction of the range of the source's.
	difference float64
	// labels that may differ, as a fraction of the images.
	labels float64
	// loss of accuracy, 0…1.
	loss float64
}

// limitsOf are derived from the precision. A rounding of weights to float16 is one of
// 2⁻¹¹ of each; a sum of many is off by less of its range. With int8 a score is off
// by steps of 1/255 of each layer's range, and where a test image passes the range
// that was calibrated, by more; what counts is the answer, so that the loss is the
// limit. Softmax of a score that is off by little may be off by much where two scores
// are near each other: of probabilities the answers alone are limited. A form changes
// nothing but the place of some roundings.
func limitsOf(options VariantOptions) limits {
	l := limits{difference: infer.DefaultTolerance}
	switch options.Precision {
	case Float16:
		l = limits{difference: 0x1p-11, labels: 5e-4, loss: options.MaxLoss}
	case Int8:
		l = limits{difference: 0.1, labels: 0.01, loss: options.MaxLoss}
	}
	if options.Form.Softmax && l.labels > 0 {
		l.difference = 1
	}
	return l
}

// verifyVariant runs the source and the variant in onnxruntime on the test images,
// and refuses a variant that is beyond its limits.
func verifyVariant(ctx context.Context, from source, variant *onnx.Model,
	options VariantOptions) error {
	test, err := variantTest(ctx, from.record, options)
	if err != nil {
		return err
	}
	pixels, err := infer.PixelsOf(from.record)
	if err != nil {
		return err
	}
	expected, err := askONNXRuntime(ctx, from.model, test, pixels)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	if options.Form.Bytes {
		pixels = dataset.Pixels{} // the graph scales them itself
	}
	got, err := askONNXRuntime(ctx, variant, test, pixels)
	if err != nil {
		return err
	}
	reference := expected.Logits
	if options.Form.Softmax {
		reference.Values = softmax(reference)
	}
	limit := limitsOf(options)
	// A limit of 1 is none; Compare asks for a tolerance all the same.
	comparison, err := infer.CompareAnswers(infer.Answers{Scores: reference},
		infer.Answers{Scores: got.Logits}, infer.Head{},
		infer.Allowance{Tolerance: min(limit.difference, 0.5), Told: got.Told()})
	if err != nil {
		return err
	}
	options.say("source:  %s %s (%s): %s = %.2f %%, %.0f images/s", expected.Info.Runtime,
		expected.Info.Version, expected.Info.Provider, expected.AccuracyName(), 100*expected.Accuracy(),
		expected.ImagesPerSecond())
	options.say(
		"variant: %s %s (%s): %s = %.2f %%, %d labels differ, largest difference %.3g (%.2g of the range), %.0f images/s",
		got.Info.Runtime, got.Info.Version, got.Info.Provider, got.AccuracyName(), 100*got.Accuracy(),
		comparison.LabelsDiffer, comparison.MaxAbsDiff, comparison.MaxRelDiff, got.ImagesPerSecond())
	if changes, err := infer.ChangedLabels(reference, got.Logits); err == nil && !test.MultiLabel() {
		for _, c := range changes {
			options.say("  image %d (label %d): %d instead of %d", c.Image, test.Label(c.Image), c.B, c.A)
		}
	}
	return limit.hold(expected, got, comparison)
}

// variantTest is the set that the variant is judged on.
func variantTest(ctx context.Context, record onnx.TrainingRecord,
	options VariantOptions) (*dataset.Set, error) {
	if options.Test != nil {
		return options.Test, nil
	}
	return openRecorded(ctx, record, infer.RecordedTestSet(record), dataset.Test, "-data", options)
}

// openRecorded opens a set that a training record names, if it is one that the program
// knows by that word.
func openRecorded(ctx context.Context, from onnx.TrainingRecord, word string, part dataset.Part,
	flag string, options VariantOptions) (*dataset.Set, error) {
	switch {
	case word == "" && !from.IsZero() && from.DataSet != "":
		return nil, fmt.Errorf("the model was tested on no set; name one with %s", flag)
	case word == "":
		return nil, fmt.Errorf(
			"the model does not say what it learned from and was tested on; name a set with %s", flag)
	case !dataset.IsWord(word):
		return nil, fmt.Errorf("the model names the set %s, which may be anywhere; say where with %s",
			word, flag)
	}
	return dataset.Open(ctx, word, dataset.Options{Part: part, Messages: options.Messages})
}

// hold says which limit is passed, nil if none is.
func (l limits) hold(expected, got *infer.Result, c infer.Comparison) error {
	loss := expected.Correct - got.Correct
	allowed := func(fraction float64) int { return int(math.Round(fraction * float64(c.Images))) }
	switch {
	case c.NotFinite > 0:
		return errors.New(c.Reason())
	case l.labels == 0 && c.DecidedLabelsDiffer > 0:
		return errors.New(c.Reason())
	case l.labels > 0 && c.LabelsDiffer > allowed(l.labels):
		return fmt.Errorf("%d of %d labels differ from the source's; %d may", c.LabelsDiffer, c.Images,
			allowed(l.labels))
	case l.loss > 0 && loss > allowed(l.loss):
		return fmt.Errorf(
			"%d of %d answers are wrong that were right on balance; %d may be (-max-loss allows more)", loss,
			c.Images, allowed(l.loss))
	case c.MaxAbsDiff > 0 && c.MaxRelDiff > l.difference:
		return fmt.Errorf(
			"the largest difference is %.3g of the scores' range (image %d, class %d); %.3g is allowed",
			c.MaxRelDiff, c.WorstImage, c.WorstClass, l.difference)
	}
	return nil
}

// askONNXRuntime evaluates a model, fed with those pixels.
func askONNXRuntime(ctx context.Context, model *onnx.Model, test *dataset.Set,
	pixels dataset.Pixels) (result *infer.Result, err error) {
	runtime, err := infer.OpenONNXRuntime(ctx, model,
		infer.ONNXRuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	return infer.Evaluate(ctx, runtime, test,
		infer.EvaluateOptions{Pixels: pixels, Scale: infer.ScaleOf(model, ""), KeepLogits: true})
}
