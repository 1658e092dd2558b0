// Package evaluation writes what a classifier answered on a set as a report that people read:
// its figures, who is taken for whom, and the images that are most confidently wrong.
package evaluation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/dataset"
	"slipway/internal/atomicfile"
	"slipway/internal/document"
	"slipway/metrics"
)

// Files of a report, in its folder. What does not apply is not there.
const (
	MetricsFile  = "metrics.json"
	MarkdownFile = "report.md"
	HTMLFile     = "report.html"
	classesFile  = "per-class.csv"
	confusion    = "confusion"
	worst        = "worst"
)

// Report is what is to be told of one evaluation.
type Report struct {
	// Title is the report's, Extent a sentence that says what was asked about what.
	Title, Extent string
	Metrics       *metrics.Metrics
	// Answers has the answer to each image of Set.
	Answers []metrics.Answer
	// ClassNames has a name for each class.
	ClassNames []string
	Set        dataset.Source
}

// CheckFolder reports a folder that a report may not be written into: one with files in it of
// which no earlier report is one.
func CheckFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("folder of the report: %w", err)
	case len(entries) == 0:
		return nil
	}
	for _, name := range []string{MetricsFile, HTMLFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("folder of the report: %s has other files, and no earlier report; "+
				"name a new folder", dir)
		}
	}
	return nil
}

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
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("folder of the report: %w", err)
	}
	files := append(d.Files(), document.File{Name: MarkdownFile, Content: d.Markdown()},
		document.File{Name: HTMLFile, Content: d.HTML()},
		document.File{Name: MetricsFile, Content: append(figures, '\n')})
	written := make(map[string]bool)
	for _, file := range files {
		if err := atomicfile.WriteBytes(filepath.Join(dir, file.Name), file.Content); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		written[file.Name] = true
	}
	// What an earlier report had and this one has not would be taken for a part of it.
	for _, name := range []string{worst + ".png", worst + ".csv"} {
		if written[name] {
			continue
		}
		err := os.Remove(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("figure of an earlier report: %w", err)
		}
	}
	return nil
}
