package infer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/infer"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
)

// writeModel writes a model, valid or not, to a folder of its own.
func writeModel(t *testing.T, model *onnx.Model) string {
	t.Helper()
	encoded, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "foreign.onnx")
	if err := os.WriteFile(path, encoded, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeSet writes images of C×H×W and their labels as IDX, and returns the images' file.
func writeSet(t *testing.T, shape []int, images, labels []byte) string {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "some-images-idx4-ubyte")
	for name, x := range map[string]*dataset.IDX{
		path: {Type: dataset.Uint8, Shape: append([]int{len(labels)}, shape...), Data: images},
		filepath.Join(folder, "some-labels-idx1-ubyte"): {Type: dataset.Uint8, Shape: []int{len(labels)},
			Data: labels},
	} {
		var b bytes.Buffer
		if err := dataset.WriteIDX(&b, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// colourSet is images of 3×2×2 whose label is the channel that is brightest.
func colourSet(t *testing.T) string {
	t.Helper()
	var images, labels []byte
	for label := range byte(3) {
		for c := range byte(3) {
			value := byte(40)
			if c == label {
				value = 90
			}
			images = append(images, value, value, value, value)
		}
		labels = append(labels, label)
	}
	return writeSet(t, []int{3, 2, 2}, images, labels)
}

// brightestChannel answers with the channel whose mean is largest.
func brightestChannel(t *testing.T) string {
	t.Helper()
	return writeModel(t, g.New(g.Free, 3, 2, 2).Node("p = GlobalAveragePool x").Node("y = Flatten p").
		Model())
}

func TestChannelsHaveTheirOrderAndTheirMeans(t *testing.T) {
	needLibrary(t)
	model, data := brightestChannel(t), colourSet(t)
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"as they are", nil, []string{"Accuracy = 100.00 %", "fed as x\n"}},
		{"blue first", []string{"-channels", "bgr"},
			[]string{"Accuracy = 33.33 %", "fed as x, blue first"}},
		{"red far below its mean", []string{"-pixels", "mean=0.9,0.1,0.1,std=1"},
			[]string{"Accuracy = 66.67 %", "fed as (x/255-(0.9,0.1,0.1))/(1,1,1)"}},
		{"blue far below its mean, fed first", []string{"-channels", "bgr", "-pixels",
			"mean=0.9,0.1,0.1,std=1"}, []string{"/(1,1,1), blue first"}},
	} {
		for _, runtime := range []string{"onnxruntime", "native"} {
			code, stdout, stderr := runCommand(t,
				append([]string{"-model", model, "-data", data, "-runtime", runtime}, test.args...)...)
			if code != 0 {
				t.Fatalf("%s: exit %d: %s", test.name, code, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%s, %s: no %q in\n%s", test.name, runtime, want, stdout)
				}
			}
		}
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"four numbers for three channels", []string{"-model", model, "-data", data, "-pixels",
			"mean=0,0,std=1,1"}, 1, "which is of 2 channels; the images have 3"},
		{"three numbers", []string{"-model", model, "-data", data, "-pixels", "0,0,1"}, 2,
			"mean=…,std=…"},
		{"no number", []string{"-model", model, "-data", data, "-pixels", "0,x"}, 2, "MEAN,STD"},
		{"blue first of grey images", []string{"-model", testModel("small.onnx"), "-data",
			smallData(t, 4), "-channels", "bgr"}, 1, "an order of 3 channels; the images have 1"},
		{"another order", []string{"-model", model, "-data", data, "-channels", "gbr"}, 2,
			"there are rgb, bgr"},
	} {
		if code, _, stderr := runCommand(t, test.args...); code != test.code ||
			!strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit %d, want %d: %s", test.name, code, test.code, stderr)
		}
	}
}

// What was sorted is told once, whoever runs the model, and the answers are those of
// the sorted file.
func TestUnsortedModelIsRunWithANote(t *testing.T) {
	needLibrary(t)
	model, err := infer.LoadModel(e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	unsorted := &onnx.Model{Proto: proto.CloneOf(model.Proto)}
	slices.Reverse(unsorted.Proto.Graph.Node)
	path, data := writeModel(t, unsorted), smallData(t, 100)
	code, stdout, stderr := runCommand(t, "-model", path, "-data", data, "-cross-validate")
	if code != 0 || strings.Count(stdout, "they were sorted") != 1 {
		t.Errorf("exit %d: %s\n%s", code, stderr, stdout)
	}
	for _, runtime := range infer.RuntimeNames() {
		if !strings.Contains(stdout, runtime) {
			t.Errorf("%s did not run:\n%s", runtime, stdout)
		}
	}
	code, stdout, stderr = runCommand(t, "compare", e1Graph, path, "-data", data)
	if code != 0 || !strings.Contains(stdout, "they were sorted") {
		t.Errorf("exit %d: %s\n%s", code, stderr, stdout)
	}
}

// The accuracy is printed where nothing else can run the model, and that nothing was
// compared is no agreement.
func TestCrossValidateAlone(t *testing.T) {
	needLibrary(t)
	// Det is an operator that onnxruntime alone has.
	path := writeModel(t, g.New(g.Free, 3, 2, 2).Node("d = Det x").Node("y = Flatten d").Model())
	code, stdout, stderr := runCommand(t, "-model", path, "-data", colourSet(t), "-cross-validate")
	if code != 1 || !strings.Contains(stdout, "Accuracy = ") ||
		!strings.Contains(stdout, "not compared: ") ||
		!strings.Contains(stderr, "nothing to compare with") {
		t.Errorf("exit %d: %s\n%s", code, stderr, stdout)
	}
	if code, stdout, _ = runCommand(t, "-model", path, "-data", colourSet(t), "-cross-validate",
		"-json"); code != 1 ||
		!strings.Contains(stdout, `"agree": false`) || !strings.Contains(stdout, `"accuracy": `) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// One score an image is two classes, told how, in every runtime alike.
func TestSingleScoreOnTheCommandLine(t *testing.T) {
	needLibrary(t)
	images, labels := []byte{0, 10, 200, 250, 20, 220}, []byte{0, 0, 1, 1, 0, 1}
	data := writeSet(t, []int{1, 1, 1}, images, labels)
	graph := func() *g.Graph {
		return g.New(g.Free, 1, 1, 1).Node("f = Flatten x").Weight("half", 0.5, 0.5, 1).
			Node("z = Sub f half")
	}
	for want, model := range map[string]*onnx.Model{"as the logit of class 1": graph().
		Model(), "as the probability of class 1": graph().Node("p = Sigmoid z").Model()} {
		code, stdout, stderr := runCommand(t, "-model", writeModel(t, model), "-data", data, "-pixels",
			"0-1", "-cross-validate")
		if code != 0 || !strings.Contains(stdout, "Accuracy = 100.00 %") ||
			!strings.Contains(stdout, want) || !strings.Contains(stdout, "agrees") {
			t.Errorf("exit %d: %s\n%s", code, stderr, stdout)
		}
	}
}
