package main

import (
	"fmt"
	"strings"
	"time"
)

// report is the Markdown that is written: a table of verdicts, and a section of
// figures each.
type report struct {
	began    time.Time
	rows     []row
	sections strings.Builder
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

func newReport() *report { return &report{began: time.Now()} }

func (r *report) add(what, verdict, figures string) {
	r.rows = append(r.rows, row{what, verdict, strings.Join(strings.Fields(strings.ReplaceAll(figures, "|", "/")), " ")})
	fmt.Printf("%s: %s: %s\n", what, verdict, figures)
}

// missing adds a row of something that cannot be measured here.
func (r *report) missing(what, why string) { r.add(what, notMeasured, "not measured: "+why) }

// section adds what a program printed.
func (r *report) section(title, text string) {
	fmt.Fprintf(&r.sections, "\n## %s\n\n```\n%s\n```\n", title, strings.TrimSpace(text))
}

func (r *report) passed() bool {
	for _, row := range r.rows {
		if row.verdict == failed {
			return false
		}
	}
	return true
}

func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Slipway on CUDA\n\nWritten by `gpu-check`, begun %s, after %.0f s. Every figure was measured by this run, or says that it was not.\n\n",
		r.began.UTC().Format("2006-01-02 15:04 UTC"), time.Since(r.began).Seconds())
	b.WriteString("| what | verdict | figures |\n| --- | --- | --- |\n")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.what, row.verdict, row.figures)
	}
	b.WriteString(r.sections.String())
	return b.String()
}
