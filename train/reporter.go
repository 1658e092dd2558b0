package train

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Reporter prints a run as it goes: the experiment's line after each epoch, and
// in between either a progress bar, redrawn in place, or a plain line now and
// then.
type Reporter struct {
	out io.Writer
	// width tells the columns of a terminal, nil if out cannot redraw a line.
	width  func() int
	epochs int
	now    func() time.Time

	began, drawn time.Time
	sinceBegan   int
}

// NewReporter returns a reporter for a run of at most that many epochs. width, if it is not
// nil, says that out is a terminal on which a line can be redrawn, and tells how many
// columns it has at the moment.
func NewReporter(out io.Writer, width func() int, epochs int) *Reporter {
	return &Reporter{out: out, width: width, epochs: epochs, now: time.Now}
}

const (
	barWidth      = 24
	barInterval   = 100 * time.Millisecond
	plainInterval = 10 * time.Second
)

// Step reports one step.
func (r *Reporter) Step(report StepReport) error {
	now := r.now()
	if r.began.IsZero() {
		r.began, r.drawn = now, now
		return nil
	}
	r.sinceBegan += report.Images
	interval := plainInterval
	if r.width != nil {
		interval = barInterval
	}
	if now.Sub(r.drawn) < interval || report.Step == report.Steps {
		return nil
	}
	r.drawn = now
	rate := float64(r.sinceBegan) / now.Sub(r.began).Seconds()
	stepsLeft := report.Steps - report.Step + (r.epochs-report.Epoch)*report.Steps
	perStep := now.Sub(r.began).Seconds() / float64(r.sinceBegan) * float64(report.Images)
	left := time.Duration(float64(stepsLeft) * perStep * float64(time.Second)).Round(time.Second)
	figures := fmt.Sprintf("Epoch [%d/%d], Step [%d/%d], Loss: %.4f, %.0f images/s, %v left",
		report.Epoch, r.epochs, report.Step, report.Steps, report.Loss, rate, left)
	if r.width == nil {
		_, err := fmt.Fprintln(r.out, figures)
		return err
	}
	// The last column stays free: a terminal may go to the next line with it.
	_, err := fmt.Fprintf(r.out, "\r%s%s", fitting(figures, float64(report.Step)/float64(report.Steps),
		r.width()-1), eraseRest)
	return err
}

// eraseRest erases what a longer line has left behind the cursor.
const eraseRest = "\x1b[K"

// fitting puts a bar before the figures, as long as there is room for, and cuts what does
// not fit into so many columns.
func fitting(figures string, share float64, columns int) string {
	const frame, shortest = 3, 4 // brackets and a blank; a shorter bar shows nothing
	runes := []rune(figures)
	width := min(barWidth, columns-len(runes)-frame)
	switch {
	case width >= shortest:
		full := int(float64(width) * share)
		return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "] " + figures
	case len(runes) > columns:
		return string(runes[:max(columns, 0)])
	}
	return figures
}

// Epoch reports one epoch in the experiment's form, with what else is known.
func (r *Reporter) Epoch(epoch Epoch) error {
	line := fmt.Sprintf("Epoch [%d/%d], Step [%d/%d], Loss: %.4f", epoch.Epoch, r.epochs, epoch.Steps,
		epoch.Steps, epoch.LastLoss)
	line += fmt.Sprintf("  (mean loss %.4f, training accuracy %.2f %%", epoch.MeanLoss,
		100*epoch.TrainAccuracy)
	if epoch.ValidationLoss != nil {
		line += fmt.Sprintf(", validation loss %.4f, validation accuracy %.2f %%", *epoch.ValidationLoss,
			100**epoch.ValidationAccuracy)
	}
	if epoch.ValidationMeanAveragePrecision != nil {
		line += fmt.Sprintf(", validation mean average precision %.2f %%",
			100**epoch.ValidationMeanAveragePrecision)
	}
	if epoch.ValidationMacroF1 != nil {
		line += fmt.Sprintf(", macro F1 %.2f %%", 100**epoch.ValidationMacroF1)
	}
	if epoch.RawValidationAccuracy != nil {
		line += fmt.Sprintf(" (not averaged %.4f, %.2f %%)", *epoch.RawValidationLoss,
			100**epoch.RawValidationAccuracy)
	}
	if epoch.TestAccuracy != nil {
		line += fmt.Sprintf(", test accuracy %.2f %%", 100**epoch.TestAccuracy)
	}
	line += fmt.Sprintf(", %.1f s, %.0f images/s)", epoch.Seconds, epoch.ImagesPerSecond)
	// What is not training (evaluation, saving) must not count in the next rate.
	r.began, r.sinceBegan = time.Time{}, 0
	if r.width != nil {
		line = "\r" + line + eraseRest
	}
	_, err := fmt.Fprintln(r.out, line)
	return err
}
