package infer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	own "slipway/infer/classify"
	"slipway/metrics"
	"slipway/onnx"
)

// labelledDigits writes the first digits of the test set as arrays with 10 labels: a digit has its
// own, and 7 and above have label 0 as well; zeros have none.
func labelledDigits(t *testing.T, n int) string {
	t.Helper()
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	labels := make([]byte, n*10)
	for i := range n {
		digit := set.Label(i)
		labels[i*10+digit] = 1
		if digit == 0 {
			labels[i*10] = 0
		}
		if digit > 6 {
			labels[i*10] = 1
		}
	}
	dir := t.TempDir()
	writeNPY(t, filepath.Join(dir, "images.npy"), fmt.Sprintf("(%d, 28, 28)", n), set.Images[:n*784])
	writeNPY(t, filepath.Join(dir, "labels.npy"), fmt.Sprintf("(%d, 10)", n), labels)
	return dir
}

func writeNPY(t *testing.T, path, shape string, data []byte) {
	t.Helper()
	header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': %s, }\n", shape)
	file := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if err := os.WriteFile(path, append(append(file, header...), data...), 0o666); err != nil {
		t.Fatal(err)
	}
}

func multiLabelRecord() onnx.TrainingRecord {
	return onnx.TrainingRecord{Probabilities: onnx.SigmoidOfScores, LabelsPerImage: onnx.AnyLabels}
}

func TestEvaluateLabels(t *testing.T) {
	model, data := modelThatRecords(t, multiLabelRecord()), labelledDigits(t, 60)
	dir := t.TempDir()
	table, folder := filepath.Join(dir, "answers.csv"), filepath.Join(dir, "report")
	code, out, errs := runCommand(t, "-model", model, "-data", data, "-runtime", "native", "-json",
		"-o", table, "-report", folder)
	if code != 0 {
		t.Fatal(errs)
	}
	var said document
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	if said.Confusion != nil || len(said.Classes) != 10 || said.MultiLabel["threshold"] != 0.5 ||
		said.MultiLabel["subset_accuracy"] != said.Accuracy || said.MultiLabel["hamming_loss"] <= 0 {
		t.Errorf("%s", out)
	}
	right := 0
	for _, row := range readCSV(t, table)[1:] {
		var told []string
		for k, z := range row[len(row)-10:] {
			if number(t, z) > 0 {
				told = append(told, fmt.Sprint(k))
			}
		}
		if row[2] != strings.Join(told, "|") || row[3] != fmt.Sprint(row[1] == row[2]) {
			t.Errorf("%v, told are %v", row[:4], told)
		}
		if row[3] == "true" {
			right++
		}
	}
	if right != said.Correct {
		t.Errorf("%d of the table are right, %d are said", right, said.Correct)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m metrics.Metrics
	if err := json.Unmarshal(raw, &m); err != nil || m.Correct != right || m.MultiLabel == nil ||
		len(m.MultiLabel.PerLabel) != 10 {
		t.Errorf("%v: %s", err, raw)
	}
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"answered right, with all labels", "subset accuracy", "hamming loss",
		"Most confidently wrong", "one is told where its probability is above 0.5"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report says nothing of %q", want)
		}
	}
	if strings.Contains(string(text), "Confusion") {
		t.Error("the report has a confusion")
	}
	if _, err := os.Stat(filepath.Join(folder, "worst.png")); err != nil {
		t.Error(err)
	}
	code, out, errs = runCommand(t, "-model", model, "-data", data, "-runtime", "native")
	if code != 0 ||
		!strings.Contains(out, fmt.Sprintf("Subset accuracy = %.2f %%", 100*said.Accuracy)) ||
		!strings.Contains(out, "hamming loss 0.") || strings.Contains(out, "confusion:") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	_, low, _ := runCommand(t, "-model", model, "-data", data, "-runtime", "native", "-json",
		"-threshold", "0.001")
	if low == out || !strings.Contains(low, `"threshold": 0.001`) {
		t.Errorf("%s", low)
	}
}

// The runtimes tell the same labels of each image, and a damaged set keeps its labels.
func TestCrossValidateLabels(t *testing.T) {
	needLibrary(t)
	model, data := modelThatRecords(t, multiLabelRecord()), labelledDigits(t, 60)
	code, out, errs := runCommand(t, "-model", model, "-data", data, "-cross-validate")
	if code != 0 || !strings.Contains(out, "0 of 60") || strings.Contains(out, "DISAGREES") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if code, out, errs = runCommand(t, "-model", model, "-data", data, "-runtime", "native",
		"-corrupt", "rotate:3"); code != 0 || !strings.Contains(out, "Subset accuracy = ") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// Single pictures have all labels above the threshold, or none.
func TestClassifyLabels(t *testing.T) {
	model := modelThatRecords(t, multiLabelRecord())
	dir := t.TempDir()
	digit, table := filepath.Join(dir, "a.png"), filepath.Join(dir, "answers.csv")
	digitPNG(t, digit, 0, 1)
	c, err := own.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	results, err := c.ClassifyFile(t.Context(), digit)
	if err != nil || !c.MultiLabel() || len(results) != 10 {
		t.Fatalf("%v, %v", results, err)
	}
	for _, threshold := range []float64{0.5, 0.001, 0.9999999} {
		code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-json", "-o", table,
			"-threshold", fmt.Sprint(threshold), digit)
		var said struct {
			File   string
			Labels []candidate
			Top    []candidate
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 || said.Labels == nil ||
			said.Top != nil {
			t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
		}
		var want []candidate
		for _, r := range results {
			if r.Probability > threshold {
				want = append(want, candidate{r.Class, r.Label, r.Probability})
			}
		}
		if !slices.Equal(said.Labels, want) && len(said.Labels)+len(want) > 0 {
			t.Errorf("above %v: %v, package classify says %v", threshold, said.Labels, want)
		}
		rows := readCSV(t, table)
		if len(rows) != 11 ||
			!slices.Equal(rows[0], []string{"file", "class", "name", "probability", "told"}) {
			t.Fatalf("%v", rows)
		}
		for _, row := range rows[1:] {
			told := slices.ContainsFunc(want, func(c candidate) bool {
				return fmt.Sprint(c.Class) == row[1]
			})
			if row[4] != fmt.Sprint(told) || math.IsNaN(number(t, row[3])) {
				t.Errorf("%v, told is %v", row, told)
			}
		}
		code, out, _ = runCommand(t, "-model", model, "-runtime", "native", "-threshold",
			fmt.Sprint(threshold), digit)
		if code != 0 || len(want) == 0 != strings.HasSuffix(out, "\tnone\n") ||
			strings.Count(out, "\t") != max(1, len(want)) {
			t.Errorf("above %v: %q", threshold, out)
		}
	}
}

// What does not go together is refused, by name.
func TestWhatLabelsRefuse(t *testing.T) {
	several, usual := modelThatRecords(t, multiLabelRecord()), modelThatRecords(t,
		onnx.TrainingRecord{})
	alone := modelThatRecords(t, onnx.TrainingRecord{Probabilities: onnx.SigmoidOfScores})
	data, plain := labelledDigits(t, 20), smallData(t, 20)
	digit := filepath.Join(t.TempDir(), "a.png")
	digitPNG(t, digit, 0, 1)
	for name, test := range map[string]struct {
		code int
		says string
		args []string
	}{
		"one label each": {1, "have one label each",
			[]string{"-model", several, "-data", plain}},
		"a model of one class": {1, "the model picks one class",
			[]string{"-model", usual, "-data", data}},
		"its own classes": {0, "Subset accuracy", []string{"-model", alone, "-data", data}},
		"threshold of one label": {2, "-threshold is of images with any number of labels",
			[]string{"-model", usual, "-data", plain, "-threshold", "0.3"}},
		"threshold of 1": {2, "-threshold 1: it is the probability",
			[]string{"-model", several, "-data", data, "-threshold", "1"}},
		"threshold of 0": {2, "-threshold 0: it is the probability",
			[]string{"-model", several, "-data", data, "-threshold", "0"}},
		"top": {2,
			"-top does not go with a model that gives any number of labels",
			[]string{"-model", several, "-top", "2", digit}},
		"threshold of one class": {2, "this one picks one class",
			[]string{"-model", usual, "-threshold", "0.3", digit}},
		"threshold of its own classes": {0, digit, []string{"-model", alone, "-threshold", "0.3", digit}},
		"the flag of a picture": {2, "-multi-label is of a set with labels",
			[]string{"-model", several, "-multi-label", digit}},
		"compare": {1, "is of one label an image",
			[]string{"compare", several, several, "-data", data}},
		"robustness": {1, "is of one label an image",
			[]string{"robustness", "-model", several, "-data", data}},
		"unseen": {1, "-unseen: ", []string{"robustness", "-model", usual, "-data",
			plain, "-unseen", data}},
	} {
		args := test.args
		if args[0] != "compare" {
			args = append(args, "-runtime", "native")
			if last := test.args[len(test.args)-1]; last == digit {
				args = append(slices.Clone(test.args[:len(test.args)-1]), "-runtime", "native", digit)
			}
		}
		code, out, errs := runCommand(t, args...)
		if code != test.code || !strings.Contains(out+errs, test.says) {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
}

// A model that is broken says nothing of a picture: that is not a picture without labels. A report,
// which it cannot have, takes nothing away of what is printed.
func TestLabelsOfABrokenModel(t *testing.T) {
	path := modelThatRecords(t, multiLabelRecord())
	model, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		raw := tensor.GetRawData()
		for i := 0; i+4 <= len(raw) && tensor.GetDataType() == 1; i += 4 {
			binary.LittleEndian.PutUint32(raw[i:], math.Float32bits(float32(math.NaN())))
		}
	}
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	digit, folder := filepath.Join(dir, "a.png"), filepath.Join(dir, "report")
	digitPNG(t, digit, 0, 1)
	code, out, errs := runCommand(t, "-model", path, "-runtime", "native", digit)
	if code != 1 || strings.Contains(out, "none") ||
		!strings.Contains(errs, "is NaN: it has no answer") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = runCommand(t, "-model", path, "-data", labelledDigits(t, 6), "-runtime",
		"native", "-report", folder)
	if code != 1 || !strings.Contains(out, "6 images have no answer") ||
		strings.Contains(out, "the report is in") ||
		!strings.Contains(errs, "no report is written to "+folder+": 6 images without an answer") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(folder, "metrics.json")); err == nil {
		t.Error("there is a report")
	}
}

// The list of a set's labels is not written over by the answers about it.
func TestAnswersSpareTheSet(t *testing.T) {
	model, data := modelThatRecords(t, multiLabelRecord()), labelledDigits(t, 6)
	files, err := filepath.Glob(filepath.Join(data, "*.npy"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	before, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "-model", model, "-data", data, "-runtime", "native", "-o",
		files[0])
	if code != 1 || !strings.Contains(errs, "among the files of the set, and is not written over") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if after, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was written over (%v)", err)
	}
	code, out, errs = runCommand(t, "-model", model, "-data", data, "-runtime", "native", "-o",
		filepath.Join(data, "new.csv"))
	if code != 0 {
		t.Errorf("a new file: exit %d: %s%s", code, out, errs)
	}
}
