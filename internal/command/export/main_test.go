package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/cli/clitest"
	"slipway/internal/datasettest"
	"slipway/internal/networktest"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// smallRun trains a small network on 640 test images, fed by the formula, and saves
// it as a run.
func smallRun(t *testing.T, pixels string) (path string) {
	t.Helper()
	network, err := builder.New("small", builder.Shape{1, 28, 28},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(5), Stride: builder.Square(2)}, builder.ReLU{},
		builder.AvgPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dropout{P: 0.1},
		builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	return trainedRun(t, network, pixels)
}

// trainedRun trains the network on some digits and returns the run's folder.
func trainedRun(t *testing.T, network *builder.Network, pixels string) (path string) {
	t.Helper()
	return trainedAs(t, network, train.Config{Data: "t10k", Epochs: 2, Seed: 3, Pixels: pixels})
}

// trainedAs trains the network on some digits as configured and returns the run's folder.
func trainedAs(t *testing.T, network *builder.Network, config train.Config) (path string) {
	t.Helper()
	ctx := t.Context()
	trainer, err := train.New(network, datasettest.Digits(t, 640), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	test, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.TestOn(test); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), network.Name())
	dir, _, err := train.CreateRun(path)
	if err != nil {
		t.Fatal(err)
	}
	err = trainer.Fit(ctx, train.Callbacks{Save: func() error {
		_, err := dir.WriteCheckpoint(trainer.Checkpoint())
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func runExport(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExportWritesAGraphThatIsConfirmed(t *testing.T) {
	path := smallRun(t, "")
	output := filepath.Join(t.TempDir(), "graphs", "small.onnx")
	if err := os.MkdirAll(filepath.Dir(output), 0o777); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runExport("-run", path, "-o", output, "-verify", "onnxruntime")
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"trainer: Accuracy = ", "onnxruntime 1.", "CPUExecutionProvider",
		"0 labels differ", "wrote " + output} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	raw, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	dir := strings.TrimSuffix(output, ".onnx")
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{hex.EncodeToString(sum[:]), "seed, engine | 3, native",
		"2 epochs, 40 steps", "image", "logits"} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}

	// The trainer's answers and the test data beside the graph are the graph's.
	model, err := infer.LoadModel(output)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := infer.ReadReference(filepath.Join(dir, "trainer_logits.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	inputs, outputs, err := onnx.ReadTestData(dir)
	if err != nil {
		t.Fatal(err)
	}
	images, err := onnx.Floats(inputs[0])
	if err != nil {
		t.Fatal(err)
	}
	want, err := onnx.Floats(outputs[0])
	if err != nil {
		t.Fatal(err)
	}
	session, err := infer.OpenONNXRuntime(t.Context(), model,
		infer.ONNXRuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	answer, err := session.Run(t.Context(), infer.Batch{N: 4, C: 1, H: 28, W: 28, Pixels: images})
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := infer.Compare(infer.Logits{N: 4, K: 10, Values: want}, answer, 1e-5)
	if err != nil {
		t.Fatal(err)
	}
	if !comparison.Agree() ||
		!bytes.Equal(floatBytes(want), floatBytes(reference.Logits.Values[:40])) {
		t.Errorf("test data, trainer's logits and onnxruntime do not agree: %s", comparison.Reason())
	}

	// The same weights give the same bytes.
	again := filepath.Join(t.TempDir(), "small.onnx")
	if code, _, errs := runExport("-run", path, "-o", again, "-verify", "none"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	if second, err := os.ReadFile(again); err != nil || !bytes.Equal(raw, second) {
		t.Errorf("a second export has other bytes (%v)", err)
	}
}

func floatBytes(values []float32) []byte {
	tensor, err := onnx.FloatTensor("x", []int64{int64(len(values))}, values)
	if err != nil {
		return nil
	}
	return tensor.RawData
}

// What early stopping ended is exported with the best epoch's weights, not the last.
func TestTheBestWeightsAreExported(t *testing.T) {
	path := smallRun(t, "")
	dir, err := train.OpenRun(path)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Config.ValidationFraction, checkpoint.Config.Patience = 0.1, 1
	checkpoint.Progress.BestEpoch, checkpoint.Best = 1, checkpoint.Network.InitialWeights(99)
	if _, err := dir.WriteCheckpoint(checkpoint); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "small.onnx")
	if code, _, errs := runExport("-run", path, "-o", output, "-verify", "none"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	model, err := onnx.Read(output)
	if err != nil {
		t.Fatal(err)
	}
	card, err := os.ReadFile(strings.TrimSuffix(output, ".onnx") + "/README.md")
	if err != nil || !strings.Contains(string(card), "; the weights are those of epoch 1;") {
		t.Errorf("the card does not say whose weights these are: %v\n%s", err, card)
	}
	_, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatal(err)
	}
	for i, best := range checkpoint.Best {
		if !slices.Equal(weights[i].Data, best.Data) {
			t.Errorf("%s is not the best epoch's", best.Name)
		}
	}
}

// A runtime that answers further apart than the tolerance stops the export
// before anything is written.
func TestDisagreementWritesNothing(t *testing.T) {
	path := smallRun(t, "")
	dir := t.TempDir()
	code, _, errs := runExport("-run", path, "-o", filepath.Join(dir, "small.onnx"), "-verify",
		"onnxruntime", "-tolerance", "1e-12")
	if code != cli.ExitFailure || !strings.Contains(errs, "does not answer as the trainer does") ||
		!strings.Contains(errs, "nothing was written") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v was written (%v)", entries, err)
	}
}

func TestBadInput(t *testing.T) {
	empty := t.TempDir()
	damaged := smallRun(t, "")
	checkpoints, err := filepath.Glob(filepath.Join(damaged, "checkpoints", "*"))
	if err != nil || len(checkpoints) == 0 {
		t.Fatal(checkpoints, err)
	}
	for _, checkpoint := range checkpoints {
		if err := os.Truncate(checkpoint, 100); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", []string{"-outptu", "x"}, cli.ExitUsage, "unknown flag -outptu"},
		{"output without run", []string{"-o", "x.onnx"}, cli.ExitUsage, "give its -run or -model too"},
		{"output of another kind", []string{"-run", "x", "-o", "x.pb"}, cli.ExitUsage,
			"does not end in .onnx"},
		{"run and runs", []string{"-run", "x", "-runs", "y"}, cli.ExitUsage, "give one of them"},
		{"runtime", []string{"-verify", "onnxrunime"}, cli.ExitUsage, `did you mean "onnxruntime"`},
		{"tolerance", []string{"-tolerance", "1"}, cli.ExitUsage, "outside 0 < t < 1"},
		{"tolerance of 0", []string{"-tolerance", "0"}, cli.ExitUsage, "outside 0 < t < 1"},
		{"tolerance that is no number", []string{"-tolerance", "NaN"}, cli.ExitUsage,
			"outside 0 < t < 1"},
		{"no runs", []string{"-runs", empty}, cli.ExitFailure,
			"has no run e1 or e2; train one with: make train-e1"},
		{"no run", []string{"-run", empty, "-o", filepath.Join(empty, "x.onnx")}, cli.ExitFailure,
			"is not the folder of a run"},
		{"damaged", []string{"-run", damaged, "-o", filepath.Join(empty, "x.onnx")}, cli.ExitFailure,
			"checkpoints is whole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, errs := runExport(test.args...)
			if code != test.code || !strings.Contains(errs, test.want) {
				t.Errorf("exit %d, %q; want %d and %q", code, errs, test.code, test.want)
			}
		})
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("bad input left %v behind (%v)", entries, err)
	}
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "export", func(args []string, stdout io.Writer) error {
		_, err := parse(args, stdout)
		return err
	})
}

// TestExportOfAResidualNetwork: a trained network of BatchNorm and residual sums is exported after
// the trainer, onnxruntime and native agreed; that onnx-go was not asked, and why, is said,
// recorded and in the card.
func TestExportOfAResidualNetwork(t *testing.T) {
	path := trainedRun(t, networktest.Residual(t, builder.Shape{1, 28, 28}, 10), "0-1")
	dir := t.TempDir()
	output := filepath.Join(dir, "residual.onnx")
	code, out, errs := runExport("-run", path, "-o", output)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	refusal := `onnx-go is not asked, as it does not run the graph: node 1 (BatchNormalization "bn1")`
	for _, want := range []string{"onnxruntime 1.", "native " + cli.ModuleVersion, refusal, "wrote " +
		output} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	// Which agreed, or nothing were written: of two logits that are one up to rounding either may be
	// the larger.
	if n := strings.Count(out, " labels differ, largest logit difference "); n != 2 {
		t.Errorf("%d runtimes agree, want 2:\n%s", n, out)
	}
	card, err := os.ReadFile(filepath.Join(dir, "residual", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| trainer (native engine) |", "| onnxruntime 1.", "| native " +
		cli.ModuleVersion, "onnx-go was not asked, as it does not run the graph: node 1"} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	if strings.Contains(string(card), "| onnx-go") {
		t.Errorf("the card says that onnx-go answered:\n%s", card)
	}
	record, err := os.ReadFile(filepath.Join(dir, "residual", "run.json"))
	if err != nil || !strings.Contains(string(record), `"not_asked": [`) {
		t.Errorf("%v, the record lacks who was not asked:\n%s", err, record)
	}
	// Who names it is told that it cannot.
	code, _, errs = runExport("-run", path, "-o", filepath.Join(dir, "again.onnx"), "-verify",
		"onnxruntime,onnx-go")
	if code != cli.ExitFailure || !strings.Contains(errs, "verify with onnx-go") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
