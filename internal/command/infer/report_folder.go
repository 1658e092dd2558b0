package infer

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway/internal/display"
	"slipway/internal/evaluation"
)

// writeFolder writes what the answers are worth as a report into the folder of -report.
func (r *report) writeFolder(ctx context.Context, dir string) error {
	figures, err := r.result.Metrics(ctx, r.names)
	if err != nil {
		return err
	}
	answers, err := r.result.Answers()
	if err != nil {
		return err
	}
	set, info := r.session.set.Info(), r.result.Info
	figures.Data, figures.DataSHA256 = set.ShortName(), set.SHA256
	model := filepath.Base(r.session.modelPath)
	extent := fmt.Sprintf("%s was asked about %s, %s of %d×%d×%d in %s, fed as %s, in %s %s (%s).",
		model, set.ShortName(), display.Count(r.result.Images, "image"), set.Channels,
		set.Height, set.Width, classes(r.result.Classes), r.session.loaded.pixels,
		info.Runtime, info.Version, info.Provider)
	if scale := r.result.Scale; scale.Independent() {
		extent += fmt.Sprintf(" It was trained so that %v: log loss is the binary one.", scale)
	}
	report := &evaluation.Report{
		Title:   fmt.Sprintf("%s on %s", model, set.ShortName()),
		Extent:  extent,
		Metrics: figures, Answers: answers, ClassNames: r.names, Set: r.session.set,
	}
	return report.Write(ctx, dir)
}

func classes(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}
