package infer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/onnx"
)

// modelThatRecords writes small.onnx with another training record, none if it is zero.
func modelThatRecords(t *testing.T, record onnx.TrainingRecord) string {
	t.Helper()
	model, err := onnx.Read(testModel("small.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := model.SetMetadata(nil); err != nil {
		t.Fatal(err)
	}
	if !record.IsZero() {
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Without -data a model is run on the set that it records, and on no other.
func TestTheSetThatAModelRecords(t *testing.T) {
	for name, test := range map[string]struct {
		record onnx.TrainingRecord
		code   int
		says   string
	}{
		"of the experiments": {onnx.TrainingRecord{DataSet: "train", TestImages: 5}, 0,
			"data     t10k: 10000 images"},
		"a known test set": {onnx.TrainingRecord{DataSet: "own", TestSet: "t10k", TestImages: 5}, 0,
			"data     t10k: 10000 images"},
		"a set of one's own": {onnx.TrainingRecord{DataSet: "own:train", TestSet: "own:t10k",
			TestImages: 5}, 2, "-data is missing: the model was tested on own:t10k"},
		"none": {onnx.TrainingRecord{DataSet: "own:train"}, 2,
			"the model does not say which it was tested on"},
		"without a record": {onnx.TrainingRecord{}, 2, "the model does not say which it was tested on"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := runCommand(t, "-model", modelThatRecords(t, test.record), "-runtime",
				"native")
			if code != test.code || !strings.Contains(out+errs, test.says) {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
		})
	}
}

// Two models that were tested on different sets are not compared on one of them unasked.
func TestModelsOfDifferentSetsNeedData(t *testing.T) {
	mnist := modelThatRecords(t, onnx.TrainingRecord{DataSet: "train"})
	other := modelThatRecords(t, onnx.TrainingRecord{DataSet: "own", TestSet: "own:t10k"})
	for _, args := range [][]string{{"compare", mnist, other}, {"compare", other, mnist},
		{"robustness", "-model", mnist, "-model", other}} {
		if code, _, errs := runCommand(t, args...); code != 2 ||
			!strings.Contains(errs, "-data is missing: ") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// The recorded accuracy is compared where the images are those that it was measured on,
// whatever their set is called.
func TestTheRecordedAccuracyIsOfASet(t *testing.T) {
	data := smallData(t, 50)
	set, err := dataset.Open(t.Context(), data+":t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const line = "recorded by the trainer: 100.00 % of 50 images"
	record := onnx.TrainingRecord{DataSet: "own", TestSet: "elsewhere", TestSHA256: set.Digest(),
		TestAccuracy: 1, TestImages: 50}
	code, out, errs := runCommand(t, "-model", modelThatRecords(t, record), "-data", data, "-runtime",
		"native")
	if code != 1 || !strings.Contains(out, line+"\n") || !strings.Contains(errs, "disagree") {
		t.Errorf("a false accuracy: exit %d: %s%s", code, out, errs)
	}
	record.TestSHA256 = strings.Repeat("0", 64)
	code, out, errs = runCommand(t, "-model", modelThatRecords(t, record), "-data", data, "-runtime",
		"native")
	if code != 0 || !strings.Contains(out, line+" (not comparable: of other images or other pixels)") {
		t.Errorf("of another set: exit %d: %s%s", code, out, errs)
	}
}

// Classes are called as -labels says, else as the model does, else as the set does; and
// where the model's names and the set's are others, a note says so.
func TestWhatClassesAreCalled(t *testing.T) {
	data := smallData(t, 20)
	names := filepath.Join(data, dataset.ClassNamesFile)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(names, "nil\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n")
	unnamed := modelThatRecords(t, onnx.TrainingRecord{Epochs: 1})
	called := modelThatRecords(t,
		onnx.TrainingRecord{ClassLabels: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}})
	own := filepath.Join(t.TempDir(), "own.txt")
	write(own, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj")
	for name, test := range map[string]struct {
		args []string
		has  []string
		not  string
	}{
		"the set's": {[]string{"-model", unnamed}, []string{"  seven "}, "accuracy says something"},
		"the model's": {[]string{"-model", called}, []string{`class 0 is "0" in the model and "nil" in `,
			"accuracy says something only where they mean the same"}, "  seven "},
		"the user's": {[]string{"-model", called, "-labels", own}, []string{"\n      j       4 "},
			"  seven "},
	} {
		code, out, errs := runCommand(t, append(test.args, "-data", data, "-runtime", "native")...)
		for _, want := range test.has {
			if code != 0 || !strings.Contains(out, want) || strings.Contains(out, test.not) {
				t.Errorf("%s: exit %d, want %q and no %q: %s%s", name, code, want, test.not, out, errs)
			}
		}
	}
	write(own, "a\nb")
	code, _, errs := runCommand(t, "-model", called, "-labels", own, "-data", data, "-runtime",
		"native")
	if code != 1 || !strings.Contains(errs, "own.txt has 2 names, the model gives 10 scores") {
		t.Errorf("too few names: exit %d: %s", code, errs)
	}
}

// A folder's classes are matched to the model's by name. One that the model lacks is named,
// since labels that are right for some of them and wrong for others come to no accuracy.
func TestFoldersAreMatchedByName(t *testing.T) {
	model := modelThatRecords(t,
		onnx.TrainingRecord{ClassLabels: strings.Fields(
			"zero one two three four five six seven eight nine")})
	for name, test := range map[string]struct {
		classes []string // of two images
		code    int
		says    string
	}{
		"by name": {[]string{"seven", "two"}, 0, "of 2 images"},
		"one not there": {[]string{"seven", "aubergine"}, 1,
			`has the class "aubergine", which the model does not have; take it out of the set, or call it as the model does`},
		"none there": {[]string{"aubergine", "beetroot"}, 0,
			`class 0 is "zero" in the model and "aubergine" in `},
	} {
		dir := t.TempDir()
		for i, class := range test.classes {
			path := filepath.Join(dir, class, "1.png")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			digitPNG(t, path, i, 1)
		}
		code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-data", dir)
		noted := strings.Contains(out, "accuracy says something only")
		if code != test.code || !strings.Contains(out+errs, test.says) ||
			noted != (name == "none there") {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
}
