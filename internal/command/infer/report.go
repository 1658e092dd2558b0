package infer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"text/tabwriter"

	"slipway/infer"
	"slipway/internal/display"
)

// maxMatrix is the most classes whose confusion matrix is printed as text.
const maxMatrix = 20

// document is what -json prints; the usage text describes it.
type document struct {
	Model            string              `json:"model"`
	Data             string              `json:"data"`
	Corruption       *corruptionDocument `json:"corruption"`
	Images           int                 `json:"images"`
	Correct          int                 `json:"correct"`
	Unanswered       int                 `json:"unanswered"`
	Accuracy         float64             `json:"accuracy"`
	RecordedAccuracy *float64            `json:"recorded_accuracy"`
	Runtime          string              `json:"runtime"`
	Version          string              `json:"version"`
	Provider         string              `json:"provider"`
	Device           string              `json:"device"`
	Threads          int                 `json:"threads"`
	Library          *string             `json:"library"`
	Batch            int                 `json:"batch"`
	Pixels           string              `json:"pixels"`
	ImagesPerSecond  float64             `json:"images_per_second"`
	Notes            []string            `json:"notes"`
	MultiLabel       map[string]float64  `json:"multi_label,omitempty"`
	Confusion        [][]int             `json:"confusion"`
	Classes          []classDocument     `json:"classes"`
	Agree            bool                `json:"agree"`
	Reasons          []string            `json:"reasons"`
	Compared         []otherDocument     `json:"compared"`
}

type corruptionDocument struct {
	Name     string `json:"name"`
	Strength int    `json:"strength"`
	Seed     uint64 `json:"seed"`
}

type classDocument struct {
	Name      string  `json:"name"`
	Images    int     `json:"images"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

type otherDocument struct {
	Runtime         string   `json:"runtime"`
	Version         string   `json:"version"`
	Provider        string   `json:"provider"`
	Images          int      `json:"images"`
	Correct         int      `json:"correct"`
	Accuracy        float64  `json:"accuracy"`
	ImagesPerSecond *float64 `json:"images_per_second"`
	LabelsDiffer    int      `json:"labels_differ"`
	MaxAbsDiff      *float64 `json:"max_abs_diff"`
	MaxRelDiff      *float64 `json:"max_rel_diff"`
	NotFinite       int      `json:"not_finite"`
	Of              string   `json:"of"`
	ScoresRelDiff   *float64 `json:"scores_rel_diff"`
	Tolerance       float64  `json:"tolerance"`
	ToleranceFrom   string   `json:"tolerance_from"`
	Agree           bool     `json:"agree"`
}

// finite is the number for JSON, which has no infinity: null instead.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

func (r *report) writeJSON(w io.Writer) (err error) {
	result, info := r.result, r.result.Info
	d := document{
		Model: r.session.modelPath, Data: r.session.set.Info().Name,
		Images: result.Images, Correct: result.Correct, Unanswered: result.Unanswered,
		Accuracy: result.Accuracy(),
		Runtime:  info.Runtime, Version: info.Version, Provider: info.Provider, Device: info.Device,
		Threads: info.Threads,
		Batch:   r.batch(), Pixels: r.session.loaded.pixels.String(),
		ImagesPerSecond: result.ImagesPerSecond(),
		Confusion:       result.Confusion,
		Agree:           len(r.reasons) == 0,
		// Empty lists, not null.
		Notes: append([]string{}, r.notes...), Reasons: append([]string{}, r.reasons...),
		Compared: []otherDocument{},
	}
	if r.session.record != nil && r.session.record.TestImages > 0 {
		d.RecordedAccuracy = &r.session.record.TestAccuracy
	}
	if c := r.session.corruption; c != nil {
		d.Corruption = &corruptionDocument{c.Name, c.Strength, c.Seed}
	}
	if info.Library != "" {
		d.Library = &info.Library
	}
	if d.MultiLabel, err = r.labelFigures(); err != nil {
		return err
	}
	for class, f := range result.PerClass() {
		d.Classes = append(d.Classes, classDocument{r.names[class], f.Images, f.Precision, f.Recall,
			f.F1})
	}
	for _, c := range r.compared {
		other := otherDocument{
			Runtime: c.result.Info.Runtime, Version: c.result.Info.Version, Provider: c.result.Info.Provider,
			Images: c.result.Images, Correct: c.result.Correct, Accuracy: c.result.Accuracy(),
			LabelsDiffer: c.comparison.LabelsDiffer, NotFinite: c.comparison.NotFinite,
			MaxAbsDiff: finite(c.comparison.MaxAbsDiff), MaxRelDiff: finite(c.comparison.MaxRelDiff),
			Of: c.comparison.Of, ScoresRelDiff: finite(c.comparison.ScoresRelDiff),
			Tolerance: c.comparison.Tolerance, ToleranceFrom: c.comparison.from(),
			Agree: c.comparison.Agree(),
		}
		if c.result.Elapsed > 0 {
			other.ImagesPerSecond = finite(c.result.ImagesPerSecond())
		}
		d.Compared = append(d.Compared, other)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

func (r *report) batch() int {
	if r.session.batch == 0 {
		return infer.BatchOf(r.session.loaded.model)
	}
	return r.session.batch
}

// printableName is the name as text shows it: it is out of the model's file.
func (r *report) printableName(class int) string { return display.Printable(r.names[class]) }

func (r *report) writeText(out io.Writer) error {
	var b bytes.Buffer
	s, result, set := r.session, r.result, r.session.set.Info()
	fmt.Fprintf(&b, "model    %s\n", s.modelPath)
	fmt.Fprintf(&b, "data     %s: %d images %d×%d×%d, fed as %s\n", set.Name, result.Images,
		set.Channels, set.Height, set.Width, s.loaded.pixels)
	fmt.Fprintf(&b, "runtime  %s %s, %s on %s, %d threads\n", result.Info.Runtime, result.Info.Version,
		result.Info.Provider, result.Info.Device, result.Info.Threads)
	for _, note := range r.notes {
		fmt.Fprintf(&b, "note     %s\n", note)
	}
	fmt.Fprintf(&b, "\n%s = %.2f %%\n", result.AccuracyName(), 100*result.Accuracy())
	fmt.Fprintf(&b, "%d of %d images, %.0f images/s in batches of %d\n", result.Correct, result.Images,
		result.ImagesPerSecond(), r.batch())
	if result.Unanswered > 0 {
		fmt.Fprintf(&b, "%d images have no answer: a NaN is among their scores\n", result.Unanswered)
	}
	if s.record != nil && s.record.TestImages > 0 {
		fmt.Fprintf(&b, "recorded by the trainer: %.2f %% of %d images", 100*s.record.TestAccuracy,
			s.record.TestImages)
		switch {
		case r.comparable:
		case result.Combinations != nil && s.options.threshold != 0:
			fmt.Fprint(&b, " (not comparable: of other images, other pixels or another threshold)")
		default:
			fmt.Fprint(&b, " (not comparable: of other images or other pixels)")
		}
		fmt.Fprintln(&b)
	}
	if err := r.writeLabelFigures(&b); err != nil {
		return err
	}
	r.writeClasses(&b)
	if result.Classes <= maxMatrix && result.Confusion != nil {
		r.writeConfusion(&b)
	}
	r.writeCompared(&b)
	if s.options.report != "" && r.folder == nil {
		fmt.Fprintf(&b, "\nthe report is in %s\n", filepath.Join(s.options.report, "report.html"))
	}
	_, err := out.Write(b.Bytes())
	return err
}

func (r *report) writeClasses(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\nclass\timages\tprecision\trecall\tF1\t\n")
	for class, f := range r.result.PerClass() {
		fmt.Fprintf(t, "%s\t%d\t%.4f\t%.4f\t%.4f\t\n", r.printableName(class), f.Images, f.Precision,
			f.Recall, f.F1)
	}
	t.Flush()
}

func (r *report) writeConfusion(w io.Writer) {
	fmt.Fprint(w, "\nconfusion: a row is a label, a column an answer\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for class := range r.result.Confusion {
		fmt.Fprintf(t, "\t%s", r.printableName(class))
	}
	fmt.Fprint(t, "\t\n")
	for label, row := range r.result.Confusion {
		fmt.Fprint(t, r.printableName(label))
		for _, n := range row {
			fmt.Fprintf(t, "\t%d", n)
		}
		fmt.Fprint(t, "\t\n")
	}
	t.Flush()
}

func (r *report) writeCompared(w io.Writer) {
	if len(r.compared) == 0 {
		return
	}
	fmt.Fprintf(w, "\ncompared with %s; range is that of its logits, the tolerance %g of it\n",
		r.result.Info.Runtime, r.session.tolerance)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\taccuracy\tlabels differ\tmax |Δ|\tof range\tverdict\t\n")
	for _, c := range r.compared {
		verdict := "agrees"
		if !c.comparison.Agree() {
			verdict = "DISAGREES"
		}
		fmt.Fprintf(t, "%s %s\t%.2f %%\t%d of %d\t%.2g\t%.2g\t%s\t\n", c.result.Info.Runtime,
			c.result.Info.Version, 100*c.result.Accuracy(),
			c.comparison.LabelsDiffer, c.comparison.Images, c.comparison.MaxAbsDiff, c.comparison.MaxRelDiff,
			verdict)
	}
	t.Flush()
	for _, c := range r.compared {
		for _, remark := range c.comparison.remarks() {
			fmt.Fprintf(w, "%s: %s\n", c.result.Info.Runtime, remark)
		}
	}
}

// remarks say what was compared, where it is not a model's own logits, and where
// the tolerance comes from if it is not the default.
func (v verdict) remarks() (remarks []string) {
	if !v.Head.None() {
		remarks = append(remarks, "compared are the "+display.Printable(v.Of))
	}
	if v.rounding != nil {
		remarks = append(remarks, fmt.Sprintf("the tolerance is %.2g of the range: %v", v.Tolerance,
			v.rounding))
	}
	return remarks
}
