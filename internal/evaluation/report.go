package evaluation

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/metrics"
)

// mostRows is the most classes whose figures the report shows; per-class.csv has all.
const mostRows = 100

// document builds the report.
func (r *Report) document(ctx context.Context) (*document.Document, error) {
	d := &document.Document{Title: display.Printable(r.Title)}
	d.Say(display.Printable(r.Extent))
	m := r.Metrics
	right := "answered right"
	if m.MultiLabel != nil {
		right = "answered right, with all labels"
	}
	d.Say(fmt.Sprintf("%s of %s are %s: %.2f %% (95 %% interval %.2f … %.2f %%).",
		display.Thousands(m.Correct), display.Thousands(m.Images), right, 100*m.Accuracy,
		100*m.Interval.Low, 100*m.Interval.High))
	if m.Unanswered > 0 {
		d.Say(fmt.Sprintf("%d have no answer, since a NaN is among their scores: they count as wrong, "+
			"and nothing that needs probabilities is told.", m.Unanswered))
	}
	d.Add(figuresTable(m))
	d.Say("docs/metrics.md says what each figure means. What is not defined is left out.")
	if err := r.addClasses(d); err != nil {
		return nil, err
	}
	if m.MultiLabel != nil {
		return d, r.addWrongLabels(ctx, d)
	}
	if err := r.addConfusion(d); err != nil {
		return nil, err
	}
	return d, r.addWorst(ctx, d)
}

func figuresTable(m *metrics.Metrics) document.Table {
	t := document.Table{Head: []string{"figure", "value"}}
	for _, figure := range m.Figures() {
		t.Rows = append(t.Rows, []string{Name(figure.Name),
			strconv.FormatFloat(figure.Value, 'f', 4, 64)})
	}
	return t
}

// Name is what people call a figure that has that name in JSON.
func Name(figure string) string {
	return strings.NewReplacer("roc_auc", "ROC AUC", "ece", "calibration error (ECE)", "f1", "F1",
		"brier", "Brier", "_", " ").Replace(figure)
}

func (r *Report) addClasses(d *document.Document) error {
	cell := func(x *float64, format func(float64) string) string {
		if x == nil {
			return ""
		}
		return format(*x)
	}
	short := func(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }
	head := []string{"class", "images", "precision", "recall", "F1", "ROC AUC", "average precision"}
	t := document.Table{Head: head}
	data := document.NewCSV("class", "name", "support", "precision", "recall", "f1", "roc_auc",
		"average_precision")
	classes, heading := r.Metrics.PerClass, "Classes"
	if m := r.Metrics.MultiLabel; m != nil {
		classes, heading, t.Head[0] = m.PerLabel, "Labels", "label"
	}
	for class, c := range classes {
		name, images := display.Printable(c.Name), strconv.Itoa(c.Support)
		shown, exact := []string{name, images}, []string{strconv.Itoa(class), c.Name, images}
		for _, x := range []*float64{c.Precision, c.Recall, c.F1, c.ROCAUC, c.AveragePrecision} {
			shown, exact = append(shown, cell(x, short)), append(exact, cell(x, document.Number))
		}
		t.Rows = append(t.Rows, shown)
		data.Row(exact...)
	}
	d.Heading(heading)
	if len(t.Rows) > mostRows {
		d.Say(fmt.Sprintf("The first %d classes of %d; %s has all.", mostRows, len(t.Rows), classesFile))
		t.Rows = t.Rows[:mostRows]
	}
	d.Add(t)
	content, err := data.Bytes()
	if err != nil {
		return err
	}
	d.Attach(document.File{Name: classesFile, Content: content})
	return nil
}
