package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/datasettest"
	"slipway/onnx"
	"slipway/train"
)

// stripesRun trains on images with any number of labels, which lie in a folder.
func stripesRun(t *testing.T) (path, data string) {
	t.Helper()
	data = t.TempDir()
	set := datasettest.Stripes(t, 80)
	labels := make([]byte, 80*3)
	for i, has := range set.Combinations.Targets(set.Labels, 3) {
		if has {
			labels[i] = 1
		}
	}
	for name, content := range map[string]string{
		"images.npy": "(80, 6, 6), }\n" + string(set.Images), "labels.npy": "(80, 3), }\n" +
			string(labels),
	} {
		shape, rest, _ := strings.Cut(content, "\n")
		header := "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + "\n"
		file := "\x93NUMPY\x01\x00" + string([]byte{byte(len(header)), 0}) + header + rest
		if err := os.WriteFile(filepath.Join(data, name), []byte(file), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	source, err := dataset.OpenSource(t.Context(), data, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	network, err := builder.New("stripes", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := train.New(network, source, train.Config{Epochs: 40, Pixels: train.PixelsUnit,
		Optimizer: train.OptimizerConfig{LearningRate: 0.02}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.TestOn(source); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "stripes")
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
	return path, data
}

// A graph of a network for any number of labels says so, with the accuracy that is of all of them,
// and the runtimes answer as the trainer does; so do its variants.
func TestExportOfSeveralLabels(t *testing.T) {
	path, data := stripesRun(t)
	output := filepath.Join(t.TempDir(), "stripes.onnx")
	code, out, errs := runExport("-run", path, "-o", output, "-verify", "native,onnxruntime")
	if code != cli.ExitOK || strings.Count(out, "Subset accuracy = ") != 3 ||
		strings.Count(out, " 0 labels differ") != 2 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	model, err := onnx.Read(output)
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := model.TrainingRecord()
	metadata := model.Metadata()
	if err != nil || !record.MultiLabel() || record.TestImages != 80 || record.TestAccuracy < 0.9 ||
		metadata["slipway.labels_per_image"] != "any" || metadata["slipway.probabilities"] != "sigmoid" ||
		metadata["slipway.test_subset_accuracy"] == "" || metadata["slipway.test_accuracy"] != "" {
		t.Errorf("%+v, %v, %v", record, err, metadata)
	}
	card, err := os.ReadFile(strings.TrimSuffix(output, ".onnx") + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"an image has any number of them, those whose probability is above 0.5",
		"| runtime | subset accuracy | images with a label that differs",
		"An image is answered right where all its labels are told and no others."} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card says nothing of %q", want)
		}
	}
	if code, out, errs = runExport("-run", path, "-o", output, "-data", "t10k"); code == cli.ExitOK ||
		!strings.Contains(errs, "have one label each") {
		t.Errorf("judged on images of one label: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs = runExport("-run", path, "-o", output, "-verify",
		"openvino"); code == cli.ExitOK || !strings.Contains(errs, "counts one label an image") {
		t.Errorf("verified by another runtime: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs = runExport("-model", output, "-variant", "float16", "-data",
		data); code != cli.ExitOK || strings.Count(out, "Subset accuracy = ") != 2 {
		t.Errorf("a variant: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs = runExport("-model", output, "-softmax", "-data", data); code == cli.ExitOK {
		t.Errorf("a softmax: exit %d: %s%s", code, out, errs)
	}
}
