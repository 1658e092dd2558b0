// Package report says what a study came to: a page of HTML that needs nothing else,
// the same in Markdown, and beside every figure the table it was drawn from.
//
// Every sentence that states a finding is made from the numbers by a rule, and the rule
// is part of the text. The same results give the same bytes.
package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/atomicfile"
)

// Files of a report that are not beside a figure.
const (
	MarkdownFile = "report.md"
	HTMLFile     = "report.html"
	RunsFile     = "runs.csv"     // one row a run
	SettingsFile = "settings.csv" // one row a setting: means and intervals
)

// Rules of the findings, stated in every report.
const (
	// level is the confidence level of all intervals, significance that of all tests.
	level        = 0.95
	significance = 0.05
	// resamples of the bootstrap over seeds, and of the one over seeds and images.
	resamples        = 10_000
	crossedResamples = 2_000
	// bins of the reliability diagrams.
	bins = 15
)

// Render makes the files of the report, by name.
func (s *Study) Render() (map[string][]byte, error) {
	d, err := s.document()
	if err != nil {
		return nil, fmt.Errorf("report of study %s: %w", s.Plan.Study, err)
	}
	files := map[string][]byte{
		MarkdownFile: d.Markdown(),
		HTMLFile:     d.HTML(),
	}
	add := func(name string, content []byte) error {
		if _, twice := files[name]; twice {
			return fmt.Errorf("report of study %s: two files are called %s", s.Plan.Study, name)
		}
		files[name] = content
		return nil
	}
	for _, file := range d.Files() {
		if err := add(file.Name, file.Content); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Write renders the report into the folder, which it makes. Figures of an earlier
// report that this one does not have are removed.
func (s *Study) Write(dir string) error {
	files, err := s.Render()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("folder of the report: %w", err)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), files[name]); err != nil {
			return fmt.Errorf("report of study %s: %w", s.Plan.Study, err)
		}
	}
	for _, name := range figureNames() {
		if _, drawn := files[name]; drawn {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("figure of an earlier report: %w", err)
		}
	}
	return nil
}
