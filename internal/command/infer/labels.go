package infer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"slipway/infer"
	"slipway/infer/port"
	"slipway/internal/display"
	"slipway/internal/evaluation"
	"slipway/metrics"
)

// toldAbove is the probability above which a label is told, the usual one where none was given.
func (o *options) toldAbove() float64 {
	if o.threshold == 0 {
		return infer.DefaultThreshold
	}
	return o.threshold
}

// givesLabels reports whether the model gives a picture any number of labels: by its record, or by
// a threshold where its classes stand alone.
func (o *options) givesLabels(model *loaded) (bool, error) {
	several := model.record != nil && model.record.MultiLabel()
	switch {
	case several && o.topGiven:
		return false, &usageError{errors.New(
			"-top does not go with a model that gives any number of labels; " +
				"-threshold says which are told")}
	case several || o.threshold == 0:
		return several, nil
	case !model.scale.Independent():
		return false, &usageError{errors.New(
			"-threshold is of a model whose classes stand alone, and this one picks " +
				"one class; -top says how many of the best are told")}
	}
	return true, nil
}

// labels says which labels the picture of these scores has. A model whose score is NaN says nothing
// of a picture, which is not that it has no label.
func (c *classifier) labels(file string, scores []float32) (answered, error) {
	for class, score := range scores {
		if score != score {
			return answered{}, fmt.Errorf("%s: the model's score of %s is NaN: it has no answer",
				file, c.names[class])
		}
	}
	probabilities := slices.Clone(scores)
	c.scale.Probabilities(probabilities)
	limit := c.scale.Threshold(c.session.toldAbove())
	a := answered{File: file, Labels: &[]candidate{}}
	for class, p := range probabilities {
		a.all = append(a.all, candidate{class, c.names[class], float64(p)})
	}
	for _, class := range port.Best(nil, scores, len(scores)) {
		if scores[class] > limit {
			*a.Labels = append(*a.Labels, a.all[class])
		}
	}
	return a, nil
}

// told are the classes that are told of a picture.
func (a answered) told() []candidate {
	if a.Labels != nil {
		return *a.Labels
	}
	return a.Top
}

// writeLabelTable writes each label of each picture, and whether it is told.
func writeLabelTable(w io.Writer, answers []answered) error {
	table := csv.NewWriter(w)
	rows := [][]string{{"file", "class", "name", "probability", "told"}}
	for _, answer := range answers {
		for _, label := range answer.all {
			told := slices.ContainsFunc(*answer.Labels, func(c candidate) bool {
				return c.Class == label.Class
			})
			rows = append(rows, []string{display.Cell(answer.File), strconv.Itoa(label.Class),
				display.Cell(label.Name),
				strconv.FormatFloat(label.Probability, 'g', 7, 64), strconv.FormatBool(told)})
		}
	}
	return table.WriteAll(rows)
}

// labelMetrics computes what the labels' answers are worth once, for all that tell of it.
func (r *report) labelMetrics() (figures *metrics.MultiLabel, err error) {
	if r.labelled == nil {
		r.labelled, err = r.result.LabelMetrics(r.names)
	}
	return r.labelled, err
}

// labelFigures are the figures of images with any number of labels, with the threshold, nil of
// others.
func (r *report) labelFigures() (map[string]float64, error) {
	if r.result.Combinations == nil {
		return nil, nil
	}
	named := map[string]float64{"threshold": r.session.toldAbove()}
	if r.result.Unanswered > 0 {
		return named, nil // no figure is defined
	}
	figures, err := r.labelMetrics()
	if err != nil {
		return nil, err
	}
	for _, figure := range figures.Figures() {
		named[figure.Name] = figure.Value
	}
	return named, nil
}

// writeLabelFigures prints them.
func (r *report) writeLabelFigures(w io.Writer) error {
	if r.result.Combinations == nil {
		return nil
	}
	fmt.Fprintf(w,
		"an image is right where all its labels are told, and no others: those with a probability above %v\n",
		r.session.toldAbove())
	if r.result.Unanswered > 0 {
		return nil
	}
	figures, err := r.labelMetrics()
	if err != nil {
		return err
	}
	var texts []string
	for _, figure := range figures.Figures()[1:] { // the subset accuracy is told already
		texts = append(texts, fmt.Sprintf("%s %.4f", evaluation.Name(figure.Name), figure.Value))
	}
	fmt.Fprintln(w, strings.Join(texts, ", "))
	return nil
}

// writeLabelsFolder is writeFolder of images with any number of labels.
func (r *report) writeLabelsFolder(ctx context.Context, dir string) error {
	if r.result.Unanswered > 0 {
		return fmt.Errorf("no report is written to %s: %s without an answer, and the figures of labels "+
			"need a score of each", dir, display.Count(r.result.Unanswered, "image"))
	}
	figures, err := r.labelMetrics()
	if err != nil {
		return err
	}
	whole, err := figures.Metrics()
	if err != nil {
		return err
	}
	report := r.reportOf(whole)
	report.Extent += fmt.Sprintf(
		" An image has any number of labels; one is told where its probability is above %v.",
		r.session.toldAbove())
	report.Wrong = r.wrongLabels()
	return report.Write(ctx, dir)
}

// wrongLabels has, of each image with a wrong label, the one that is most confidently wrong.
func (r *report) wrongLabels() []evaluation.WrongLabel {
	var wrong []evaluation.WrongLabel
	has := make([]bool, r.result.Classes)
	for i, label := range r.result.Labels {
		if label == r.result.Predictions[i] {
			continue
		}
		clear(has)
		for _, one := range r.result.Combinations[label] {
			has[one] = true
		}
		scores := r.result.Logits.Row(i)
		probabilities := slices.Clone(scores)
		r.result.Scale.Probabilities(probabilities)
		worst := evaluation.WrongLabel{Image: i, Label: -1, Apart: math.Inf(-1)}
		for k, score := range scores {
			told := score > r.result.Threshold
			if told == has[k] {
				continue
			}
			apart := math.Abs(float64(probabilities[k]) - r.session.toldAbove())
			if apart > worst.Apart {
				worst = evaluation.WrongLabel{Image: i, Label: k, Told: told,
					Probability: float64(probabilities[k]), Apart: apart}
			}
		}
		wrong = append(wrong, worst)
	}
	return wrong
}
