package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/datasettest"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

const e1Graph = "../../../graphs/e1.onnx"

// someDigits is the first images of MNIST's test set, to train on and to test on.
func someDigits(t *testing.T, n int) (dir string, set *dataset.Set) {
	t.Helper()
	set = datasettest.Digits(t, n)
	dir = t.TempDir()
	for _, part := range []string{"train", "t10k"} {
		writeIDX(t, filepath.Join(dir, part+"-images-idx3-ubyte"), []int{n, 28, 28}, set.Images)
		writeIDX(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{n}, set.LabelBytes())
	}
	return dir, set
}

// fileLoss is the mean cross-entropy of what onnxruntime answers of the model,
// and the range of its scores.
func fileLoss(t *testing.T, path string, set *dataset.Set, pixels dataset.Pixels) (loss,
	scoreRange float64) {
	t.Helper()
	model, err := infer.LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := infer.OpenONNXRuntime(t.Context(), model,
		infer.ONNXRuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	result, err := infer.Evaluate(t.Context(), runtime, set,
		infer.EvaluateOptions{Pixels: pixels, KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	nodes := model.Proto.GetGraph().GetNode()
	lowest, highest := math.Inf(1), math.Inf(-1)
	for i, label := range result.Labels {
		row := result.Logits.Row(i)
		sum := 0.0
		for _, v := range row {
			lowest, highest = min(lowest, float64(v)), max(highest, float64(v))
			sum += math.Exp(float64(v - row[label]))
		}
		if nodes[len(nodes)-1].GetOpType() == "Softmax" {
			loss -= math.Log(float64(row[label])) / float64(len(result.Labels))
		} else {
			loss += math.Log(sum) / float64(len(result.Labels))
		}
	}
	return loss, highest - lowest
}

// Training on begins with the file's loss: one batch of all images, so that the
// first step's loss is that of the weights as they were. A network with batch normalisation is as
// good when it is evaluated; its first step normalises with the batch's own statistics.
func TestTrainingOnBeginsWithTheModelsLoss(t *testing.T) {
	const images = 256
	dir, set := someDigits(t, images)
	normalized, err := dataset.StandardPixels(0.1307, 0.3081)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		model, name string
		pixels      dataset.Pixels
		flags       []string
	}{
		{e1Graph, "e1", dataset.Pixels{}, nil},
		{"../../../infer/testdata/foreign/torch_cnn_dynamo.onnx", "torch_cnn_dynamo", normalized,
			[]string{"-pixels", "0.1307,0.3081"}},
		{"../../../infer/testdata/foreign/torch_cnn_torchscript.onnx", "torch_cnn_torchscript",
			normalized, []string{"-pixels", "0.1307,0.3081"}},
		{"../../../infer/testdata/foreign/torch_mlp_dynamo.onnx", "torch_mlp_dynamo", normalized,
			[]string{"-pixels", "0.1307,0.3081"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want, scoreRange := fileLoss(t, test.model, set, test.pixels)
			runs := t.TempDir()
			args := append([]string{"-from", test.model, "-data", dir + ":train", "-test", dir + ":t10k",
				"-runs", runs, "-batch", fmt.Sprint(images), "-epochs", "4", "-lr", "1e-4"}, test.flags...)
			code, out, errs := runTrain(t, args...)
			if code != cli.ExitOK {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if line := fmt.Sprintf("%s before training, pixels ", test.model); !strings.Contains(out, line) {
				t.Errorf("output lacks %q:\n%s", line, out)
			}
			history := readHistory(t, filepath.Join(runs, test.name))
			// The cross-entropy moves by at most twice what a score does, and two
			// engines' scores are √1024·2⁻²⁴ = 2e-6 of their range apart, 1024 being
			// the longest sum. Probabilities at the end are of a range of 1 where
			// the logits before them, which were rounded, are of about 20.
			limit := 2 * 2e-6 * max(scoreRange, 20)
			loss, wholeBatch := evaluatedLoss(t, test.model, set, test.flags)
			if math.Abs(loss-want) > limit {
				t.Errorf("the trainer evaluates the model to a loss of %v, not %v, more than %v apart", loss,
					want, limit)
			}
			first := history[0].MeanLoss
			if math.Abs(first-want) > limit && !wholeBatch {
				t.Errorf("the first step's loss is %v, the model's %v, more than %v apart", first, want, limit)
			}
			if last := history[len(history)-1].MeanLoss; !(last < first) {
				t.Errorf("after %d steps the loss is %v, not below the first, %v", len(history), last, first)
			}
			t.Logf("the model's loss %.7f, the first step's %.7f, the last one's %.7f", want,
				history[0].MeanLoss, history[3].MeanLoss)
		})
	}
}

// evaluatedLoss is the trainer's own mean cross-entropy of the file's network, and whether that
// computes the images of a training batch together.
func evaluatedLoss(t *testing.T, path string, set *dataset.Set, flags []string) (loss float64,
	wholeBatch bool) {
	t.Helper()
	model, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatal(err)
	}
	var config train.Config
	if len(flags) > 0 {
		config.Pixels = flags[1]
	}
	trainer, err := train.New(network, set, config, weights)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	evaluation, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	return evaluation.Loss, network.WholeBatch()
}

func readHistory(t *testing.T, run string) train.History {
	t.Helper()
	var history train.History
	if err := json.Unmarshal(read(t, filepath.Join(run, "history.json")), &history); err != nil {
		t.Fatal(err)
	}
	return history
}

// A run from a model is resumed as any other, bit for bit: its checkpoint holds the
// network.
func TestARunFromAModelIsResumed(t *testing.T) {
	dir, _ := someDigits(t, 96)
	model := "../../../infer/testdata/foreign/torch_cnn_torchscript.onnx"
	start := func(name, epochs string) []string {
		return []string{"-from", model, "-pixels", "0.1307,0.3081", "-data", dir + ":train", "-test",
			"none", "-runs", dir + "/runs",
			"-name", name, "-epochs", epochs, "-experiment", "e2"}
	}
	for _, args := range [][]string{start("whole", "4"), start("parts", "2"),
		{"-resume", "-name", "parts", "-runs", dir + "/runs", "-epochs", "4", "-test", "none"}} {
		if code, _, errs := runTrain(t, args...); code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, errs)
		}
	}
	whole, parts := read(t, dir+"/runs/whole/weights.safetensors"), read(t,
		dir+"/runs/parts/weights.safetensors")
	if !bytes.Equal(whole, parts) {
		t.Error("the weights of the resumed run differ from those of the whole one")
	}

	run, err := train.OpenRun(dir + "/runs/parts")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	// The run knows which file it began with, and the resumed one still does.
	sum := sha256.Sum256(read(t, model))
	if want := fmt.Sprintf("torch_cnn_torchscript.onnx (sha256 %x)",
		sum); checkpoint.Sets.Pretrained != want {
		t.Errorf("the run began with %q, want %q", checkpoint.Sets.Pretrained, want)
	}
	file, err := onnx.Read(model)
	if err != nil {
		t.Fatal(err)
	}
	network, _, err := convert.ToNetwork(file, "")
	if err != nil {
		t.Fatal(err)
	}
	if checkpoint.Network.String() != network.String() {
		t.Errorf("the checkpoint's network is\n%v, the model's\n%v", checkpoint.Network, network)
	}
	if c := checkpoint.Config; c.Pixels != "0.1307,0.3081" || c.ParameterPenalty.L1 != 0.001 {
		t.Errorf("pixels %s, λ1 %v; the experiment's settings and the flags' stay", c.Pixels,
			c.ParameterPenalty.L1)
	}
}

// Pictures come to the size that a model's file records: -resize need not say it again.
func TestAModelsFileSaysTheSizeOfPictures(t *testing.T) {
	dir := pictureFixture(t)
	network, err := readNetwork(filepath.Join(dir, "own.json"))
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), onnx.TrainingRecord{
		Sizing: "resize 8×8 pad bicubic", ClassLabels: []string{"ant", "bee", "cat"}}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "own.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-from", path, "-data", dir + "/own", "-test", "none", "-epochs", "1",
		"-runs", dir + "/runs"}
	code, out, errs := runTrain(t, arguments...)
	if code != cli.ExitOK ||
		!strings.Contains(out,
			"pictures come to the size that "+path+" records: resize 8×8 pad bicubic\n") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	run, err := train.OpenRun(dir + "/runs/own")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil || checkpoint.Sets.Training.Sizing != "resize 8×8 pad bicubic" {
		t.Errorf("the run's sizing is %q, %v", checkpoint.Sets.Training.Sizing, err)
	}
	// What is asked for goes first, and images that have a size of their own keep it.
	code, out, errs = runTrain(t, append(arguments, "-resize", "8")...)
	if code != cli.ExitOK || strings.Contains(out, "pictures come to") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, _, errs = runTrain(t, "-from", path, "-data", fixture(t), "-test", "none", "-runs",
		dir+"/runs")
	if code != cli.ExitFailure || strings.Contains(errs, "resize") {
		t.Errorf("of numbers: exit %d: %s", code, errs)
	}
}

// Weights whose classifier tells another number of classes apart come with the way to a new one.
func TestTheHintForAnotherClassifier(t *testing.T) {
	dir, _ := someDigits(t, 64)
	network, err := builder.E1(7)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "seven.safetensors")
	if err := train.WriteWeights(path, network.InitialWeights(1)); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-init", path, "-data", dir, "-test", "none", "-epochs", "1", "-runs",
		dir + "/runs"}
	code, _, errs := runTrain(t, arguments...)
	if code != cli.ExitFailure || !strings.Contains(errs, "-classes 7 -head auto takes it") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if code, _,
		errs := runTrain(t, append(arguments, "-classes", "7", "-head", "auto")...); code != cli.ExitOK {
		t.Errorf("as the hint has it: exit %d: %s", code, errs)
	}
}
