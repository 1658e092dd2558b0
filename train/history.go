package train

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Epoch is what one pass over the training set came to.
type Epoch struct {
	// Epoch counts from 1, Steps is the number of steps in it.
	Epoch int `json:"epoch"`
	Steps int `json:"steps"`
	// MeanLoss is the mean over the epoch's images, LastLoss that of the last
	// batch; both include the penalties.
	MeanLoss float64 `json:"mean_loss"`
	LastLoss float64 `json:"last_loss"`
	// MeanCrossEntropy is MeanLoss without the penalties: of Config.Loss, whichever it is.
	MeanCrossEntropy float64 `json:"mean_cross_entropy"`
	// TrainAccuracy is the share of training images classified right on their
	// way through the epoch, with dropout on. Of images with any number of labels all are right, here
	// and in the other accuracies.
	TrainAccuracy float64 `json:"train_accuracy"`
	// ValidationLoss (without penalties) and ValidationAccuracy are those of the
	// images held out, after the epoch; nil if there are none.
	ValidationLoss     *float64 `json:"validation_loss,omitempty"`
	ValidationAccuracy *float64 `json:"validation_accuracy,omitempty"`
	// ValidationMeanAveragePrecision, ValidationMacroF1 and ValidationMicroF1 are of images held out
	// that have any number of labels (metrics.MultiLabel), nil of others and where they are not
	// defined.
	ValidationMeanAveragePrecision *float64 `json:"validation_mean_average_precision,omitempty"`
	ValidationMacroF1              *float64 `json:"validation_macro_f1,omitempty"`
	ValidationMicroF1              *float64 `json:"validation_micro_f1,omitempty"`
	// RawValidationLoss and RawValidationAccuracy are those of the weights of the last step
	// where what is validated and tested are the averaged ones, nil elsewhere.
	RawValidationLoss     *float64 `json:"raw_validation_loss,omitempty"`
	RawValidationAccuracy *float64 `json:"raw_validation_accuracy,omitempty"`
	// GradientNorm is the largest norm that the gradients of a step had before they were
	// clipped, nil where they are not.
	GradientNorm *float64 `json:"gradient_norm,omitempty"`
	// TestAccuracy is that of the test set after the epoch, nil if it was not
	// evaluated. Nothing is chosen by it.
	TestAccuracy *float64 `json:"test_accuracy,omitempty"`
	// Seconds is the time of the training steps, feeding included, evaluation
	// not.
	Seconds         float64 `json:"seconds"`
	ImagesPerSecond float64 `json:"images_per_second"`
}

// Figure is one figure of an epoch, under its name in history.csv.
type Figure struct {
	Name  string
	Value float64
}

// Figures lists what was measured of the epoch, for those who are told of a run while it goes.
func (e Epoch) Figures() []Figure {
	figures := []Figure{{"mean_loss", e.MeanLoss}, {"mean_cross_entropy", e.MeanCrossEntropy},
		{"train_accuracy", e.TrainAccuracy}}
	for _, f := range []struct {
		name  string
		value *float64
	}{
		{"validation_loss", e.ValidationLoss}, {"validation_accuracy", e.ValidationAccuracy},
		{"validation_mean_average_precision", e.ValidationMeanAveragePrecision},
		{"validation_macro_f1", e.ValidationMacroF1}, {"validation_micro_f1", e.ValidationMicroF1},
		{"test_accuracy", e.TestAccuracy},
	} {
		if f.value != nil {
			figures = append(figures, Figure{f.name, *f.value})
		}
	}
	return append(figures, Figure{"images_per_second", e.ImagesPerSecond})
}

// History is one Epoch after another.
type History []Epoch

// JSON returns the history as an indented JSON array.
func (h History) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return append(raw, '\n'), nil
}

// recipeColumn is a column that only runs with a certain recipe have.
type recipeColumn struct {
	name  string
	value func(Epoch) *float64
}

func recipeColumns() []recipeColumn {
	return []recipeColumn{
		{"raw_validation_loss", func(e Epoch) *float64 { return e.RawValidationLoss }},
		{"raw_validation_accuracy", func(e Epoch) *float64 { return e.RawValidationAccuracy }},
		{"gradient_norm", func(e Epoch) *float64 { return e.GradientNorm }},
		{"validation_mean_average_precision",
			func(e Epoch) *float64 { return e.ValidationMeanAveragePrecision }},
		{"validation_macro_f1", func(e Epoch) *float64 { return e.ValidationMacroF1 }},
		{"validation_micro_f1", func(e Epoch) *float64 { return e.ValidationMicroF1 }},
	}
}

// CSV returns the history as a table with a header line; what was not measured
// is empty. Columns that no epoch has a value in are left out at the end.
func (h History) CSV() ([]byte, error) {
	var text bytes.Buffer
	table := csv.NewWriter(&text)
	rows := [][]string{{"epoch", "steps", "mean_loss", "last_loss", "mean_cross_entropy",
		"train_accuracy", "validation_loss", "validation_accuracy", "test_accuracy", "seconds",
		"images_per_second"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
	optional := func(x *float64) string {
		if x == nil {
			return ""
		}
		return number(*x)
	}
	for _, e := range h {
		rows = append(rows, []string{strconv.Itoa(e.Epoch), strconv.Itoa(e.Steps), number(e.MeanLoss),
			number(e.LastLoss),
			number(e.MeanCrossEntropy), number(e.TrainAccuracy), optional(e.ValidationLoss),
			optional(e.ValidationAccuracy),
			optional(e.TestAccuracy), number(e.Seconds), number(e.ImagesPerSecond)})
	}
	for _, column := range recipeColumns() {
		if !slices.ContainsFunc(h, func(e Epoch) bool { return column.value(e) != nil }) {
			continue // as before there was such a column
		}
		rows[0] = append(rows[0], column.name)
		for i, e := range h {
			rows[i+1] = append(rows[i+1], optional(column.value(e)))
		}
	}
	if err := table.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return text.Bytes(), nil
}
