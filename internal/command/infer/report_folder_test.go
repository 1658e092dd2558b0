package infer

import (
	"encoding/csv"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/metrics"
)

func TestReportFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	args := []string{"-model", "../../../graphs/e1.onnx", "-data", smallData(t, 300), "-runtime",
		"native", "-json"}
	code, out, errs := runCommand(t, append(args, "-report", dir)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var printed document
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m metrics.Metrics
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if m.Images != 300 || m.Accuracy != printed.Accuracy || m.TopK == nil || m.ROCAUC == nil ||
		len(m.PerClass) != 10 || m.DataSHA256 == "" ||
		*m.PerClass[3].Recall != printed.Classes[3].Recall {
		t.Errorf("%s", raw)
	}
	if strings.Contains(string(raw), os.TempDir()) {
		t.Errorf("a path of this machine is told: %s", raw)
	}
	// The confusion's table is that of -json.
	file, err := os.Open(filepath.Join(dir, "confusion.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, row := range rows[1:] {
		label, _ := strconv.Atoi(row[0])
		answer, _ := strconv.Atoi(row[1])
		if row[2] != strconv.Itoa(printed.Confusion[label][answer]) {
			t.Errorf("row %v, -json has %d", row, printed.Confusion[label][answer])
		}
		if label != answer {
			wrong += printed.Confusion[label][answer]
		}
	}
	if wrong != printed.Images-printed.Correct || wrong == 0 {
		t.Errorf("%d wrong answers in the table, %d of %d are right", wrong, printed.Correct,
			printed.Images)
	}
	sheet, err := os.Open(filepath.Join(dir, "worst.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer sheet.Close()
	if _, err := png.Decode(sheet); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"report.md": "# e1.onnx on ", "report.html": "<svg", "confusion.svg": "<svg",
		"per-class.csv": "support",
	} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil ||
			!strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q: %v", name, want, err)
		}
	}
	// A report replaces an earlier one, and nothing else.
	if code, _, errs := runCommand(t, append(args, "-report", dir)...); code != 0 {
		t.Errorf("again: exit %d: %s", code, errs)
	}
	if code, out,
		errs := runCommand(t, append(args[:len(args)-1:len(args)-1], "-report", dir)...); code != 0 ||
		strings.Count(out, "the report is in "+filepath.Join(dir, "report.html")+"\n") != 1 {
		t.Errorf("as text: exit %d: %s%s", code, out, errs)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "metrics.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runCommand(t, append(args, "-report", other)...); code != 1 ||
		!strings.Contains(errs, "name a new folder") {
		t.Errorf("into a folder with other files: exit %d: %s", code, errs)
	}
}

func TestReportIsOfASet(t *testing.T) {
	if code, _, errs := runCommand(t, "-model", "../../../graphs/e1.onnx", "-report", "x",
		"cat.png"); code != 2 || !strings.Contains(errs, "-report is of a set") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
