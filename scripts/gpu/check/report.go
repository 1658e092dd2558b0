package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is the Markdown that is written: a table of verdicts, and the files beside it that have
// what the programs printed. It is written again whenever it changes, in place of what was there
// at once, so that what was known stays whenever the machine is taken away.
type report struct {
	path  string // empty: it is not written
	began time.Time
	rows  []*row
	files []string
	err   error // of writing
}

type row struct {
	what, verdict, figures string
}

// Verdicts. What could not be measured is neither passed nor failed.
const (
	passed      = "passed"
	failed      = "FAILED"
	notMeasured = "not measured"
)

func newReport(path string) *report { return &report{path: path, began: time.Now()} }

// expect adds rows that have no verdict yet.
func (r *report) expect(whats ...string) {
	for _, what := range whats {
		r.rows = append(r.rows, &row{what: what})
	}
	r.write()
}

// add gives a row its verdict and figures, or others than before.
func (r *report) add(what, verdict, figures string) {
	i := slices.IndexFunc(r.rows, func(row *row) bool { return row.what == what })
	if i < 0 {
		i, r.rows = len(r.rows), append(r.rows, &row{what: what})
	}
	figures = strings.Join(strings.Fields(strings.ReplaceAll(figures, "|", "/")), " ")
	r.rows[i].verdict, r.rows[i].figures = verdict, figures
	fmt.Printf("%s: %s: %s\n", what, verdict, figures)
	r.write()
}

// missing says of a row that it cannot be measured here.
func (r *report) missing(what, why string) { r.add(what, notMeasured, "not measured: "+why) }

// leave says why a row has no verdict; one that has keeps it.
func (r *report) leave(what, why string) {
	for _, row := range r.rows {
		if row.what == what && row.verdict == "" {
			r.missing(what, why)
		}
	}
}

// file opens a file beside the report for what a part's programs print. It is added to what the
// report names.
func (r *report) file(part string) (*os.File, error) {
	if r.path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	name := strings.TrimSuffix(r.path, filepath.Ext(r.path)) + "-" + part + ".txt"
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if base := filepath.Base(name); !slices.Contains(r.files, base) {
		r.files = append(r.files, base)
		flags |= os.O_TRUNC
		r.write()
	}
	return os.OpenFile(name, flags, 0o666)
}

// passed reports whether nothing failed, and something passed.
func (r *report) passed() bool {
	some := false
	for _, row := range r.rows {
		if row.verdict == failed {
			return false
		}
		some = some || row.verdict == passed
	}
	return some
}

func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Slipway on CUDA\n\nWritten by `gpu-check`, begun %s, after %.0f s. "+
		"Every figure was measured by this run, or says that it was not.\n\n",
		r.began.UTC().Format("2006-01-02 15:04 UTC"), time.Since(r.began).Seconds())
	b.WriteString("| what | verdict | figures |\n| --- | --- | --- |\n")
	for _, row := range r.rows {
		verdict, figures := row.verdict, row.figures
		if verdict == "" {
			verdict, figures = notMeasured, "not measured: the check did not come to it"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.what, verdict, figures)
	}
	if len(r.files) > 0 {
		fmt.Fprintf(&b, "\nWhat the programs printed: %s.\n", strings.Join(r.files, ", "))
	}
	return b.String()
}

// write replaces the report. The first failure is kept: the check goes on, and prints.
func (r *report) write() {
	if r.path == "" {
		return
	}
	part := r.path + ".part"
	err := os.WriteFile(part, []byte(r.text()), 0o666)
	if err == nil {
		err = os.Rename(part, r.path)
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("write the report: %w", err)
	}
}
