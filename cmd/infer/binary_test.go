package main

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/metrics"
	"slipway/onnx"
)

// Of a network that was trained with the binary loss, a picture's probabilities are the sigmoids of
// its scores, and a report's log loss is the binary one.
func TestProbabilitiesOfABinaryNetwork(t *testing.T) {
	dir := t.TempDir()
	digit := filepath.Join(dir, "a.png")
	digitPNG(t, digit, 0, 1)
	const told = "infer: note: the probability of each class stands alone"
	probabilities := func(model string, note bool) (sum float64) {
		code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-json", "-top", "10", digit)
		var said struct {
			Top []struct{ Probability float64 }
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 {
			t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
		}
		if strings.Contains(errs, told) != note {
			t.Errorf("said is %s", errs)
		}
		for _, candidate := range said.Top {
			sum += candidate.Probability
		}
		return sum
	}
	usual := modelThatRecords(t, onnx.TrainingRecord{})
	binary := modelThatRecords(t, onnx.TrainingRecord{Probabilities: onnx.SigmoidOfScores})
	if a, b := probabilities(usual, false), probabilities(binary, true); math.Abs(a-1) > 1e-5 || math.Abs(b-1) < 1e-3 {
		t.Errorf("the probabilities sum to %v, and to %v where classes stand alone", a, b)
	}
	folder, table := filepath.Join(dir, "report"), filepath.Join(dir, "answers.csv")
	code, _, errs := runCommand(t, "-model", binary, "-runtime", "native", "-data", smallData(t, 50), "-report", folder, "-o", table)
	if code != 0 {
		t.Fatal(errs)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m metrics.Metrics
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	rows := readCSV(t, table)
	want := 0.0
	for _, row := range rows[1:] {
		for class, z := range row[len(row)-10:] {
			value := number(t, z)
			if row[1] == string(rune('0'+class)) {
				value = -value
			}
			want += math.Log1p(math.Exp(value)) / 10 / float64(len(rows)-1)
		}
	}
	if math.Abs(*m.LogLoss-want) > 1e-5 {
		t.Errorf("log loss %v, the binary one is %v", *m.LogLoss, want)
	}
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	if err != nil || !strings.Contains(string(text), "the probability of each class stands alone") {
		t.Errorf("the report does not say what the probabilities are: %v", err)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
