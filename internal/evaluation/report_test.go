package evaluation

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/document"
	"slipway/metrics"
)

// write writes a report of logits of two classes on images with two channels.
func write(t *testing.T, dir string, logits []float32, labels []int) *metrics.Metrics {
	t.Helper()
	set := &dataset.Set{Name: "two", Channels: 2, Height: 4, Width: 3, Classes: 2,
		Images: make([]uint8, len(labels)*24), Labels: make([]int32, len(labels)), Place: "elsewhere/two"}
	for i, label := range labels {
		set.Labels[i] = int32(label)
	}
	classes := []string{"ant", "bee"}
	m, err := metrics.New(t.Context(), logits, labels, 2, metrics.Options{ClassNames: classes})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := metrics.Answers(logits, labels, 2, metrics.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Title: "A report", Extent: "Of two.", Metrics: m, Answers: answers,
		ClassNames: classes, Set: set}
	if err := r.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheWorstImagesAreTheMostConfidentOnes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "report")
	write(t, dir, []float32{1, 0, 0, 3, 5, 0, 0, 1}, []int{1, 0, 1, 1})
	raw, err := os.ReadFile(filepath.Join(dir, "worst.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for i, begins := range []string{"image,file,", "2,,bee,ant,0.993", "1,,ant,bee,0.95",
		"0,,bee,ant,0.73"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], begins) {
			t.Errorf("line %d does not begin with %s:\n%s", i, begins, raw)
		}
	}
	sheet, err := os.Open(filepath.Join(dir, "worst.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer sheet.Close()
	if _, err := png.Decode(sheet); err != nil {
		t.Error(err)
	}
	// Of a perfect classifier there is no such sheet, and none of before stays.
	write(t, dir, []float32{1, 0, 0, 3}, []int{0, 1})
	if _, err := os.Stat(filepath.Join(dir, "worst.png")); !os.IsNotExist(err) {
		t.Errorf("the earlier report's sheet: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, document.MarkdownFile))
	if err != nil || !strings.Contains(string(text), "No image has a wrong answer.") ||
		strings.Contains(string(text), "NaN") {
		t.Errorf("%v:\n%s", err, text)
	}
}

// A class without images has empty cells, and no figure is a NaN.
func TestWhatIsNotDefinedIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, []float32{1, 0, 2, 0}, []int{0, 0})
	for _, name := range []string{document.MarkdownFile, document.HTMLFile, MetricsFile, classesFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(text), "NaN") ||
			strings.Contains(string(text), "ROC AUC\n") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, classesFile))
	if err != nil || !strings.Contains(string(text), "1,bee,0,,,,,\n") {
		t.Errorf("%v: %s", err, text)
	}
}
