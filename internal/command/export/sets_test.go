package export

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/train"
)

// ownSet writes pairs of 40 training and 30 test images 3×9×10 of three classes, and
// returns the folder.
func ownSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 40, "t10k": 30} {
		images, labels := make([]byte, n*270), make([]byte, n)
		for i := range labels {
			labels[i] = byte(i * i % 3)
			for p := range 270 {
				images[i*270+p] = byte(i*p%40 + 200*((p/30+int(labels[i]))%3/2))
			}
		}
		for name, x := range map[string]*dataset.IDX{
			"images-idx3": {Type: dataset.Uint8, Shape: []int{n, 3, 9, 10}, Data: images},
			"labels-idx1": {Type: dataset.Uint8, Shape: []int{n}, Data: labels},
		} {
			var file bytes.Buffer
			if err := dataset.WriteIDX(&file, x); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, part+"-"+name+"-ubyte"), file.Bytes(),
				0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// ownRun trains a small network on that set; it is tested on no set if test is false.
func ownRun(t *testing.T, data string, tested bool) (path string) {
	t.Helper()
	open := func(part dataset.Part) *dataset.Set {
		set, err := dataset.Open(t.Context(), data+":"+string(part), dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	network, err := builder.New("own", builder.Shape{3, 9, 10},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3)}, builder.ReLU{}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := train.New(network, open(dataset.Train),
		train.Config{Data: data, Epochs: 1, Pixels: train.PixelsUnit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if tested {
		if err := trainer.TestOn(open(dataset.Test)); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "own")
	dir, _, err := train.CreateRun(path)
	if err != nil {
		t.Fatal(err)
	}
	err = trainer.Fit(t.Context(), train.Callbacks{Save: func() error {
		_, err := dir.WriteCheckpoint(trainer.Checkpoint())
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// An export is judged on the run's own test set, on another one that is asked for, or
// on none; what is not known is not said.
func TestExportIsJudgedOnTheRunsOwnSet(t *testing.T) {
	data := ownSet(t)
	tested, untested := ownRun(t, data, true), ownRun(t, data, false)
	card := func(output string) string {
		raw, err := os.ReadFile(filepath.Join(strings.TrimSuffix(output, ".onnx"), "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "MNIST") || strings.Contains(string(raw), data) {
			t.Errorf("the card takes the set for MNIST, or names a folder of this machine:\n%s", raw)
		}
		return string(raw)
	}
	recordOf := func(output string) onnx.TrainingRecord {
		model, err := onnx.Read(output)
		if err != nil {
			t.Fatal(err)
		}
		record, ok, err := model.TrainingRecord()
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return record
	}
	output := filepath.Join(t.TempDir(), "own.onnx")
	export := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := runExport(append(args, "-o", output)...)
		if code != want {
			t.Fatalf("%v: exit %d, %s", args, code, errs)
		}
		return out + errs
	}
	export(cli.ExitOK, "-run", tested, "-verify", "native")
	if text := card(output); !strings.Contains(text,
		"## Accuracy on the 30 test images of `"+filepath.Base(data)+":t10k`") {
		t.Error(text)
	}
	if r := recordOf(output); r.TestImages != 30 || len(r.TestSHA256) != 64 ||
		len(r.DataSHA256) != 64 || r.Attribution != "" || r.Licence != "" || len(r.ClassLabels) != 3 {
		t.Errorf("recorded is %+v", r)
	}
	if text := export(cli.ExitFailure, "-run", untested); !strings.Contains(text,
		"tested on no set; name one with -data, or export unverified with -verify none") {
		t.Error(text)
	}
	export(cli.ExitOK, "-run", untested, "-verify", "none")
	if r := recordOf(output); r.TestImages != 0 || r.TestSet != "" ||
		r.DataSet != filepath.Base(data)+":train" {
		t.Errorf("recorded is %+v", r)
	}
	if text := card(output); !strings.Contains(text,
		"Not measured: the graph was exported without a test set") {
		t.Error(text)
	}
	export(cli.ExitOK, "-run", untested, "-verify", "native", "-data", data)
	if r := recordOf(output); r.TestImages != 30 {
		t.Errorf("recorded is %+v", r)
	}
	// Other runtimes are asked of these images, too.
	code, out, errs := runExport("-run", tested, "-verify", "onnxruntime-python", "-o", output)
	if strings.Contains(errs, "could not be asked: python") {
		t.Logf("Python's onnxruntime cannot be installed here: %s", errs)
	} else if code != cli.ExitOK || !strings.Contains(out, "onnxruntime (Python) 1.") ||
		!strings.Contains(out, "0 labels differ") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if text := export(cli.ExitFailure, "-run", tested, "-data", "t10k"); !strings.Contains(text,
		"own takes 3×9×10, the images of t10k are 1×28×28") {
		t.Error(text)
	}
}

// Nothing is written over what no export has made.
func TestExportWritesOverNothingOfOthers(t *testing.T) {
	run := ownRun(t, ownSet(t), false)
	dir := t.TempDir()
	output := filepath.Join(dir, "own.onnx")
	refused := func(says string) {
		t.Helper()
		if code, _, errs := runExport("-run", run, "-o", output, "-verify",
			"none"); code != cli.ExitFailure || !strings.Contains(errs, says) {
			t.Errorf("exit %d, %s", code, errs)
		}
	}
	thesis := filepath.Join(dir, "own", "thesis.tex")
	if err := os.Mkdir(filepath.Dir(thesis), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(thesis, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused("own is a folder that export did not make")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := os.Remove(thesis); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(output, []byte("no graph"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused("own.onnx is there and was not written by export")
	if raw, err := os.ReadFile(output); err != nil || string(raw) != "no graph" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := os.Remove(output); err != nil {
		t.Fatal(err)
	}
	// What an export that was killed has left is no obstacle.
	left := filepath.Join(dir, "own", ".run.json.0123456789abcdef.atomic-tmp")
	if err := os.WriteFile(left, []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 { // an empty folder, and then its own
		if code, _, errs := runExport("-run", run, "-o", output, "-verify", "none"); code != cli.ExitOK {
			t.Error(errs)
		}
	}
}

// Models of other frameworks have variants, too: of any image size, channels last, and
// with what the caller says of their pixels.
func TestVariantsOfForeignModels(t *testing.T) {
	data := ownSet(t)
	last := filepath.Join(t.TempDir(), "last.onnx")
	model := graphmaker.New(graphmaker.Free, 9, 10, 3).
		Weight("w", -0.3, 0.3, 270, 3).Weight("b", -0.3, 0.3, 3).
		Node("f = Flatten x").Node("y = Gemm f w b").Model()
	if err := model.Write(last); err != nil {
		t.Fatal(err)
	}
	args := []string{"-model", last, "-variant", "float32,float16,int8", "-input", "uint8", "-pixels",
		"0.4,0.25", "-max-loss", "30"}
	if code, _, errs := runExport(args...); code != cli.ExitFailure ||
		!strings.Contains(errs, "name a set with -") {
		t.Errorf("without data: exit %d, %s", code, errs)
	}
	code, out, errs := runExport(append(args, "-data", data, "-calibration-data", data)...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	if !strings.Contains(out, "calibrated on 40 images of "+filepath.Base(data)+":train") {
		t.Error(out)
	}
	// A variant that answers a little otherwise tells no accuracy, and no folder of this
	// machine.
	for _, name := range []string{"-float16-uint8", "-int8-uint8"} {
		variant, err := onnx.Read(strings.TrimSuffix(last, ".onnx") + name + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range variant.Metadata() {
			if strings.HasPrefix(key, "slipway.test_") || strings.Contains(value, filepath.Dir(data)) {
				t.Errorf("%s says %s: %s", name, key, value)
			}
		}
	}
	// The graph that takes bytes scales them as it was told.
	set, err := dataset.Open(t.Context(), data+":t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pixels, err := dataset.StandardPixels(0.4, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	var logits []infer.Logits
	for file, fed := range map[string]dataset.Pixels{last: pixels,
		strings.TrimSuffix(last, ".onnx") + "-uint8.onnx": {}} {
		loaded, err := infer.LoadModel(file)
		if err != nil {
			t.Fatal(err)
		}
		runtime, err := infer.OpenRuntime(t.Context(), infer.RuntimeNative, loaded,
			infer.RuntimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		result, err := infer.Evaluate(t.Context(), runtime, set,
			infer.EvaluateOptions{Pixels: fed, KeepLogits: true})
		if err != nil {
			t.Fatal(err)
		}
		logits = append(logits, result.Logits)
	}
	if c, err := infer.Compare(logits[0], logits[1], infer.DefaultTolerance); err != nil ||
		!c.Agree() {
		t.Errorf("%v %v", err, c.Reason())
	}
}
