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
	// terminal says that out can redraw a line.
	terminal bool
	epochs   int
	now      func() time.Time

	began, drawn time.Time
	sinceBegan   int
	width        int
}

// NewReporter returns a reporter for a run of at most that many epochs.
func NewReporter(out io.Writer, terminal bool, epochs int) *Reporter {
	return &Reporter{out: out, terminal: terminal, epochs: epochs, now: time.Now}
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
	if r.terminal {
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
	if !r.terminal {
		_, err := fmt.Fprintln(r.out, figures)
		return err
	}
	full := barWidth * report.Step / report.Steps
	return r.redraw("[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + figures)
}

// Epoch reports one epoch in the experiment's form, with what else is known.
func (r *Reporter) Epoch(epoch Epoch) error {
	line := fmt.Sprintf("Epoch [%d/%d], Step [%d/%d], Loss: %.4f", epoch.Epoch, r.epochs, epoch.Steps, epoch.Steps, epoch.LastLoss)
	line += fmt.Sprintf("  (mean loss %.4f, training accuracy %.2f %%", epoch.MeanLoss, 100*epoch.TrainAccuracy)
	if epoch.ValidationLoss != nil {
		line += fmt.Sprintf(", validation loss %.4f, validation accuracy %.2f %%", *epoch.ValidationLoss, 100**epoch.ValidationAccuracy)
	}
	if epoch.TestAccuracy != nil {
		line += fmt.Sprintf(", test accuracy %.2f %%", 100**epoch.TestAccuracy)
	}
	line += fmt.Sprintf(", %.1f s, %.0f images/s)", epoch.Seconds, epoch.ImagesPerSecond)
	// What is not training (evaluation, saving) must not count in the next rate.
	r.began, r.sinceBegan = time.Time{}, 0
	if r.terminal {
		if err := r.redraw(line); err != nil {
			return err
		}
		r.width = 0
		line = ""
	}
	_, err := fmt.Fprintln(r.out, line)
	return err
}

// redraw writes over the line drawn before.
func (r *Reporter) redraw(line string) error {
	width := len([]rune(line))
	padding := max(r.width-width, 0)
	r.width = width
	_, err := fmt.Fprintf(r.out, "\r%s%s", line, strings.Repeat(" ", padding))
	return err
}
