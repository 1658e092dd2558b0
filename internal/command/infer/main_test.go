package infer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/cli/clitest"
	"slipway/internal/command/worker"
	"slipway/internal/librarytest"
	"slipway/internal/safetensors"
	"slipway/onnx"
)

const testModels = "../../../infer/testdata"

// TestMain makes the test binary its own onnx-go worker, and the command itself
// when it is asked to be.
func TestMain(m *testing.M) {
	if worker.Asked(os.Args[1:]) || os.Getenv("SLIPWAY_TEST_MAIN") == "1" {
		os.Exit(Main(os.Args[1:]))
	}
	librarytest.Main(m)
}

// needLibrary fails where the onnxruntime library is missing.
func needLibrary(t *testing.T) {
	t.Helper()
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	_, err := infer.FindLibrary("", false)
	if errors.Is(err, infer.ErrWithoutCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err, nil)
	return code, out.String(), err.String()
}

// smallData writes the first images of the test set to a folder, for -data.
func smallData(t *testing.T, n int) string {
	t.Helper()
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, x := range map[string]*dataset.IDX{
		"t10k-images-idx3-ubyte": {Type: dataset.Uint8, Shape: []int{n, 28, 28},
			Data: set.Images[:n*784]},
		"t10k-labels-idx1-ubyte": {Type: dataset.Uint8, Shape: []int{n}, Data: set.LabelBytes()[:n]},
	} {
		var b bytes.Buffer
		if err := dataset.WriteIDX(&b, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func testModel(name string) string { return filepath.Join(testModels, name) }

func TestBadUse(t *testing.T) {
	needLibrary(t)
	text := filepath.Join(t.TempDir(), "no-library.so")
	if err := os.WriteFile(text,
		[]byte("this is no shared library, only some text of more than sixty-four bytes"),
		0o666); err != nil {
		t.Fatal(err)
	}
	small := testModel("small.onnx")
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no arguments": {nil, 2, []string{"-model is missing"}},
		"unknown flag": {[]string{"-modle", small}, 2,
			[]string{"unknown flag -modle", "model"}},
		"left over": {[]string{"-model", small, "t10k"}, 2, []string{`"t10k"`}},
		"there are auto, cpu, cuda": {[]string{"-model", small, "-device", "cdua"}, 2,
			[]string{"there are auto, cpu, cuda", "cuda"}},
		"unknown runtime": {[]string{"-model", small, "-runtime", "onnx-og"}, 2,
			[]string{"there are onnxruntime, native", "onnx-go"}},
		"batch 0": {[]string{"-model", small, "-batch", "0"}, 2, []string{"-batch 0"}},
		"batch no number": {[]string{"-model", small, "-batch", "many"}, 2,
			[]string{"many", "batch"}},
		"threads": {[]string{"-model", small, "-threads", "-1"}, 2,
			[]string{"-threads -1"}},
		"tolerance": {[]string{"-model", small, "-cross-validate", "-tolerance", "1"}, 2,
			[]string{"fraction"}},
		"tolerance alone": {[]string{"-model", small, "-tolerance", "0.01"}, 2,
			[]string{"-cross-validate"}},
		"reference alone": {[]string{"-model", small, "-reference", "x"}, 2,
			[]string{"-cross-validate"}},
		"scale": {[]string{"-model", small, "-scale"}, 2,
			[]string{"unknown flag -scale: it is -pixels 0-1 now"}},
		"normalize by its old name": {[]string{"-model", small, "-normalize", "0.1,0.3"}, 2,
			[]string{"unknown flag -normalize: it is -pixels MEAN,STD now"}},
		"normalize": {[]string{"-model", small, "-pixels", "0.1"}, 2,
			[]string{`-pixels "0.1"; there are 0-255, 0-1, 0.5, imagenet, MEAN,STD`}},
		"normalize by 0": {[]string{"-model", small, "-pixels", "0.1,0"}, 2,
			[]string{`-pixels "0.1,0": `}},
		"data-dir": {[]string{"-model", small, "-data-dir", "x"}, 2,
			[]string{"-data train"}},
		"onnx-go on cuda": {[]string{"-model", small, "-runtime", "onnx-go", "-device", "cuda"},
			2, []string{"-device cuda", "onnx-go"}},
		"tf32 on cpu": {[]string{"-model", small, "-device", "cpu", "-tf32"}, 2,
			[]string{"-tf32", "-device cpu"}},
		"tf32 on native": {[]string{"-model", small, "-runtime", "native", "-tf32"}, 2,
			[]string{"-tf32", "native"}},
		"native on cuda": {[]string{"-model", small, "-runtime", "native", "-device", "cuda"},
			2, []string{"-device cuda", "native"}},
		"native, a library": {[]string{"-model", small, "-runtime", "native", "-library", text},
			2, []string{"-library", "native"}},
		"onnx-go one by one": {[]string{"-model", small, "-runtime", "onnx-go", "-batch", "1"}, 2,
			[]string{"-batch 1", "onnx-go"}},
		"unknown corruption": {[]string{"-model", small, "-corrupt", "rotat:3"}, 2,
			[]string{"-corrupt", `did you mean "rotate"?`}},
		"no strength": {[]string{"-model", small, "-corrupt", "rotate"}, 2,
			[]string{"-corrupt", "rotate:3"}},
		"strength 6": {[]string{"-model", small, "-corrupt", "rotate:6"}, 2,
			[]string{"-corrupt", "1 to 5"}},
		"corrupt-seed alone": {[]string{"-model", small, "-corrupt-seed", "1"}, 2,
			[]string{"-corrupt alone"}},
		"unknown data": {[]string{"-model", small, "-data", "t10"}, 2,
			[]string{"t10", "t10k"}},

		"no such model": {[]string{"-model", "nonsense.onnx"}, 1,
			[]string{"nonsense.onnx", "graphs"}},
		"not an ONNX file": {[]string{"-model", testModel("text.onnx")}, 1,
			[]string{"text.onnx", "not a"}},
		"truncated": {[]string{"-model", testModel("truncated.onnx")}, 1,
			[]string{"truncated.onnx", "not a whole ONNX model"}},
		"data outside": {[]string{"-model", testModel("external_outside.onnx")}, 1,
			[]string{"external_outside.onnx", "leads out of the model's folder"}},
		"stride 0": {[]string{"-model", testModel("stride0.onnx")}, 1,
			[]string{"stride0.onnx", "strides"}},
		"wrong input shape": {[]string{"-model", testModel("color32.onnx")}, 1,
			[]string{"N×3×32×32", "1×28×28"}},
		"too few classes": {[]string{"-model", testModel("five.onnx")}, 1,
			[]string{"5 classes", "labels are 0 to 9"}},
		"two outputs": {[]string{"-model", testModel("two_scores.onnx")}, 1,
			[]string{"-output", "probabilities"}},
		"a folder": {[]string{"-model", testModels}, 1, []string{"folder"}},
		"missing library": {[]string{"-model", small, "-library", "/nonexistent/libonnxruntime.so"}, 1,
			[]string{"/nonexistent/libonnxruntime.so", "no such file", "make setup"}},
		"not a library": {[]string{"-model", small, "-library", text}, 1,
			[]string{text, "not an ELF file", "make setup"}},
		"unsupported": {[]string{"-model", testModel("nhwc.onnx"), "-runtime", "onnx-go"}, 1,
			[]string{"onnx-go", "Transpose"}},
		"missing reference": {[]string{"-model", small, "-cross-validate", "-reference",
			"/nonexistent.safetensors"}, 1, []string{"/nonexistent.safetensors"}},
		"no folder to write": {[]string{"-model", small, "-o", "/nonexistent/predictions.csv"}, 1,
			[]string{"/nonexistent/predictions.csv"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := test.args
			if test.code == 1 && !slices.Contains(args, "-data") {
				args = append(args, "-data", smallData(t, 20))
			}
			code, stdout, stderr := runCommand(t, args...)
			if code != test.code || stdout != "" && name != "no folder to write" {
				t.Errorf("exit %d, want %d; stdout %q", code, test.code, stdout)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q has no %q", stderr, want)
				}
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for command, wants := range map[string][]string{
		"":           {"recorded_accuracy", "max_rel_diff", "-cross-validate", "Exit status"},
		"compare":    {"decided_labels_differ", "-sheet", "Exit status"},
		"robustness": {"gaussian-noise", "mean_confidence", "Exit status", "-plot"},
	} {
		code, stdout, _ := runCommand(t, append(strings.Fields(command), "-h")...)
		for _, want := range wants {
			if code != 0 || !strings.Contains(stdout, want) {
				t.Errorf("%s -h: exit %d, without %q", command, code, want)
			}
		}
	}
	if code, stdout, _ := runCommand(t, "-version"); code != 0 ||
		!strings.HasPrefix(stdout, "infer ") {
		t.Errorf("-version: exit %d, %q", code, stdout)
	}
}

// recordedModel copies the small model with a training record, and returns the
// answers of onnxruntime to the set.
func recordedModel(t *testing.T, path string,
	change func(*onnx.TrainingRecord, *infer.Result)) *infer.Result {
	t.Helper()
	model, err := infer.LoadModel(testModel("small.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := infer.OpenONNXRuntime(t.Context(), model,
		infer.ONNXRuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := infer.Evaluate(t.Context(), runtime, set, infer.EvaluateOptions{KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	record := onnx.TrainingRecord{DataSet: "train", TestAccuracy: result.Accuracy(),
		TestImages: result.Images, Epochs: 1}
	change(&record, result)
	if err := model.SetTrainingRecord(record); err != nil {
		t.Fatal(err)
	}
	if err := (&onnx.Model{Proto: proto.CloneOf(model.Proto)}).Write(path); err != nil {
		t.Fatal(err)
	}
	return result
}

// writeLogits writes a trainer's logits, of a model that is none of the tests'.
func writeLogits(t *testing.T, path, data string, logits infer.Logits) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	err := safetensors.Write(path, &safetensors.File{
		Metadata: map[string]string{"data": data, "model_sha256": strings.Repeat("0", 64)},
		Tensors: []safetensors.Tensor{safetensors.NewFloat32("logits", []int{logits.N, logits.K},
			logits.Values)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// decoded is -json's object as a program of another language sees it.
func decoded(t *testing.T, stdout string) map[string]any {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return d
}

func TestCrossValidateOnTheWholeTestSet(t *testing.T) {
	needLibrary(t)
	// A bare name is found in graphs/; the library is not found from there.
	folder := t.TempDir()
	graph := filepath.Join(folder, "graphs", "tiny.onnx")
	if err := os.Mkdir(filepath.Dir(graph), 0o777); err != nil {
		t.Fatal(err)
	}
	result := recordedModel(t, graph, func(*onnx.TrainingRecord, *infer.Result) {})
	writeLogits(t, filepath.Join(folder, "graphs", "tiny", referenceName), "t10k", result.Logits)
	t.Setenv(infer.LibraryVariable, result.Info.Library)
	t.Chdir(folder)

	code, stdout, stderr := runCommand(t, "-model", "tiny.onnx", "-data", "t10k", "-cross-validate",
		"-json", "-device", "cpu", "-o", "predictions.csv")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	for key, want := range map[string]any{
		"model": filepath.Join("graphs", "tiny.onnx"), "data": "t10k", "images": 10000.,
		"correct": float64(result.Correct), "accuracy": result.Accuracy(),
		"recorded_accuracy": result.Accuracy(), "runtime": "onnxruntime",
		"provider": "CPUExecutionProvider", "device": "cpu", "agree": true,
	} {
		if d[key] != want {
			t.Errorf("%s: %v, want %v", key, d[key], want)
		}
	}
	sides := d["compared"].([]any)
	if len(sides) != 3 {
		t.Fatalf("compared with %v", sides)
	}
	for i, name := range []string{"native", "onnx-go", "trainer"} {
		side := sides[i].(map[string]any)
		if side["runtime"] != name || side["images"] != 10000. || side["labels_differ"] != 0. ||
			side["agree"] != true {
			t.Errorf("%v", side)
		}
		if diff, ok := side["max_rel_diff"].(float64); !ok || diff > 1e-5 {
			t.Errorf("%s: max_rel_diff %v", name, side["max_rel_diff"])
		}
		if _, ok := side["max_abs_diff"].(float64); !ok {
			t.Errorf("%s: max_abs_diff %v", name, side["max_abs_diff"])
		}
	}
	csv, err := os.ReadFile("predictions.csv")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(csv, []byte("\n")); lines != 10001 {
		t.Errorf("%d lines of predictions", lines)
	}
}

func TestDisagreementIsExitCode1(t *testing.T) {
	needLibrary(t)
	folder := t.TempDir()
	model := filepath.Join(folder, "m.onnx")
	reference := filepath.Join(folder, "other.safetensors")
	result := recordedModel(t, model, func(*onnx.TrainingRecord, *infer.Result) {})
	// Few images: onnx-go, which agrees here, is slow.
	off := infer.Logits{N: 200, K: result.Logits.K,
		Values: slices.Clone(result.Logits.Values[:200*result.Logits.K])}
	off.Values[1235] += 100
	writeLogits(t, reference, "", off)

	code, stdout, stderr := runCommand(t, "-model", model, "-data", smallData(t, 200),
		"-cross-validate", "-reference", reference)
	if code != 1 || !strings.Contains(stdout, "DISAGREES") ||
		!strings.Contains(stdout, "written for another model file") ||
		!strings.Contains(stderr, "image 123, class 5") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}

	wrong := filepath.Join(folder, "wrong.onnx")
	recordedModel(t, wrong, func(r *onnx.TrainingRecord, _ *infer.Result) { r.TestAccuracy = 0.9858 })
	code, stdout, stderr = runCommand(t, "-model", wrong)
	if code != 1 || !strings.Contains(stdout, "recorded by the trainer: 98.58 %") ||
		!strings.Contains(stderr, "the model records 9858") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	// Other pixels than the recorded ones: nothing to hold against it.
	code, stdout, stderr = runCommand(t, "-model", wrong, "-pixels", "0-1")
	if code != 0 || !strings.Contains(stdout, "not comparable") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestRecordSaysHowPixelsAreFed(t *testing.T) {
	needLibrary(t)
	model := filepath.Join(t.TempDir(), "m.onnx")
	recordedModel(t, model, func(r *onnx.TrainingRecord, _ *infer.Result) {
		r.PixelScale, r.TestImages = 1.0/255, 0
	})
	data := smallData(t, 50)
	for want, args := range map[string][]string{"x/255": nil, "x": {"-pixels", "0-255"},
		"(x/255-0.5)/0.25": {"-pixels", "0.5,0.25"}} {
		code, stdout, stderr := runCommand(t, append([]string{"-model", model, "-data", data, "-json"},
			args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		if got := decoded(t, stdout)["pixels"]; got != want {
			t.Errorf("%v: fed as %v, want %s", args, got, want)
		}
	}
}

func TestNaNIsADisagreementAndValidJSON(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 10)
	reference := filepath.Join(t.TempDir(), "r.safetensors")
	writeLogits(t, reference, "", infer.Logits{N: 10, K: 10, Values: make([]float32, 100)})
	code, stdout, stderr := runCommand(t, "-model", testModel("nan.onnx"), "-data", data, "-json",
		"-cross-validate", "-reference", reference)
	if code != 1 || !strings.Contains(stderr, "NaN") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	side := d["compared"].([]any)[0].(map[string]any)
	if d["unanswered"] != 10. || side["max_abs_diff"] != nil || side["not_finite"] != 100. ||
		d["agree"] != false {
		t.Errorf("%s", stdout)
	}
}

func TestTextNamesTheProvider(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 30)
	for runtime, want := range map[string]string{"onnxruntime": "CPUExecutionProvider on cpu",
		"native": " on cpu", "onnx-go": "Gorgonia on cpu"} {
		code, stdout, stderr := runCommand(t, "-model", testModel("small.onnx"), "-data", data,
			"-runtime", runtime, "-device", "auto")
		if code != 0 || !strings.Contains(stdout, want) || !strings.Contains(stdout, "Accuracy = ") ||
			!strings.Contains(stdout, "confusion") {
			t.Errorf("%s: exit %d\n%s%s", runtime, code, stdout, stderr)
		}
	}
}

func TestFailedWriteKeepsTheOldPredictions(t *testing.T) {
	needLibrary(t)
	folder := t.TempDir()
	csv := filepath.Join(folder, "p.csv")
	if err := os.WriteFile(csv, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := runCommand(t, "-model", testModel("five.onnx"), "-data", "t10k", "-o",
		csv); code != 1 {
		t.Errorf("exit %d", code)
	}
	if got, err := os.ReadFile(csv); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInterruptStops(t *testing.T) {
	needLibrary(t)
	for _, runtime := range []string{"onnxruntime", "native", "onnx-go"} {
		// Long enough to have begun, also on a busy machine: a command that has not
		// yet asked for the signal dies of it and is started again.
		for wait := 300 * time.Millisecond; ; wait *= 2 {
			state, stdout, stderr := interrupt(t, wait, "-model", testModel("small.onnx"), "-data", "t10k",
				"-batch", "2", "-cross-validate", "-runtime", runtime)
			if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() &&
				status.Signal() == syscall.SIGINT && wait < 10*time.Second {
				continue
			}
			if state.ExitCode() != 130 || stderr != "infer: interrupted\n" || stdout != "" {
				t.Errorf("%s: %v, want exit status 130\n%s%s", runtime, state, stdout, stderr)
			}
			break
		}
	}
}

// interrupt starts the command and sends it and its worker, as a terminal does,
// the signal of Ctrl-C.
func interrupt(t *testing.T, wait time.Duration, args ...string) (state *os.ProcessState, stdout,
	stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], args...)
	child.Env = append(os.Environ(), "SLIPWAY_TEST_MAIN=1")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, err bytes.Buffer
	child.Stdout, child.Stderr = &out, &err
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(wait)
	if err := syscall.Kill(-child.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := child.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return child.ProcessState, out.String(), err.String()
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "infer", func(args []string, stdout io.Writer) error {
		_, err := parse(args, stdout)
		return err
	})
	clitest.CheckExamples(t, "infer compare", func(args []string, stdout io.Writer) error {
		_, err := parseCompare(args, stdout)
		return err
	})
}
