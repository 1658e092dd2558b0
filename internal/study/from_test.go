package study

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

const e1Graph = "../../graphs/e1.onnx"

// Runs begin with a model's weights, with a classifier of their own where they ask for one, or with
// weights that are drawn; each way is a run of its own.
func TestRunsFromAModel(t *testing.T) {
	file := readStudy(t, "tuned", `
grid: {from: [`+e1Graph+`, none]}
fixed: {epochs: 1, learning_rate: 1e-7}
`)
	results, _ := execute(t, file, t.TempDir(), 2)
	if len(results) != 2 || results[0].TestAccuracy < 0.9 || results[1].TestAccuracy > 0.5 ||
		results[0].From != e1Graph || len(results[0].FromSHA256) != 64 || results[1].From != "" ||
		results[0].Network != "e1" || results[1].Network != "tiny" ||
		results[0].Setting != "from="+e1Graph {
		t.Fatalf("%+v", results)
	}
	file = readStudy(t, "headed", `
from: `+e1Graph+`
head: auto
freeze: [trunk]
grid: {learning_rate: [0.01]}
fixed: {epochs: 1}
seeds: 2
`)
	root := t.TempDir()
	headed, _ := execute(t, file, root, 2)
	if len(headed) != 2 || headed[0].ID == headed[1].ID || headed[0].TestAccuracy < 0.3 {
		t.Fatalf("%+v", headed)
	}
	runs, err := file.Runs()
	if err != nil {
		t.Fatal(err)
	}
	first, err := runs[0].Spec.initial()
	if err != nil {
		t.Fatal(err)
	}
	second, err := runs[1].Spec.initial()
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range file.starts[e1Graph].weights {
		same := string(encoded(first[i])) == string(encoded(tensor))
		drawn := string(encoded(first[i])) != string(encoded(second[i]))
		isHead := strings.HasPrefix(tensor.Name, runs[0].Spec.anew+".")
		if same == isHead || drawn && !isHead {
			t.Errorf("%s: as in the model %v, other from another seed %v", tensor.Name, same, drawn)
		}
	}
	// It is found again.
	if _, count := execute(t, file, root, 2); count.reused != 2 || count.began != 0 {
		t.Errorf("%d of the runs are found again, %d began", count.reused, count.began)
	}
}

func encoded(tensor builder.Tensor) []byte { return []byte(digestOf(builder.Weights{tensor})) }

// writeModel writes E1 with so much more in its first weight.
func writeModel(t *testing.T, path string, more float32) {
	t.Helper()
	model, err := onnx.Read(e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatal(err)
	}
	weights[0].Data[0] += more
	if model, err = convert.FromNetwork(network, weights, onnx.TrainingRecord{},
		convert.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
}

// The address of a run tells the model's weights, whatever the file is called, and what is drawn
// anew.
func TestTheAddressTellsTheModel(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, more float32) string {
		path := filepath.Join(dir, name)
		writeModel(t, path, more)
		return path
	}
	address := func(path, more string) string {
		id, err := runsOf(t, "from: "+path+"\ngrid: {learning_rate: [0.1]}\n"+more)[0].Spec.id("a", "b")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	one, again := address(write("a.onnx", 0), ""), address(write("b.onnx", 0), "")
	other, headed := address(write("c.onnx", 1), ""), address(filepath.Join(dir, "a.onnx"),
		"head: 10\n")
	if one != again || one == other || one == headed {
		t.Errorf("addresses %s, %s of another file, %s of other weights, %s with a new classifier", one,
			again, other, headed)
	}
}

func TestBadFrom(t *testing.T) {
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	const grid = "grid: {learning_rate: [0.1]}\n"
	for text, says := range map[string]string{
		"from: nowhere.onnx\n" + grid: "mine.yaml:1: from: ",
		"from: 3\n" +
			grid: "from is a number; it needs to be an ONNX file, efficientnet_lite0, or none",
		"head: auto\n" +
			grid: "mine.yaml:1: setting learning_rate=0.1: head gives a new classifier",
		"from: " + e1Graph + "\nhead: many\n" +
			grid: "head many; it is a number of classes, or auto",
		"from: " + e1Graph + "\nhead: 0\n" + grid:               "head 0; it is",
		"from: " + e1Graph + "\nfixed: {dropout: 0.2}\n" + grid: "dropout does not apply to from",
		"grid: {form: [a]}\n":                                   "did you mean",
	} {
		file, err := ReadFile(writeStudy(t, text))
		if err == nil {
			err = file.Load(t.Context(), nil)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// A study is read without the models that it names. Loading them ends with its context, and leaves
// nothing half loaded.
func TestReadingLoadsNoModels(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, from := range []string{"nowhere.onnx", "efficientnet_lite0"} {
		file, err := ReadFile(writeStudy(t,
			"head: auto\nfrom: "+from+"\ngrid: {learning_rate: [0.1]}\ntest: t10k\n"))
		if err != nil {
			t.Fatal(err)
		}
		if file.Name != "mine" || file.Test != "t10k" {
			t.Errorf("the file is read as %q with the test set %q", file.Name, file.Test)
		}
		if _, err := file.Runs(); err == nil ||
			!strings.Contains(err.Error(), "from "+from+": the model is not loaded") {
			t.Errorf("runs of a model that is not loaded: %v", err)
		}
		if err := file.Load(ended, nil); !errors.Is(err, context.Canceled) ||
			!strings.Contains(err.Error(), "mine.yaml:2: from: ") {
			t.Errorf("loading %s after its context ended: %v", from, err)
		}
		if file.starts != nil {
			t.Errorf("%s counts as loaded", from)
		}
	}
	// Execute loads what is not loaded.
	file, err := ReadFile(writeStudy(t, small+"from: "+e1Graph+"\ngrid: {epochs: [1]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if results, _ := execute(t, file, t.TempDir(), 1); len(results) != 1 ||
		results[0].From != e1Graph {
		t.Errorf("%+v", results)
	}
}

// Frozen weights that were drawn are told.
func TestFrozenDrawnWeightsAreTold(t *testing.T) {
	told := ""
	options := Options{Root: t.TempDir(), Progress: new(counter), Messages: func(line string) {
		told += line
	}}
	if _, err := Execute(t.Context(),
		readStudy(t, "s", "grid: {freeze: [[trunk]]}\nfixed: {epochs: 1}\nseeds: 2\n"),
		options); err != nil {
		t.Fatal(err)
	}
	if strings.Count(told, "freezes weights as they were drawn") != 1 {
		t.Errorf("told is %q", told)
	}
}

// The model is drawn like any other setting, by a random draw and by a search, whose journal is of
// the models' weights.
func TestModelsAreDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.onnx")
	writeModel(t, path, 0.25)
	choice := "from: {choice: [" + e1Graph + ", " + path + ", none]}"
	file := readStudy(t, "drawn", "random: {settings: 8, space: {learning_rate: {log: [1e-8, 1e-7]}, "+
		choice+"}}\nfixed: {epochs: 1}\n")
	results, _ := execute(t, file, t.TempDir(), 2)
	seen := make(map[string]bool)
	for _, r := range results {
		seen[r.From] = true
	}
	if !seen[""] || !seen[e1Graph] || !seen[path] {
		t.Errorf("8 draws are of %v", seen)
	}
	search := "search: {trials: 4, pruning: false, space: {" +
		choice + "}}\nfixed: {epochs: 1, learning_rate: 1e-7, validation_fraction: 0.1}\n"
	file = readStudy(t, "searched", search)
	results, _ = execute(t, file, t.TempDir(), 2)
	if len(results) == 0 {
		t.Error("a search over models came to nothing")
	}
	before, err := studyName(file)
	if err != nil {
		t.Fatal(err)
	}
	writeModel(t, path, 0.5)
	after, err := studyName(readStudy(t, "searched", search))
	if err != nil || before == after {
		t.Errorf("the search is called %s with other weights, too: %v", after, err)
	}
	bad, err := ReadFile(writeStudy(t,
		"search: {trials: 1, space: {from: {uniform: [0, 1]}}}\nfixed: {validation_fraction: 0.1}\n"))
	if err == nil {
		err = bad.Load(t.Context(), nil)
	}
	if err == nil || !strings.Contains(err.Error(), "from is a number") {
		t.Errorf("models between 0 and 1: %v", err)
	}
}
