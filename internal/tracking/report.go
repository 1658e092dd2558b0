package tracking

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/internal/evaluation"
)

// ComparisonFile has a comparison's figures, in the folder of its report.
const ComparisonFile = "comparison.json"

// mostShown is the most images on a sheet.
const mostShown = 40

// Sentence says how much the runs differ, and whether by more than chance.
func (c *Comparison) Sentence() string {
	if c.Interval == nil {
		return fmt.Sprintf("%s and %s are right on the same images.", c.Runs[0], c.Runs[1])
	}
	more := fmt.Sprintf("%s answers %.2f points more of the images right than %s", c.Runs[1],
		100*c.Difference, c.Runs[0])
	switch {
	case c.Difference < 0:
		more = fmt.Sprintf("%s answers %.2f points fewer of the images right than %s", c.Runs[1],
			-100*c.Difference, c.Runs[0])
	case c.Difference == 0:
		more = fmt.Sprintf("%s answers as many of the images right as %s", c.Runs[1], c.Runs[0])
	}
	verdict := "by chance alone a difference like this is not rare"
	if c.P < 1-Level {
		verdict = "more than chance explains"
	}
	return fmt.Sprintf("%s (95 %% interval of the difference %+.2f … %+.2f points; McNemar's exact "+
		"test p = %.3g): %s. Both are single runs: another seed differs, too.",
		more, 100*c.Interval.Low, 100*c.Interval.High, c.P, verdict)
}

// ClassNames returns what a class is called; −1 is no answer.
func (c *Comparison) ClassNames() func(class int) string {
	names := c.Test.ClassNames
	return func(class int) string {
		switch {
		case class < 0:
			return "none"
		case class < len(names):
			return display.Printable(names[class])
		}
		return strconv.Itoa(class)
	}
}

// Write writes the comparison as a report into the folder, which it makes.
func (c *Comparison) Write(ctx context.Context, set dataset.Source, dir string) error {
	d := &document.Document{Title: fmt.Sprintf("%s and %s on %s", c.Runs[0], c.Runs[1], c.Data)}
	d.Say(c.Sentence())
	d.Add(document.Table{Head: []string{"", "accuracy", "only this one right"}, Rows: [][]string{
		{c.Runs[0], percent(c.Accuracy[0]), strconv.Itoa(c.OnlyFirst)},
		{c.Runs[1], percent(c.Accuracy[1]), strconv.Itoa(c.OnlySecond)}}})
	d.Say(fmt.Sprintf("Of %s both answer %d right, and both %d wrong.",
		display.Count(c.Images, "image"), c.BothRight, c.BothWrong))
	d.Heading("Settings that differ")
	if len(c.Settings) == 0 {
		d.Say("None.")
	} else {
		t := document.Table{Head: []string{"setting", c.Runs[0], c.Runs[1]}}
		for _, s := range c.Settings {
			t.Rows = append(t.Rows, []string{display.Printable(s.Name), display.Printable(s.First),
				display.Printable(s.Second)})
		}
		d.Add(t)
	}
	for i := range c.Runs {
		if err := c.addChanged(ctx, d, set, i); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	figures, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	last := document.File{Name: ComparisonFile, Content: append(figures, '\n')}
	return d.Write(dir, last, "only-first.png", "only-first.csv", "only-second.png", "only-second.csv")
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// addChanged shows the images that run i alone answers right.
func (c *Comparison) addChanged(ctx context.Context, d *document.Document, set dataset.Source,
	i int) error {
	d.Heading("Only " + c.Runs[i] + " is right")
	var changed []Change
	for _, change := range c.Changed {
		answer := change.First
		if i == 1 {
			answer = change.Second
		}
		if answer == change.Label {
			changed = append(changed, change)
		}
	}
	if len(changed) == 0 {
		d.Say("On no image.")
		return nil
	}
	names := c.ClassNames()
	data := document.NewCSV("image", "file", "label", "first_answer", "second_answer")
	for _, change := range changed {
		data.Row(strconv.Itoa(change.Image), change.File, names(change.Label), names(change.First),
			names(change.Second))
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	var indices []int
	var captions []string
	for _, change := range changed[:min(mostShown, len(changed))] {
		other := change.Second
		if i == 1 {
			other = change.First
		}
		indices = append(indices, change.Image)
		captions = append(captions, evaluation.Caption(c.Test.ClassNames, change.Label, other))
	}
	sheet, err := evaluation.Sheet(ctx, set, indices, captions)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: []string{"only-first", "only-second"}[i], PNG: sheet, Data: table,
		Caption: fmt.Sprintf("%s of %d: label > the other run's answer.",
			display.Count(len(indices), "image"), len(changed))})
	return nil
}
