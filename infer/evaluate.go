package infer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"slipway/dataset"
	"slipway/infer/port"
)

// DefaultBatch is Evaluate's batch size, where memory allows it: on E1, larger ones answer no more
// images a second (BenchmarkBatch).
const DefaultBatch = port.DefaultBatch

// MostConfused is the most classes of a Result.Confusion, whose size is their square.
const MostConfused = 4096

// EvaluateOptions are the choices for Evaluate.
type EvaluateOptions struct {
	// Batch is the images of one Run; BatchOf the model when 0.
	Batch int
	// Pixels says how bytes become the model's input; the zero value keeps 0…255.
	Pixels dataset.Pixels
	// Scale says what probabilities the scores stand for (ScaleOf).
	Scale Scale
	// Threshold is the probability above which a label is told of an image with any number of
	// labels, DefaultThreshold if 0. Of other images it says nothing.
	Threshold float64
	// Probe asks about a few images of the first batch alone, too: that the answers
	// depend on how images are batched is a note in the Result's Info then.
	Probe bool
	// KeepLogits keeps all logits in the Result.
	KeepLogits bool
	// Progress, if not nil, is called after each batch with the images done.
	Progress func(done, total int)
}

// A Result is what a runtime answered on a set.
type Result struct {
	Info   Info
	Images int
	// Correct counts the images whose largest logit is their label's.
	Correct int
	// Unanswered counts the images with a NaN among their logits.
	Unanswered int
	// Classes is the number of scores of an image.
	Classes int
	// Confusion counts images by [label][prediction]. It is nil where there are more than
	// MostConfused classes.
	Confusion [][]int
	// Labels has the true label of each image, Predictions the answer, -1 for none.
	Labels, Predictions []int
	// Combinations are those of images with any number of labels, nil of others: Labels and
	// Predictions are places in it, Confusion is nil, and an image is right where all its labels are.
	// Threshold is the score above which a label is told.
	Combinations dataset.Combinations
	Threshold    float32
	combiner     *dataset.Combiner
	// Files has the name of each image's file, and is empty where they have none.
	Files []string
	// Logits of all images, when they are kept, and the Scale of the options.
	Logits Logits
	Scale  Scale
	// Elapsed is the time in Run alone, without converting pixels and counting.
	Elapsed time.Duration
}

// Evaluate runs all images of the set in their order and counts the answers.
// When ctx ends it stops with its error.
func Evaluate(ctx context.Context, runtime Runtime, source dataset.Source,
	options EvaluateOptions) (*Result, error) {
	if options.Batch == 0 {
		options.Batch = batchOf(runtime)
	}
	batches, err := dataset.Sequential(source.Len(), options.Batch)
	if err != nil {
		return nil, err
	}
	set := source.Info()
	if err := checkScale(set, options); err != nil {
		return nil, err
	}
	result := &Result{Info: runtime.Info(), Images: source.Len(), Files: dataset.FileNames(source),
		Scale: options.Scale, Threshold: options.threshold()}
	size := set.Channels * set.Height * set.Width
	var batchingNote string
	most := min(options.Batch, source.Len())
	images, pixels, labels := make([]uint8, most*size), make([]float32, most*size), make([]int32, most)
	for _, indices := range batches.Epoch(0, 0) {
		if err := source.Read(ctx, images, labels, indices, 0); err != nil {
			return nil, err
		}
		if err := options.Pixels.Feed(pixels, images[:len(indices)*size], set.Channels,
			size); err != nil {
			return nil, fmt.Errorf("data %s: %w", set.Name, err)
		}
		batch := Batch{
			N: len(indices), C: set.Channels, H: set.Height, W: set.Width,
			Pixels: pixels[:len(indices)*size],
		}
		start := time.Now()
		logits, err := runtime.Run(ctx, batch)
		if err != nil {
			return nil, explainBatch(ctx, runtime, batch, min(len(result.Labels), options.Batch), err)
		}
		result.Elapsed += time.Since(start)
		if options.Probe && len(result.Labels) == 0 {
			if batchingNote, err = probeBatching(ctx, runtime, batch, logits); err != nil {
				return nil, err
			}
		}
		if result.Classes == 0 {
			if err := checkClasses(source, logits.K); err != nil {
				return nil, err
			}
		}
		if err := result.count(set, labels[:len(indices)], logits); err != nil {
			return nil, err
		}
		if options.KeepLogits {
			result.Logits.Append(logits)
		}
		if options.Progress != nil {
			options.Progress(len(result.Predictions), result.Images)
		}
	}
	// A runtime may have learned of its model what must be heard.
	result.Info = runtime.Info()
	if batchingNote != "" {
		result.Info.Notes = append(slices.Clip(result.Info.Notes), batchingNote)
	}
	return result, nil
}

func (r *Result) count(set dataset.Info, labels []int32, logits Logits) error {
	if logits.N != len(labels) {
		return fmt.Errorf("%s answered %d images out of %d", r.Info.Runtime, logits.N, len(labels))
	}
	if set.MultiLabel {
		r.countSets(set, labels, logits)
		return nil
	}
	if largest := int(slices.Max(labels)); largest >= logits.K {
		return unknownClass(set.Name, largest, logits.K)
	}
	if r.Classes == 0 {
		r.Classes = logits.K
		if r.Classes <= MostConfused {
			r.Confusion = make([][]int, r.Classes)
		}
		for i := range r.Confusion {
			r.Confusion[i] = make([]int, r.Classes)
		}
	}
	for row, l := range labels {
		label, prediction := int(l), logits.Label(row)
		r.Labels = append(r.Labels, label)
		r.Predictions = append(r.Predictions, prediction)
		switch {
		case prediction < 0:
			r.Unanswered++
			continue
		case prediction == label:
			r.Correct++
		}
		if r.Confusion != nil {
			r.Confusion[label][prediction]++
		}
	}
	return nil
}

// checkClasses reports labels for which a model of so many scores has none.
func checkClasses(source dataset.Source, scores int) error {
	if info := source.Info(); info.MultiLabel {
		if highest := int(info.Combinations.Highest()); highest >= scores {
			return unknownClass(info.Name, highest, scores)
		}
		return nil
	}
	if set, ok := source.(*dataset.Set); ok {
		if largest := int(slices.Max(set.Labels)); largest >= scores {
			return fmt.Errorf("the model tells %d classes apart, 0 to %d; in %s %s", scores, scores-1,
				set.Name, set.LabelRange())
		}
	}
	return nil
}

// unknownClass is of a label that a model of so many scores has none for.
func unknownClass(set string, label, scores int) error {
	return fmt.Errorf("the model tells %d classes apart, 0 to %d; in %s there is the label %d", scores,
		scores-1, set, label)
}

// Accuracy is the fraction of images answered right, 0…1.
func (r *Result) Accuracy() float64 { return float64(r.Correct) / float64(r.Images) }

// ImagesPerSecond is Images by Elapsed.
func (r *Result) ImagesPerSecond() float64 {
	return float64(r.Images) / max(r.Elapsed.Seconds(), 1e-9)
}

// AccuracyName is what Accuracy is called: of images with any number of labels it is the subset
// accuracy.
func (r *Result) AccuracyName() string {
	return dataset.Info{MultiLabel: r.Combinations != nil}.AccuracyName()
}

// FormatAccuracy writes an accuracy of 0…1 as the experiment does:
// "Accuracy = 98.58 %".
func FormatAccuracy(accuracy float64) string {
	return fmt.Sprintf("Accuracy = %.2f %%", 100*accuracy)
}

// ClassFigures are one class's figures. A figure whose divisor is 0 is 0.
type ClassFigures struct {
	// Images with this label.
	Images int
	// Precision is the fraction of the answers "this class" that are right.
	Precision float64
	// Recall is the fraction of the class's images that are found.
	Recall float64
	// F1 is the harmonic mean of precision and recall.
	F1 float64
}

// PerClass returns the figures of each class.
func (r *Result) PerClass() []ClassFigures {
	if r.Combinations != nil {
		return r.perLabel()
	}
	figures := make([]ClassFigures, r.Classes)
	answered, right := make([]int, r.Classes), make([]int, r.Classes)
	for i, label := range r.Labels {
		figures[label].Images++
		prediction := r.Predictions[i]
		if prediction >= 0 {
			answered[prediction]++
		}
		if prediction == label {
			right[label]++
		}
	}
	fillFigures(figures, answered, right)
	return figures
}

func fillFigures(figures []ClassFigures, answered, right []int) {
	for class := range figures {
		f := &figures[class]
		f.Precision = ratio(float64(right[class]), float64(answered[class]))
		f.Recall = ratio(float64(right[class]), float64(f.Images))
		f.F1 = ratio(2*f.Precision*f.Recall, f.Precision+f.Recall)
	}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
