package infer

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway/internal/display"
	"slipway/internal/evaluation"
	"slipway/metrics"
)

// writeFolder writes what the answers are worth as a report into the folder of -report.
func (r *report) writeFolder(ctx context.Context, dir string) error {
	if r.result.Combinations != nil {
		return r.writeLabelsFolder(ctx, dir)
	}
	figures, err := r.result.Metrics(ctx, r.names)
	if err != nil {
		return err
	}
	answers, err := r.result.Answers()
	if err != nil {
		return err
	}
	report := r.reportOf(figures)
	report.Answers = answers
	return report.Write(ctx, dir)
}

// reportOf is the report of these figures, without the answers.
func (r *report) reportOf(figures *metrics.Metrics) *evaluation.Report {
	set, info := r.session.set.Info(), r.result.Info
	figures.Data, figures.DataSHA256 = set.ShortName(), set.SHA256
	model := filepath.Base(r.session.modelPath)
	extent := fmt.Sprintf("%s was asked about %s, %s of %d×%d×%d in %s, fed as %s, in %s %s (%s).",
		model, set.ShortName(), display.Count(r.result.Images, "image"), set.Channels,
		set.Height, set.Width, classes(r.result.Classes), r.session.loaded.pixels,
		info.Runtime, info.Version, info.Provider)
	if scale := r.result.Scale; scale.Independent() {
		extent += fmt.Sprintf(" It was trained so that %v", scale)
		if r.result.Combinations == nil { // of labels, no log loss is told
			extent += ": log loss is the binary one"
		}
		extent += "."
	}
	return &evaluation.Report{
		Title:   fmt.Sprintf("%s on %s", model, set.ShortName()),
		Extent:  extent,
		Metrics: figures, ClassNames: r.names, Set: r.session.set,
	}
}

func classes(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}
