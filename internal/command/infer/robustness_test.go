package infer

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/dataset/corrupt"
)

func TestRobustnessBadUse(t *testing.T) {
	needLibrary(t)
	small, data := testModel("small.onnx"), smallData(t, 20)
	empty := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", empty) // no optdigits
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no model":     {nil, 2, []string{"-model is missing"}},
		"an operand":   {[]string{small}, 2, []string{"unexpected argument"}},
		"unknown flag": {[]string{"-modle", small}, 2, []string{"unknown flag -modle", "model"}},
		"unknown corruption": {[]string{"-model", small, "-corruptions", "rotate,shfit"}, 2,
			[]string{"-corruptions", `did you mean "shift"?`}},
		"a strength": {[]string{"-model", small, "-corruptions", "rotate:3"}, 2,
			[]string{"all strengths", "rotate"}},
		"twice": {[]string{"-model", small, "-corruptions", "shift,shift"}, 2,
			[]string{"twice"}},
		"no corruption": {[]string{"-model", small, "-corruptions", ""}, 2,
			[]string{"unknown corruption"}},
		"seed of none": {[]string{"-model", small, "-corruptions", "none", "-seed", "1"}, 2,
			[]string{"-seed"}},
		"plot of none": {[]string{"-model", small, "-corruptions", "none", "-plot", "x.svg"}, 2,
			[]string{"-plot"}},
		"plot as PNG": {[]string{"-model", small, "-plot", "x.png"}, 2, []string{".svg"}},
		"unknown runtime": {[]string{"-model", small, "-runtime", "onnx-og"}, 2,
			[]string{"there are onnxruntime, native", "onnx-go"}},
		"unknown device": {[]string{"-model", small, "-device", "cdua"}, 2,
			[]string{"there are auto, cpu, cuda"}},
		"native on cuda": {[]string{"-model", small, "-runtime", "native", "-device", "cuda"}, 2,
			[]string{"-device cuda", "native"}},
		"native, a library": {[]string{"-model", small, "-runtime", "native", "-library", "x"}, 2,
			[]string{"-library", "native"}},
		"onnx-go one by one": {[]string{"-model", small, "-runtime", "onnx-go", "-batch", "1"}, 2,
			[]string{"-batch 1"}},
		"batch":        {[]string{"-model", small, "-batch", "0"}, 2, []string{"-batch 0"}},
		"threads":      {[]string{"-model", small, "-threads", "-1"}, 2, []string{"-threads -1"}},
		"data-dir":     {[]string{"-model", small, "-data-dir", "x"}, 2, []string{"-data train"}},
		"scale":        {[]string{"-model", small, "-scale"}, 2, []string{"it is -pixels 0-1 now"}},
		"unknown data": {[]string{"-model", small, "-data", "t10"}, 2, []string{"t10k"}},
		"unknown unseen": {[]string{"-model", small, "-data", data, "-unseen", "optdigit"}, 2,
			[]string{"-unseen", "optdigits"}},

		"unseen not there": {[]string{"-model", small, "-data", data, "-unseen", "optdigits"}, 1,
			[]string{"dataset fetch optdigits"}},
		"no such model": {[]string{"-model", small, "-model", "nonsense.onnx"}, 1,
			[]string{"nonsense.onnx"}},
		"wrong shape": {[]string{"-model", testModel("color32.onnx"), "-data", data}, 1,
			[]string{"1×28×28"}},
		"too few classes": {[]string{"-model", small, "-model", testModel("five.onnx"), "-data", data},
			1, []string{"5 classes"}},
		"missing library": {[]string{"-model", small, "-data", data, "-library", "/nonexistent/lib.so"},
			1, []string{"/nonexistent/lib.so"}},
		"no folder": {[]string{"-model", small, "-data", data, "-corruptions", "scale", "-csv",
			"/nonexistent/x.csv"}, 1, []string{"/nonexistent"}},
		"no folder either": {[]string{"-model", small, "-data", data, "-corruptions", "scale", "-plot",
			"/nonexistent/x.svg"}, 1, []string{"-plot", "/nonexistent"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, append([]string{"robustness"}, test.args...)...)
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

// TestRobustnessTellsOneStory compares what JSON, CSV, text and plot say, and what
// infer -corrupt counts by itself.
func TestRobustnessTellsOneStory(t *testing.T) {
	needLibrary(t)
	folder, data, other := t.TempDir(), smallData(t, 60), smallData(t, 30)
	small, softmax := testModel("small.onnx"), testModel("softmax.onnx")
	table, plot := filepath.Join(folder, "r.csv"), filepath.Join(folder, "r.svg")
	args := []string{"robustness", "-model", small, "-model", softmax, "-data", data, "-unseen", other,
		"-corruptions", "rotate,impulse-noise", "-seed", "5", "-device", "cpu", "-csv", table, "-plot",
		plot}
	code, stdout, stderr := runCommand(t, append(args, "-json")...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	models := d["models"].([]any)
	if d["images"] != 60. || d["seed"] != 5. || len(models) != 2 || len(d["notes"].([]any)) != 0 {
		t.Fatalf("%s", stdout)
	}
	first := models[0].(map[string]any)
	rotate := first["corruptions"].([]any)[0].(map[string]any)
	strengths := rotate["strengths"].([]any)
	if rotate["name"] != "rotate" || len(strengths) != corrupt.Strengths || first["model"] != small ||
		first["runtime"] != "onnxruntime" {
		t.Fatalf("%v", first)
	}
	third := strengths[2].(map[string]any)
	if c := third["mean_confidence"].(float64); !(c > 0.1 && c <= 1) {
		t.Errorf("a confidence of %g", c)
	}
	if unseen := first["unseen"].([]any)[0].(map[string]any); unseen["data"] != other ||
		unseen["images"] != 30. {
		t.Errorf("%v", unseen)
	}

	code, stdout, stderr = runCommand(t, "-model", small, "-data", data, "-corrupt", "rotate:3",
		"-corrupt-seed", "5", "-device", "cpu", "-json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	alone := decoded(t, stdout)
	if alone["accuracy"] != third["accuracy"] || !strings.HasSuffix(alone["data"].(string),
		"+rotate:3") {
		t.Errorf("infer -corrupt: %v of %v; robustness: %v", alone["accuracy"], alone["data"],
			third["accuracy"])
	}
	if c := alone["corruption"].(map[string]any); c["name"] != "rotate" || c["strength"] != 3. ||
		c["seed"] != 5. {
		t.Errorf("the corruption is %v", c)
	}

	file, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+2*(1+2*corrupt.Strengths+1) {
		t.Fatalf("%d rows", len(rows))
	}
	if row := rows[4]; row[0] != small || row[2] != "rotate" || row[3] != "3" ||
		number(t, row[5]) != third["accuracy"] || number(t, row[6]) != third["mean_confidence"] {
		t.Errorf("%v, JSON has %v", row, third)
	}
	svg, err := os.ReadFile(plot)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "rotate", "impulse-noise", "mean of all", "small",
		"softmax"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the plot has no %q", want)
		}
	}

	code, stdout, _ = runCommand(t, args...)
	accuracy := strconv.FormatFloat(100*third["accuracy"].(float64), 'f', 2, 64)
	for _, want := range []string{"model A  " + small, "model B  " + softmax, "impulse-noise",
		"mean accuracy in %", "over 99", accuracy} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, stdout)
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestRobustnessWithoutCorruptions(t *testing.T) {
	data, other := smallData(t, 30), smallData(t, 10)
	model := withoutLibrary(t)
	code, stdout, stderr := runCommand(t, "robustness", "-model", model, "-data", data, "-corruptions",
		"none", "-unseen", other, "-json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	first := d["models"].([]any)[0].(map[string]any)
	if len(first["corruptions"].([]any)) != 0 || first["mean"] != nil ||
		first["clean"].(map[string]any)["images"] != 30. {
		t.Errorf("%s", stdout)
	}
	const said = "the native runtime is used instead of onnxruntime"
	if first["runtime"] != "native" || !strings.Contains(stderr, said) ||
		!strings.Contains(d["notes"].([]any)[0].(string), said) {
		t.Errorf("%s on %s", stdout, stderr)
	}
}
