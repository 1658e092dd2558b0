// Package evaluation writes what a classifier answered on a set as a report that people read:
// its figures, who is taken for whom, and the images that are most confidently wrong.
package evaluation

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway/dataset"
	"slipway/internal/document"
	"slipway/metrics"
)

// Files of a report, in its folder, beside those of its document. What does not apply is not
// there.
const (
	MetricsFile = "metrics.json"
	classesFile = "per-class.csv"
	confusion   = "confusion"
	worst       = "worst"
)

// Report is what is to be told of one evaluation.
type Report struct {
	// Title is the report's, Extent a sentence that says what was asked about what.
	Title, Extent string
	Metrics       *metrics.Metrics
	// Answers has the answer to each image of Set, where each has one label.
	Answers []metrics.Answer
	// Wrong has the images with a wrong label where they have any number of labels
	// (Metrics.MultiLabel).
	Wrong []WrongLabel
	// ClassNames has a name for each class.
	ClassNames []string
	Set        dataset.Source
}

// CheckFolder reports a folder that a report may not be written into.
func CheckFolder(dir string) error { return document.CheckFolder(dir, MetricsFile) }

// Write writes the report into the folder, which it makes. metrics.json is the last file.
func (r *Report) Write(ctx context.Context, dir string) error {
	if err := CheckFolder(dir); err != nil {
		return err
	}
	d, err := r.document(ctx)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	figures, err := json.MarshalIndent(r.Metrics, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	last := document.File{Name: MetricsFile, Content: append(figures, '\n')}
	return d.Write(dir, last, worst+".png", worst+".csv")
}
