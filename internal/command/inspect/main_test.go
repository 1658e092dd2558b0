package inspect

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cli"
	"slipway/internal/cli/clitest"
	"slipway/onnx"
	"slipway/onnx/convert"
)

const testModels = "../../../infer/testdata"

func runInspect(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// e1 writes a graph of E1 with initial weights and returns its path.
func e1(t *testing.T) string {
	t.Helper()
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	record := onnx.TrainingRecord{DataSet: "train", TestAccuracy: 0.1, TestImages: 10000}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), record,
		convert.Options{ProducerVersion: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "e1.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTextAndPicture(t *testing.T) {
	path := e1(t)
	svg := filepath.Join(t.TempDir(), "graph.svg")
	code, out, errs := runInspect(t, path, "-svg", svg)
	if code != cli.ExitOK || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"e1.onnx\nsha256 ", "IR version 7, ai.onnx opset 13",
		"slipway 0.1.0", "image float[N×1×28×28]", "logits float[N×10]",
		"8 of float: 184,586 values, 738,344 bytes", "Conv 5×5", "N×32×24×24", "3,276,800", "total",
		"184,586", "3,869,952", "slipway.test_accuracy",
		"onnxruntime 1.6.0 or newer", "onnx-go", "OpenCV DNN", "tract", "OpenVINO", "TensorRT"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "refuses") {
		t.Errorf("a runtime is said to refuse E1, which conformance.md says runs everywhere:\n%s", out)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("%q ends in blanks", line)
		}
	}
	raw, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "MaxPool 2×2 stride 2") {
		t.Errorf("the picture lacks a node: %s", raw)
	}
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestJSON(t *testing.T) {
	code, out, errs := runInspect(t, "-json", e1(t))
	if code != cli.ExitOK {
		t.Fatal(errs)
	}
	var document struct {
		File, SHA256 string
		Bytes        int64
		Parameters   int64
		MultiplyAdds int64 `json:"multiply_adds"`
		Batch        *int64
		Inputs       []struct {
			Name, Type string
			Shape      []any
		}
		Nodes []struct {
			Name, Operator string
			Attributes     map[string]string
			MultiplyAdds   int64 `json:"multiply_adds"`
		}
		Metadata map[string]string
		Problem  *string
		Runtimes []struct {
			Runtime, Expectation string
			Reasons              []struct{ Text, Source string }
		}
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	if document.File != "e1.onnx" || len(document.SHA256) != 64 || document.Parameters != 184_586 ||
		document.MultiplyAdds != 3_869_952 || document.Batch != nil || document.Problem != nil ||
		document.Metadata["slipway.test_images"] != "10000" {
		t.Errorf("%+v", document)
	}
	if len(document.Nodes) != 10 || document.Nodes[3].MultiplyAdds != 3_276_800 ||
		document.Nodes[3].Attributes["kernel_shape"] != "[5, 5]" {
		t.Errorf("the nodes are %+v", document.Nodes)
	}
	if len(document.Inputs) != 1 || document.Inputs[0].Shape[0] != "N" ||
		document.Inputs[0].Shape[2] != 28.0 {
		t.Errorf("the inputs are %+v", document.Inputs)
	}
	if len(document.Runtimes) < 8 {
		t.Errorf("the runtimes are %+v", document.Runtimes)
	}
	// The help describes each field of the object.
	var fields map[string]any
	if err := json.Unmarshal([]byte(out), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if !strings.Contains(usage, name) {
			t.Errorf("the help does not mention %s", name)
		}
	}
}

// Models of other frameworks are told of, and what is told of their weights is right.
func TestForeignModels(t *testing.T) {
	for name, wants := range map[string][]string{
		"foreign/torch_cnn_dynamo.onnx": {"pytorch", "10,174", " 189,344", "Conv 5×5 pad 2",
			"opset 20"},
		"foreign/torch_cnn_torchscript.onnx": {"10,302", " 189,344", "onnx-go v0.5.0", "refuses",
			"AveragePool"},
		"foreign/keras_cnn_tf2onnx.onnx":    {"tf2onnx", "at least 189,344", "of int64"},
		"foreign/sklearn_mlp_skl2onnx.onnx": {"skl2onnx", "19,056", "ai.onnx.ml.ArrayFeatureExtractor"},
		"uint8.onnx":                        {"bytes uint8[N×1×28×28]", "Cast to float"},
		"fixed4.onnx":                       {"for a run of 4"},
		"zipmap.onnx":                       {"export a scikit-learn model with convert_sklearn"},
		"external_outside.onnx":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := runInspect(t, filepath.Join(testModels, name))
			if wants == nil {
				if code != cli.ExitFailure || errs == "" || out != "" {
					t.Errorf("exit %d, %q, %q", code, out, errs)
				}
				return
			}
			if code != cli.ExitOK {
				t.Fatalf("exit %d: %s", code, errs)
			}
			for _, want := range wants {
				if !strings.Contains(out, want) {
					t.Errorf("the text lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

// Of an invalid model what can be told is told; nothing asks a runtime.
func TestInvalidModels(t *testing.T) {
	code, out, errs := runInspect(t, filepath.Join(testModels, "stride0.onnx"))
	if code != cli.ExitFailure || !strings.Contains(out, "problem: ") ||
		strings.Contains(out, "\nruntimes\n") || !strings.Contains(errs, "is not valid: ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	code, out, errs = runInspect(t, "-json", filepath.Join(testModels, "stride0.onnx"))
	if code != cli.ExitFailure || !strings.Contains(out, `"problem": "`) ||
		!strings.Contains(errs, "stride") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	path := e1(t)
	precious := filepath.Join(dir, "folder.svg")
	if err := os.Mkdir(precious, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, cli.ExitUsage, "the model is missing"},
		{"two models", []string{path, path}, cli.ExitUsage, "one model is inspected at a time"},
		{"unknown flag", []string{"-jsno", path}, cli.ExitUsage, `did you mean -json`},
		{"picture of another kind", []string{"-svg", "x.png", path}, cli.ExitUsage, "ends in .svg"},
		{"picture over a folder", []string{"-svg", precious, path}, cli.ExitFailure, "-svg: "},
		{"picture in no folder", []string{"-svg", filepath.Join(dir, "none", "x.svg"), path},
			cli.ExitFailure, "cannot write into the folder"},
		{"no model", []string{"no-such.onnx"}, cli.ExitFailure, "there is no model no-such.onnx"},
		{"a folder", []string{dir}, cli.ExitFailure, "a folder, not a file"},
		{"text", []string{filepath.Join(testModels, "text.onnx")}, cli.ExitFailure, "not"},
		{"truncated", []string{filepath.Join(testModels, "truncated.onnx")}, cli.ExitFailure,
			"not a whole ONNX model"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := runInspect(t, test.args...)
			if code != test.code || !strings.Contains(errs, test.want) || out != "" {
				t.Errorf("exit %d, %q, %q; want %d and %q", code, out, errs, test.code, test.want)
			}
		})
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("bad input left %v behind (%v)", entries, err)
	}
}

// Each input that the fuzzer kept is told of or refused, in text, JSON and picture.
func TestHostileFiles(t *testing.T) {
	seeds, err := filepath.Glob("../../../onnx/testdata/fuzz/FuzzDecode/*")
	if err != nil || len(seeds) == 0 {
		t.Fatalf("%d seeds (%v)", len(seeds), err)
	}
	told := 0
	for _, seed := range seeds {
		raw, err := os.ReadFile(seed)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "hostile.onnx")
		if err := os.WriteFile(path, fuzzInput(t, raw), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{path, "-svg", filepath.Join(t.TempDir(), "x.svg")},
			{"-json", path}} {
			code, out, errs := runInspect(t, args...)
			if code == cli.ExitUsage || code == cli.ExitFailure && errs == "" ||
				strings.ContainsAny(errs, "\x1b\x07") || strings.ContainsAny(out, "\x1b\x07") {
				t.Errorf("%s: exit %d, %q", seed, code, errs)
			}
			if out != "" {
				told++
			}
		}
	}
	t.Logf("%d of %d files were told of", told/2, len(seeds))
}

// fuzzInput returns the bytes in a file of go test's corpus, whose second line is
// []byte("…").
func fuzzInput(t *testing.T, file []byte) []byte {
	t.Helper()
	_, line, _ := strings.Cut(string(file), "\n")
	quoted := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "[]byte("), ")")
	text, err := strconv.Unquote(quoted)
	if err != nil {
		t.Fatalf("%q: %v", quoted, err)
	}
	return []byte(text)
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "inspect", func(args []string, stdout io.Writer) error {
		_, err := parse(args, stdout)
		return err
	})
}
