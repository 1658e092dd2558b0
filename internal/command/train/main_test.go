package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/cli"
	"slipway/internal/cli/clitest"
	"slipway/internal/librarytest"
	"slipway/internal/mpi"
	"slipway/train"
)

// actAsTrain makes the test binary the command itself, so that a test can kill
// a real process.
const actAsTrain = "SLIPWAY_TEST_ACT_AS_TRAIN"

func TestMain(m *testing.M) {
	if os.Getenv(actAsTrain) != "" {
		mpi.Exit(Main(os.Args[1:]))
	}
	librarytest.Main(m)
}

// fixture is a folder with a small training and test set and a network for it.
func fixture(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	source := rand.New(rand.NewPCG(1, 2))
	for _, part := range []string{"train", "t10k"} {
		const n = 96
		images, labels := make([]byte, n*64), make([]byte, n)
		for i := range labels {
			labels[i] = byte(source.IntN(4))
			for j := range 64 {
				images[i*64+j] = byte(source.IntN(60))
				if j/16 == int(labels[i]) {
					images[i*64+j] += 150
				}
			}
		}
		writeIDX(t, filepath.Join(dir, part+"-images-idx3-ubyte"), []int{n, 8, 8}, images)
		writeIDX(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{n}, labels)
	}
	writeNetwork(t, dir, builder.Conv2D{Filters: 4, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.Flatten{}, builder.Dropout{P: 0.2}, builder.Dense{Units: 10})
	return dir
}

// writeNetwork writes tiny.json into the folder.
func writeNetwork(t *testing.T, dir string, layers ...builder.Layer) {
	t.Helper()
	network, err := builder.New("tiny", builder.Shape{1, 8, 8}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tiny.json"), raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

func writeIDX(t *testing.T, path string, dims []int, data []byte) {
	t.Helper()
	var file bytes.Buffer
	if err := dataset.WriteIDX(&file,
		&dataset.IDX{Shape: dims, Data: data, Type: dataset.Uint8}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func arguments(dir string, more ...string) []string {
	return append([]string{"-network", dir + "/tiny.json", "-data", dir + ":train", "-test",
		dir + ":t10k", "-runs", dir + "/runs",
		"-batch", "8", "-pixels", "0-1"}, more...)
}

func runTrain(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs, nil)
	return code, out.String(), errs.String()
}

func TestARunWritesWhatItPromises(t *testing.T) {
	dir := fixture(t)
	code, out, errs := runTrain(t, arguments(dir, "-epochs", "4")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"tiny: input 1×8×8", "Epoch [4/4], Step [12/12], Loss: ",
		"Stopped: 4 epochs are done.", "Final training loss: ", "Accuracy = "} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	run := filepath.Join(dir, "runs", "tiny")
	for _, name := range []string{"config.json", "history.csv", "history.json", "curve.svg",
		"weights.safetensors", "checkpoints/step-00000048.safetensors"} {
		if info, err := os.Stat(filepath.Join(run, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var history train.History
	raw, err := os.ReadFile(filepath.Join(run, "history.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &history); err != nil || len(history) != 4 ||
		history[3].TestAccuracy == nil {
		t.Errorf("history of %d epochs (%v)", len(history), err)
	}
}

func TestBadInput(t *testing.T) {
	dir := fixture(t)
	for name, content := range map[string]string{
		"text.json": "not JSON", "slip.yaml": "name: x\ninput: [4]\nlayers:\n- dense: {unit: 4}\n",
		"kind.json":       `{"name":"x","input":[4],"layers":[{"kind":"LSTM","layer":{}}]}`,
		"shape.json":      `{"name":"x","input":[1,2,2],"layers":[{"kind":"Conv2D","layer":{"Filters":1,"Kernel":{"height":3,"width":3}}}]}`,
		"bad.safetensors": "not safetensors",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", []string{"-epoch", "1"}, 2, `unknown flag -epoch; did you mean -epochs`},
		{"argument", []string{"e1"}, 2, `unexpected argument "e1"`},
		{"experiment", []string{"-experiment", "e3"}, 2,
			`invalid value "e3" for flag -experiment: there are e1, e2; did you mean "e1"`},
		{"dropout of e1", []string{"-dropout", "0.2"}, 2, "-dropout applies to -experiment e2 alone"},
		{"augmentation", []string{"-augment", "flop"}, 2,
			`the operation "flop" is unknown; there are flip, vertical-flip, `},
		{"shift", []string{"-augment", "rotation=3,shift=1.5"}, 2,
			`"shift=1.5": pixels is a whole number; "1.5" is none that fits`},
		{"schedule", arguments(dir, "-schedule", "triangle"), 2,
			`unknown schedule "triangle"; there are [constant linear cosine one-cycle step cosine-restarts wsd plateau]`},
		{"warm-up alone", arguments(dir, "-warmup", "0.1"), 2,
			"schedule constant has no length that a warm-up is a share of"},
		{"large shift", arguments(dir, "-augment", "shift=8"), 1, "leaves nothing of the 8×8 images"},
		{"Muon on a GPU", []string{"-device", "cuda", "-optimizer", "muon"}, 2,
			"-device cuda: optimizer muon is computed on the CPU alone; train with -device cpu"},
		{"TF32 and what has none", []string{"-device", "cuda", "-optimizer", "muon", "-precision", "tf32"},
			2, "-precision tf32 is for a GPU, and optimizer muon is computed on the CPU alone; " +
				"leave out one of them"},
		{"name with a colon", []string{"-name", "a:b"}, 2,
			`-name: "a:b" is no name of a folder on every system; give one such as "a_b"`},
		{"very many threads", []string{"-threads", "100000"}, 2, "-threads 100000 is more than "},
		{"resume with a schedule", []string{"-resume", "-name", "e1", "-schedule", "linear"}, 2,
			"-schedule does not apply to -resume"},
		{"engine", []string{"-engine", "tpu"}, 2, `for flag -engine: there are native, gorgonia`},
		{"device", []string{"-device", "tpu"}, 2,
			`for flag -device: there are auto, cpu, cuda; did you mean "cpu"`},
		{"threads", []string{"-threads", "-1"}, 2, "-threads -1 is negative"},
		{"epochs", []string{"-epochs", "0"}, 2, "-epochs 0; at least 1"},
		{"batch", []string{"-batch", "0"}, 2, "-batch 0; at least 1"},
		{"rate of 0", []string{"-lr", "0"}, 2, "-lr 0; more than 0 is needed"},
		{"beta1 of 0", []string{"-beta1", "0"}, 2, "-beta1 0; more than 0"},
		{"beta2 of 0", []string{"-beta2", "0"}, 2, "-beta2 0; more than 0"},
		{"alpha of 0", []string{"-optimizer", "rmsprop", "-alpha", "0"}, 2, "-alpha 0; more than 0"},
		{"epsilon of 0", []string{"-epsilon", "0"}, 2, "-epsilon 0; more than 0"},
		{"warm-up of 0 epochs", []string{"-warmup-epochs", "0"}, 2, "-warmup-epochs 0; more than 0"},
		{"best by the test set", arguments(dir, "-best", "test-accuracy"), 2,
			"nothing is chosen by the test set"},
		{"average of no decay", arguments(dir, "-ema-warmup"), 2, "a warm-up of no decay"},
		{"average of a decay of 0", []string{"-ema", "0"}, 2, "-ema 0; more than 0"},
		{"resume with an average", []string{"-resume", "-name", "e1", "-ema", "0.9"}, 2,
			"-ema does not apply to -resume"},
		{"warm-up of 0", []string{"-schedule", "one-cycle", "-warmup", "0"}, 2, "-warmup 0; more than 0"},
		{"final factor of 0", []string{"-schedule", "one-cycle", "-final-factor", "0"}, 2,
			"-final-factor 0; more than 0"},
		{"no checkpoints", []string{"-checkpoint-every", "0"}, 2, "-checkpoint-every 0; more than 0"},
		{"no checkpoints to resume", []string{"-resume", "-name", "e1", "-keep", "0"}, 2,
			"-keep 0; more than 0"},
		{"loss NaN", arguments(dir, "-until-loss", "NaN"), 2, "loss threshold NaN is no finite number"},
		{"infinite penalty", arguments(dir, "-l1", "Inf"), 2, "both must be finite"},
		{"name of the runs' folder", []string{"-name", "."}, 2, `-name: "." names no folder inside`},
		{"name outside", []string{"-resume", "-name", "../e1"}, 2,
			`-name: "../e1" names no folder inside`},
		{"activation", []string{"-activation-l1", "relu3"}, 2, "is not LAYER=λ"},
		{"resume and init", []string{"-resume", "-name", "e1", "-init", "x"}, 2, "give one of them"},
		{"from and network", []string{"-from", "m.onnx", "-network", "n.json"}, 2,
			"-from and -network each name a network"},
		{"from and init", []string{"-from", "m.onnx", "-init", "w.safetensors"}, 2,
			"-from and -init each name weights"},
		{"from and resume", []string{"-from", "m.onnx", "-resume", "-name", "e1"}, 2,
			"-from starts from a model; give one of them"},
		{"from and dropout", []string{"-from", "m.onnx", "-experiment", "e2", "-dropout", "0.2"}, 2,
			"-dropout does not apply to -from"},
		{"output alone", []string{"-output", "logits"}, 2, "-output applies to -from alone"},
		{"classes of a file", []string{"-network", "n.json", "-classes", "3"}, 2,
			"-classes applies to a known network or an experiment's"},
		{"classes of a model", []string{"-from", "m.onnx", "-classes", "3"}, 2,
			"-classes does not apply to -from"},
		{"no classes", []string{"-classes", "0"}, 2, "-classes 0; at least 1 is needed"},
		{"freeze of nothing", []string{"-freeze", "conv1.*,"}, 2, "has an empty pattern"},
		{"freeze of no parameter", arguments(dir, "-freeze", "conv7.*"), 1,
			`has no parameter that is called "conv7.*"; it has conv1.weight`},
		{"decay", []string{"-decay", "biases"}, 2, "for flag -decay: there are all, weights"},
		{"resume with freeze", []string{"-resume", "-name", "e1", "-freeze", "conv1.*"}, 2,
			"-freeze does not apply to -resume"},
		{"weighted shards on a GPU", []string{"-device", "cuda", "-shards", "2", "-class-weights",
			"balanced"}, 2, "-device cuda: a batch with class weights that is dealt to shards is computed " +
			"on the CPU alone"},
		{"no model", []string{"-from", dir + "/none.onnx"}, 1, "none.onnx: no such file"},
		{"model is text", []string{"-from", dir + "/text.json"}, 1, "text.json"},
		{"output of the model", []string{"-from", e1Graph, "-output", "scores"}, 1,
			`e1.onnx: as a network: it has no output "scores"; there are "logits"`},
		{"images do not fit the model", []string{"-from", e1Graph, "-data", dir + ":train", "-test",
			"none"}, 1, "network e1 takes 1×28×28, the images of"},
		{"pixels", arguments(dir, "-pixels", "0.1307"), 2,
			`pixels "0.1307"; there are 0-255, 0-1, 0.5, imagenet, measured, MEAN,STD`},
		{"deviation", arguments(dir, "-pixels", "0.1,0"), 2, "the deviation must be over 0"},
		{"resume with settings", []string{"-resume", "-name", "e1", "-lr", "1"}, 2,
			"-lr does not apply to -resume"},
		{"unknown data", []string{"-data", "fashoin"}, 1, `unknown data set "fashoin"`},
		{"no network file", []string{"-network", dir + "/none.json"}, 1, "none.json: no such file"},
		{"network is text", []string{"-network", dir + "/text.json"}, 1,
			`text.json:1:1: a network is "not JSON"; give a mapping`},
		{"network kind", []string{"-network", dir + "/kind.json"}, 1,
			`kind.json:1:43: network x, layer 1 of 1: there is no layer "LSTM"`},
		{"network in YAML", []string{"-network", dir + "/slip.yaml"}, 1,
			`slip.yaml:4:11: network x, layer 1 of 1 (Dense): has no field "unit"; did you mean "init", "units"?`},
		{"network shape", []string{"-network", dir + "/shape.json"}, 1,
			"kernel 3×3 is larger than the input 2×2"},
		{"dropout range", []string{"-experiment", "e2", "-dropout", "1"}, 2,
			"-dropout 1 is outside 0 ≤ p < 1"},
		{"momentum", arguments(dir, "-momentum", "0.9"), 2, "adam has no momentum"},
		{"layer", arguments(dir, "-activation-l1", "relu9=1"), 1,
			`has no layer "relu9"; it has conv1, relu1`},
		{"bad init", arguments(dir, "-init", dir+"/bad.safetensors"), 1, "bad.safetensors"},
		{"no run to resume", []string{"-resume", "-name", "none", "-runs", dir + "/runs"}, 1,
			"is not the folder of a run"},
		{"runs is a file", arguments(dir, "-runs", dir+"/file"), 1, "not a directory"},
		{"images do not fit", []string{"-data", dir + ":train", "-test", "none"}, 1,
			"network e1 takes 1×28×28, the images of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, errs := runTrain(t, test.args...)
			if code != test.code || !strings.Contains(errs, test.want) {
				t.Errorf("exit %d, %q; want %d and %q", code, errs, test.code, test.want)
			}
		})
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "runs")); err == nil && len(entries) > 0 {
		t.Errorf("bad input left %v behind", entries)
	}
}

// The flags reach the run's configuration, with what they leave open filled in.
func TestScheduleAndAugmentationFlags(t *testing.T) {
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-epochs", "2", "-schedule", "one-cycle", "-warmup",
		"0.25", "-first-factor", "0.1", "-schedule-epochs", "3", "-augment", "shift=2,rotation=7.5")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	run, err := train.OpenRun(dir + "/runs/tiny")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	config := checkpoint.Config
	if want := (train.Schedule{Name: "one-cycle", Warmup: 0.25, First: 0.1, Final: 4e-6,
		Epochs: 3}); !reflect.DeepEqual(config.Schedule, want) {
		t.Errorf("schedule %+v, want %+v", config.Schedule, want)
	}
	if want := (augment.Record{augment.Shift{Pixels: 2},
		augment.Rotation{Degrees: 7.5}}); config.Augmentation.String() != want.String() {
		t.Errorf("augmentation %+v, want %+v", config.Augmentation, want)
	}
}

func TestDivergenceNamesTheLastGoodCheckpoint(t *testing.T) {
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-optimizer", "sgd", "-lr", "1e30")...)
	if code != cli.ExitFailure || !strings.Contains(errs, "the loss is ") ||
		!strings.Contains(errs, "epoch 1, step") || !strings.Contains(errs, "last good checkpoint") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// Weights that overflow in the very last step, which no loss shows, are a failure.
func TestOverflowInTheLastStepIsAFailure(t *testing.T) {
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-optimizer", "sgd", "-lr", "1e39", "-batch", "96",
		"-epochs", "1")...)
	if code != cli.ExitFailure ||
		!strings.Contains(errs, "the weights are no longer finite after epoch 1, step 1") ||
		!strings.Contains(errs, "last good checkpoint is none") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// A set of more than ten classes is taken where the network has as many logits.
func TestMoreThanTenClasses(t *testing.T) {
	dir := fixture(t)
	const n, classes = 48, 12
	labels := make([]byte, n)
	for i := range labels {
		labels[i] = byte(i % classes)
	}
	for _, part := range []string{"train", "t10k"} {
		writeIDX(t, filepath.Join(dir, part+"-images-idx3-ubyte"), []int{n, 8, 8}, make([]byte, n*64))
		writeIDX(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{n}, labels)
	}
	code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...)
	if code != cli.ExitFailure ||
		!strings.Contains(errs, "12 classes: labels are 0 to 11; -network names a file") {
		t.Errorf("ten logits: exit %d, %q", code, errs)
	}
	twelve := strings.Replace(string(read(t, dir+"/tiny.json")), `"units":10`, `"units":12`, 1)
	if err := os.WriteFile(filepath.Join(dir, "tiny.json"), []byte(twelve), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{arguments(dir, "-epochs", "1"),
		{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2", "-test", dir + ":t10k"}} {
		if code, out, errs := runTrain(t, args...); code != cli.ExitOK ||
			!strings.Contains(out, "Accuracy = ") {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
	}
}

// The loss that is printed at the end is that of the weights that are kept.
func TestTheLossOfEarlyStoppingIsTheBestEpochs(t *testing.T) {
	dir := fixture(t)
	code, out, errs := runTrain(t, arguments(dir, "-validation", "0.3", "-patience", "2", "-epochs",
		"60", "-lr", "0.1")...)
	if code != cli.ExitOK {
		t.Fatal(errs)
	}
	history := readHistory(t, filepath.Join(dir, "runs", "tiny"))
	best := 0
	for i, epoch := range history {
		if *epoch.ValidationLoss < *history[best].ValidationLoss {
			best = i
		}
	}
	if best == len(history)-1 || len(history) == 60 {
		t.Fatalf("the best epoch is %d of %d: nothing is tested", best+1, len(history))
	}
	if want := fmt.Sprintf("Final training loss: %.4f (of epoch %d, whose weights are kept)\n",
		history[best].MeanLoss, best+1); !strings.Contains(out, want) {
		t.Errorf("the output lacks %q:\n%s", want, out)
	}
}

// One epoch is one epoch.
func TestOneIsSingular(t *testing.T) {
	dir := fixture(t)
	_, first, _ := runTrain(t, arguments(dir, "-epochs", "1")...)
	_, second, _ := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-test", "none",
		"-epochs", "2")
	if text := first + second; strings.Contains(text, "1 epochs") ||
		!strings.Contains(text, "Stopped: 1 epoch is done.") ||
		!strings.Contains(text, ": 1 epoch and 0 steps are done") {
		t.Error(text)
	}
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "train", func(args []string, stdout io.Writer) error {
		_, err := parse(args, stdout)
		return err
	})
}

// A network in YAML is the one in JSON: the runs have the same bits.
func TestTrainsANetworkInYAML(t *testing.T) {
	dir := fixture(t)
	const short = `
name: tiny
input: [1, 8, 8]
layers:
- conv2d: {name: first, filters: 4, kernel: 3, padding: 1}
- relu
- conv2d: {filters: 4, kernel: 3, padding: 1}
- add: {inputs: [conv1, first]}
- flatten
- dense: {units: 10}
`
	network, err := builder.ParseNetwork([]byte(short))
	if err != nil {
		t.Fatal(err)
	}
	long, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	var weights [][]byte
	for name, content := range map[string]string{"short.yml": short, "short.yaml": short,
		"long.json": string(long)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		code, _, errs := runTrain(t, "-network", filepath.Join(dir, name), "-data", dir+":train", "-test",
			dir+":t10k", "-runs", dir+"/runs", "-name", name, "-epochs", "1", "-threads", "1", "-device",
			"cpu")
		if code != 0 {
			t.Fatalf("%s: exit %d: %s", name, code, errs)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "runs", name, "weights.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		weights = append(weights, raw)
	}
	if !bytes.Equal(weights[0], weights[1]) || !bytes.Equal(weights[0], weights[2]) {
		t.Error("the runs have other weights")
	}
}
