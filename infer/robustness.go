package infer

import (
	"context"
	"errors"
	"fmt"

	"slipway/dataset"
	"slipway/dataset/corrupt"
)

// A Subject is one of the models that MeasureRobustness measures side by side.
type Subject struct {
	Runtime Runtime
	// Pixels says how bytes become the model's input.
	Pixels dataset.Pixels
	// Scale says what probabilities the scores stand for (ScaleOf).
	Scale Scale
}

// RobustnessOptions are the choices for MeasureRobustness and MeasureUnseen.
type RobustnessOptions struct {
	// Corruptions are the names of corruptions; all that there are when empty.
	Corruptions []string
	// Seed draws the corruptions.
	Seed uint64
	// Batch is as in EvaluateOptions.
	Batch int
	// Progress, if not nil, is called before each set is evaluated with its name,
	// the sets done and the number of sets.
	Progress func(name string, done, total int)
}

// Robustness is how a model does on a set and on its corruptions.
type Robustness struct {
	// Info is the runtime's, after all was run.
	Info Info
	// Clean is of the set as it is.
	Clean Confidence
	// Corruptions are in the order of the options.
	Corruptions []CorruptionResult
}

// CorruptionResult is how a model does on one corruption of a set.
type CorruptionResult struct {
	Name string
	// Strengths has strength s at index s−1, corrupt.Strengths in all.
	Strengths []Confidence
}

// MeasureRobustness evaluates every subject on the set and on each of the
// corruptions, of all strengths. Every subject sees the same images, of the set's
// own and of the corruption's seed. When ctx ends it stops with its error.
//
// A study's runner fills study.Result.Robustness from it:
//
//	measured, err := infer.MeasureRobustness(ctx, []infer.Subject{{Runtime: runtime}}, set, infer.RobustnessOptions{})
//	result.Robustness = measured[0].Accuracies()
func MeasureRobustness(ctx context.Context, subjects []Subject, set *dataset.Set,
	options RobustnessOptions) ([]Robustness, error) {
	names := options.Corruptions
	if len(names) == 0 {
		names = corrupt.Names()
	}
	for _, name := range names {
		if err := (corrupt.Corruption{Name: name, Strength: 1}).Check(); err != nil {
			return nil, err
		}
	}
	if len(subjects) == 0 {
		return nil, errors.New("there is no model to measure")
	}
	measured := make([]Robustness, len(subjects))
	done, total := 0, 1+len(names)*corrupt.Strengths
	next := func(set *dataset.Set) ([]Confidence, error) {
		if options.Progress != nil {
			options.Progress(set.Name, done, total)
		}
		done++
		return measureConfidence(ctx, subjects, set, options)
	}
	clean, err := next(set)
	if err != nil {
		return nil, err
	}
	for i := range subjects {
		measured[i].Info, measured[i].Clean = subjects[i].Runtime.Info(), clean[i]
	}
	for _, name := range names {
		for i := range measured {
			measured[i].Corruptions = append(measured[i].Corruptions, CorruptionResult{Name: name})
		}
		for strength := 1; strength <= corrupt.Strengths; strength++ {
			damaged, err := corrupt.Corruption{Name: name, Strength: strength, Seed: options.Seed}.Apply(set)
			if err != nil {
				return nil, err
			}
			results, err := next(damaged)
			if err != nil {
				return nil, err
			}
			for i := range measured {
				c := &measured[i].Corruptions[len(measured[i].Corruptions)-1]
				c.Strengths = append(c.Strengths, results[i])
			}
		}
	}
	return measured, nil
}

// MeasureUnseen evaluates every subject on each of the sets, which are not what it
// was trained on, and returns [subject][set].
func MeasureUnseen(ctx context.Context, subjects []Subject, sets []*dataset.Set,
	options RobustnessOptions) ([][]Confidence, error) {
	measured := make([][]Confidence, len(subjects))
	for done, set := range sets {
		if options.Progress != nil {
			options.Progress(set.Name, done, len(sets))
		}
		results, err := measureConfidence(ctx, subjects, set, options)
		if err != nil {
			return nil, err
		}
		for i := range measured {
			measured[i] = append(measured[i], results[i])
		}
	}
	return measured, nil
}

func measureConfidence(ctx context.Context, subjects []Subject, set *dataset.Set,
	options RobustnessOptions) ([]Confidence, error) {
	var results []Confidence
	for _, subject := range subjects {
		result, err := Evaluate(ctx, subject.Runtime, set, EvaluateOptions{Batch: options.Batch,
			Pixels: subject.Pixels, Scale: subject.Scale, KeepLogits: true})
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", set.Name, err)
		}
		results = append(results, NewConfidence(result))
	}
	return results, nil
}

// Accuracies returns the accuracy, 0…1, of each corruption at strengths 1 to
// corrupt.Strengths.
func (r Robustness) Accuracies() map[string][]float64 {
	accuracies := make(map[string][]float64)
	for _, c := range r.Corruptions {
		for _, s := range c.Strengths {
			accuracies[c.Name] = append(accuracies[c.Name], s.Accuracy)
		}
	}
	return accuracies
}

// Mean is the mean accuracy over all corruptions and strengths, each counted alike.
func (r Robustness) Mean() float64 {
	means := make([]float64, 0, len(r.Corruptions))
	for _, c := range r.Corruptions {
		means = append(means, c.Mean())
	}
	return mean(means)
}

// MeanAt is the mean accuracy over all corruptions of one strength, 1 to corrupt.Strengths.
func (r Robustness) MeanAt(strength int) float64 {
	accuracies := make([]float64, 0, len(r.Corruptions))
	for _, c := range r.Corruptions {
		accuracies = append(accuracies, c.Strengths[strength-1].Accuracy)
	}
	return mean(accuracies)
}

// Mean is the mean accuracy over the strengths.
func (c CorruptionResult) Mean() float64 {
	accuracies := make([]float64, 0, len(c.Strengths))
	for _, s := range c.Strengths {
		accuracies = append(accuracies, s.Accuracy)
	}
	return mean(accuracies)
}

func mean(values []float64) float64 {
	sum := 0.
	for _, v := range values {
		sum += v
	}
	return ratio(sum, float64(len(values)))
}
