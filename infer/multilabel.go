package infer

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/metrics"
)

// DefaultThreshold is the probability above which a label is told of an image with any number of
// labels.
const DefaultThreshold = 0.5

// CheckThreshold refuses what is no probability between 0 and 1.
func CheckThreshold(threshold float64) error {
	if !(threshold > 0 && threshold < 1) {
		return fmt.Errorf("threshold %v: it is the probability above which a label is told, larger than "+
			"0 and smaller than 1", threshold)
	}
	return nil
}

// threshold is the score above which a label is told.
func (o EvaluateOptions) threshold() float32 {
	if o.Threshold == 0 {
		return o.Scale.Threshold(DefaultThreshold)
	}
	return o.Scale.Threshold(o.Threshold)
}

// checkScale refuses a model that picks one class for images with any number of labels.
func checkScale(set dataset.Info, options EvaluateOptions) error {
	if !set.MultiLabel {
		return nil
	}
	if options.Threshold != 0 {
		if err := CheckThreshold(options.Threshold); err != nil {
			return err
		}
	}
	if options.Scale.Independent() {
		return nil
	}
	return fmt.Errorf("%s: %w: its images have any number of labels, and the model picks one class: "+
		"its scores are neither recorded as each class's own (slipway.probabilities) nor made by a "+
		"Sigmoid; train it with the binary loss, or end it in a Sigmoid", set.Name, dataset.ErrMultiLabel)
}

// countSets counts images with any number of labels.
func (r *Result) countSets(set dataset.Info, labels []int32, logits Logits) {
	if r.combiner == nil {
		r.Classes, r.combiner = logits.K, dataset.NewCombiner(set.Combinations)
	}
	var told []int32
	for row, label := range labels {
		prediction := -1
		if logits.Label(row) >= 0 { // no NaN
			told = told[:0]
			for k, score := range logits.Row(row) {
				if score > r.Threshold {
					told = append(told, int32(k))
				}
			}
			prediction = int(r.combiner.Place(told))
		}
		r.Labels, r.Predictions = append(r.Labels, int(label)), append(r.Predictions, prediction)
		switch {
		case prediction < 0:
			r.Unanswered++
		case prediction == int(label):
			r.Correct++
		}
	}
	r.Combinations = r.combiner.Combinations()
}

// perLabel is PerClass of images with any number of labels.
func (r *Result) perLabel() []ClassFigures {
	figures := make([]ClassFigures, r.Classes)
	answered, right := make([]int, r.Classes), make([]int, r.Classes)
	has := make([]bool, r.Classes)
	for i, label := range r.Labels {
		clear(has)
		for _, one := range r.Combinations[label] {
			has[one] = true
			figures[one].Images++
		}
		if r.Predictions[i] < 0 {
			continue
		}
		for _, one := range r.Combinations[r.Predictions[i]] {
			answered[one]++
			if has[one] {
				right[one]++
			}
		}
	}
	fillFigures(figures, answered, right)
	return figures
}

// labelText writes a label or a prediction for a table, empty for no answer.
func (r *Result) labelText(label int) string {
	switch {
	case label < 0 && r.Combinations != nil:
		return "NaN" // no label is an answer
	case label < 0:
		return ""
	case r.Combinations == nil:
		return strconv.Itoa(label)
	}
	texts := make([]string, len(r.Combinations[label]))
	for k, one := range r.Combinations[label] {
		texts[k] = strconv.Itoa(int(one))
	}
	return strings.Join(texts, "|")
}

// telling is how answers are told from scores: the largest is the class's, or, with a threshold,
// those above it are the labels'.
type telling struct{ threshold *float32 }

// margin is how far a row of scores is from another answer.
func (t telling) margin(row []float32) float64 {
	if t.threshold == nil {
		return margin(row)
	}
	least := math.Inf(1)
	for _, score := range row {
		least = min(least, math.Abs(float64(score)-float64(*t.threshold)))
	}
	return least
}

// differ reports whether two rows of scores have different answers, one that has none included, and
// by how much the clearer of them is decided where they do.
func (t telling) differ(a, b []float32) (differ bool, decided float64) {
	first, second := Logits{N: 1, K: len(a), Values: a}, Logits{N: 1, K: len(b), Values: b}
	la, lb := first.Label(0), second.Label(0)
	switch {
	case la < 0 || lb < 0:
		return true, math.Inf(1)
	case t.threshold != nil:
		for k := range a {
			if apart := t.apart(a[k], b[k]); apart >= 0 {
				differ, decided = true, max(decided, apart)
			}
		}
		return differ, decided
	}
	return la != lb, max(margin(a), margin(b))
}

// apart is how far the farther of two scores of a label lies from the threshold, negative where
// both lie on the same side.
func (t telling) apart(a, b float32) float64 {
	if (a > *t.threshold) == (b > *t.threshold) {
		return -1
	}
	of := func(score float32) float64 { return math.Abs(float64(score) - float64(*t.threshold)) }
	return max(of(a), of(b))
}

// decidedBy is how far the scores of an image are from another answer.
func (r *Result) decidedBy(image int) float64 { return r.telling().margin(r.Logits.Row(image)) }

func (r *Result) telling() telling {
	if r.Combinations == nil {
		return telling{}
	}
	return telling{&r.Threshold}
}

// Told is how the result's labels are told from its scores, for an Allowance: nil where the largest
// score is the class's.
func (r *Result) Told() *float32 { return r.telling().threshold }

// LabelMetrics computes what the answers to images with any number of labels are worth; the result
// has its logits. names are what the labels are called.
func (r *Result) LabelMetrics(names []string) (*metrics.MultiLabel, error) {
	places := make([]int32, len(r.Labels))
	for i, label := range r.Labels {
		places[i] = int32(label)
	}
	targets := r.Combinations.Targets(places, r.Classes)
	return metrics.NewMultiLabel(r.Logits.Values, targets, r.Classes, r.Threshold, names)
}
