package infer

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareBadUse(t *testing.T) {
	needLibrary(t)
	small, data := testModel("small.onnx"), smallData(t, 20)
	precious := filepath.Join(t.TempDir(), "precious.png")
	if err := os.WriteFile(precious, []byte("no PNG"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no model":     {nil, 2, []string{"the models are missing"}},
		"one model":    {[]string{small}, 2, []string{"nothing to be compared with", "-runtimes"}},
		"three models": {[]string{small, small, "third.onnx"}, 2, []string{`"third.onnx"`}},
		"unknown runtime": {[]string{small, "-runtimes", "onnxruntime,onnx-og"}, 2,
			[]string{"unknown runtime", "onnx-go"}},
		"one runtime": {[]string{small, "-runtimes", "onnx-go"}, 2, []string{"onnx-go alone"}},
		"three runtimes": {[]string{small, "-runtimes", "onnxruntime,onnx-go,onnxruntime"}, 2,
			[]string{"one or two"}},
		"tolerance": {[]string{small, small, "-tolerance", "1"}, 2, []string{"fraction"}},
		"sheet":     {[]string{small, small, "-sheet", "sheet.jpg"}, 2, []string{".png"}},
		"unknown flag": {[]string{small, "-shet", "x.png", small}, 2,
			[]string{"unknown flag -shet", "sheet"}},
		"batch":        {[]string{small, small, "-batch", "0"}, 2, []string{"-batch 0"}},
		"threads":      {[]string{small, small, "-threads", "-1"}, 2, []string{"-threads -1"}},
		"data-dir":     {[]string{small, small, "-data-dir", "x"}, 2, []string{"-data train"}},
		"unknown data": {[]string{small, small, "-data", "t10"}, 2, []string{"t10k"}},
		"device": {[]string{small, small, "-device", "cdua"}, 2,
			[]string{"there are auto, cpu, cuda", "cuda"}},
		"no such model":   {[]string{small, "nonsense.onnx"}, 1, []string{"nonsense.onnx"}},
		"no model at all": {[]string{small, testModel("text.onnx")}, 1, []string{"text.onnx", "not a"}},
		"other classes": {[]string{small, testModel("five.onnx"), "-data", data}, 1,
			[]string{"5 classes"}},
		"precious sheet": {[]string{small, small, "-data", data, "-sheet", precious}, 1,
			[]string{"is no PNG"}},
		"unsupported": {[]string{testModel("nhwc.onnx"), "-data", data, "-runtimes",
			"onnxruntime,onnx-go"}, 1, []string{"onnx-go", "Transpose"}},
		"missing library": {[]string{small, small, "-data", data, "-library", "/nonexistent/lib.so"}, 1,
			[]string{"/nonexistent/lib.so", "make setup"}},
		"flags go between": {[]string{small, "-data", "t10", "--", small}, 2, []string{"t10k"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, append([]string{"compare"}, test.args...)...)
			if code != test.code || stdout != "" {
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

// TestCompareExperiments compares the two exported graphs, which have one
// structure and other weights, on the whole test set.
// correctAlone is how many right answers infer counts of a model by itself.
func correctAlone(t *testing.T, model string) float64 {
	t.Helper()
	code, stdout, stderr := runCommand(t, "-model", model, "-data", "t10k", "-json", "-device", "cpu")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return decoded(t, stdout)["correct"].(float64)
}

func TestCompareExperiments(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates 10,000 images in two models")
	}
	needLibrary(t)
	sheet := filepath.Join(t.TempDir(), "changed.png")
	code, stdout, stderr := runCommand(t, "compare", e1Graph, "../../../graphs/e2.onnx", "-json",
		"-sheet", sheet, "-device", "cpu")
	if code != 1 || !strings.Contains(stderr, "the answers disagree") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	a, b := d["a"].(map[string]any), d["b"].(map[string]any)
	correctA, correctB := correctAlone(t, e1Graph), correctAlone(t, "../../../graphs/e2.onnx")
	if a["correct"] != correctA || b["correct"] != correctB || d["images"] != 10000. ||
		d["agree"] != false {
		t.Errorf("%v, %v; alone they give %v and %v right answers", a, b, correctA, correctB)
	}
	changed := d["changed"].([]any)
	if len(changed) == 0 || float64(len(changed)) != d["labels_differ"] {
		t.Errorf("%d images are listed, %v labels differ", len(changed), d["labels_differ"])
	}
	// Where both are right the label did not change: the accuracies bound the changes.
	difference := 0.0
	for _, c := range changed {
		change := c.(map[string]any)
		if change["a"] == change["label"] {
			difference++
		}
		if change["b"] == change["label"] {
			difference--
		}
	}
	if difference != correctA-correctB {
		t.Errorf("the changed labels make a difference of %v right answers, want %v", difference,
			correctA-correctB)
	}
	counted := 0.0
	histogram := d["histogram"].(map[string]any)
	for _, bucket := range histogram["buckets"].([]any) {
		counted += bucket.(map[string]any)["count"].(float64)
	}
	if counted+histogram["equal"].(float64)+histogram["not_finite"].(float64) != 100000 {
		t.Errorf("the histogram counts %v", histogram)
	}
	bisection := d["bisection"].(map[string]any)
	if len(bisection["structure"].([]any)) != 0 || len(bisection["nodes"].([]any)) != 10 ||
		bisection["node"].(map[string]any)["name"] != "conv1" {
		t.Errorf("bisection %v", bisection)
	}
	file, err := os.ReadFile(sheet)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil || d["sheet"] != sheet || picture.Width < 10*56 ||
		picture.Height < len(changed)/10*56 {
		t.Errorf("sheet %v: %dx%d, %v", d["sheet"], picture.Width, picture.Height, err)
	}
}

// TestCompareRuntimes compares one model in two runtimes: within the tolerance
// they agree; below what rounding makes, the graph cut at each node shows where
// it begins.
func TestCompareRuntimes(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 100)
	sheet := filepath.Join(t.TempDir(), "none.png")
	code, stdout, stderr := runCommand(t, "compare", e1Graph, "-runtimes", "onnxruntime,onnx-go",
		"-data", data, "-sheet", sheet, "-device", "cpu")
	if code != 0 || !strings.Contains(stdout, "they agree") ||
		!strings.Contains(stdout, "no label changed") || strings.Contains(stdout, "arises") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(sheet); err == nil {
		t.Error("a sheet of nothing is drawn")
	}
	code, stdout, stderr = runCommand(t, "compare", "-tolerance", "1e-12", e1Graph, "-runtimes",
		"onnx-go,onnxruntime", "-data", data, "-device", "cpu")
	if code != 1 || !strings.Contains(stdout, `arises in Conv "conv1"`) ||
		!strings.Contains(stdout, "equal to the last bit") ||
		!strings.Contains(stdout, "nothing differs in the node itself") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestCompareWithNaN(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 10)
	code, stdout, stderr := runCommand(t, "compare", testModel("small.onnx"), testModel("nan.onnx"),
		"-data", data, "-json")
	if code != 1 || !strings.Contains(stderr, "NaN") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	changed := d["changed"].([]any)
	if d["max_abs_diff"] != nil || d["not_finite"] != 100. || len(changed) != 10 ||
		changed[0].(map[string]any)["b"] != nil {
		t.Errorf("%s", stdout)
	}
}
