package infer

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// loudE1 is E1's graph with logits eight times as large, as of a network that is
// sure of itself, and an operator at its end: what rounding does to the logits is
// beyond the tolerance in the probabilities of images between two classes.
func loudE1(t *testing.T, operator string, more ...func(graph *onnxpb.GraphProto)) string {
	t.Helper()
	return changedE1(t, func(graph *onnxpb.GraphProto) {
		for i, tensor := range graph.Initializer {
			if !strings.HasPrefix(tensor.GetName(), "fc2.") {
				continue
			}
			values, err := onnx.Floats(tensor)
			if err != nil {
				t.Fatal(err)
			}
			for k := range values {
				values[k] *= 8
			}
			if graph.Initializer[i], err = onnx.FloatTensor(tensor.GetName(), tensor.Dims,
				values); err != nil {
				t.Fatal(err)
			}
		}
		if operator != "" {
			graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String(operator),
				Name: proto.String("last"), Input: []string{"logits"}, Output: []string{"scores"}})
			graph.Output[0].Name = proto.String("scores")
		}
		for _, edit := range more {
			edit(graph)
		}
	})
}

func TestCrossValidateBeforeSoftmax(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 300)
	for _, operator := range []string{"Softmax", "LogSoftmax", "Sigmoid"} {
		model := loudE1(t, operator)
		code, stdout, stderr := runCommand(t, "-model", model, "-data", data, "-cross-validate",
			"-device", "cpu")
		if code != 0 || strings.Contains(stdout, "DISAGREES") ||
			!strings.Contains(stdout, `compared are the logits before `+operator+` "last"`) {
			t.Errorf("%s: exit %d\n%s%s", operator, code, stdout, stderr)
		}
	}
	// The labels and the accuracy are those of the output, and all is in the JSON, too.
	code, stdout, stderr := runCommand(t, "-model", loudE1(t, "Softmax"), "-data", data,
		"-cross-validate", "-device", "cpu", "-json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d := decoded(t, stdout)
	_, stdout, _ = runCommand(t, "-model", e1Graph, "-data", data, "-device", "cpu", "-json")
	if want := decoded(t, stdout)["correct"]; d["correct"] != want {
		t.Errorf("%v right answers, %v without the Softmax", d["correct"], want)
	}
	other := d["compared"].([]any)[0].(map[string]any)
	if other["of"] != `logits before Softmax "last"` || other["tolerance_from"] != "the default" ||
		other["scores_rel_diff"].(float64) > 1e-5 || other["labels_differ"] != 0. {
		t.Errorf("%v", other)
	}
}

func TestCompareBeforeSoftmax(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 300)
	one := loudE1(t, "Softmax")
	code, stdout, stderr := runCommand(t, "compare", one, "-runtimes", "native,onnxruntime", "-data",
		data, "-device", "cpu")
	if code != 0 || !strings.Contains(stdout, "they agree") ||
		!strings.Contains(stdout, `compared are the logits before Softmax "last"`) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	// A Softmax over the images instead of the classes lies behind equal logits.
	over := loudE1(t, "Softmax", func(graph *onnxpb.GraphProto) {
		last := graph.Node[len(graph.Node)-1]
		last.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("axis"),
			Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(0)}}
	})
	code, stdout, stderr = runCommand(t, "compare", one, over, "-data", data, "-device", "cpu")
	if code != 1 || !strings.Contains(stderr, "the logits agree, but not what Softmax") ||
		!strings.Contains(stdout, `arises in Softmax "last"`) ||
		!strings.Contains(stdout, "attribute axis") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	// A model without the Softmax says something else, and is compared as it is.
	code, stdout, stderr = runCommand(t, "compare", one, loudE1(t, ""), "-data", data, "-device",
		"cpu")
	if code != 1 ||
		!strings.Contains(stdout,
			`A ends in Softmax "last", B in nothing: their outputs are compared as they are`) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// TestCompareTolerance has logits that differ by 5e-5 of their range, which must
// differ, and by 5e-6, which must not: whatever loosens the tolerance tenfold is told here.
func TestCompareTolerance(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 200)
	_, stdout, _ := runCommand(t, "compare", e1Graph, "-runtimes", "onnxruntime,native", "-data", data,
		"-device", "cpu", "-json")
	logitsRange := decoded(t, stdout)["range"].(float64)
	for _, test := range []struct {
		fraction float64
		code     int
		verdict  string
	}{{5e-6, 0, "agrees"}, {5e-5, 1, "DISAGREES"}} {
		moved := changedE1(t, func(graph *onnxpb.GraphProto) {
			moveBias(t, graph, float32(test.fraction*logitsRange))
		})
		for _, runtimes := range []string{"onnxruntime", "native", "onnxruntime,native"} {
			code, stdout, stderr := runCommand(t, "compare", e1Graph, moved, "-runtimes", runtimes, "-data",
				data, "-device", "cpu", "-bisect=false")
			if code != test.code {
				t.Errorf("%g of the range in %s: exit %d, want %d\n%s%s", test.fraction, runtimes, code,
					test.code, stdout, stderr)
			}
		}
	}
}

// moveBias moves all logits of class 3.
func moveBias(t *testing.T, graph *onnxpb.GraphProto, by float32) {
	t.Helper()
	for i, tensor := range graph.Initializer {
		if tensor.GetName() != "fc2.bias" {
			continue
		}
		values, err := onnx.Floats(tensor)
		if err != nil {
			t.Fatal(err)
		}
		values[3] += by
		if graph.Initializer[i], err = onnx.FloatTensor("fc2.bias", tensor.Dims, values); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("there is no fc2.bias")
}

// TestToleranceGivenIsTaken measures nothing where the user says what may be.
func TestToleranceGivenIsTaken(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 50)
	code, stdout, _ := runCommand(t, "compare", e1Graph, "-runtimes", "onnxruntime,native", "-data",
		data, "-device", "cpu", "-tolerance", "1e-12", "-json")
	d := decoded(t, stdout)
	if code != 1 || d["tolerance"] != 1e-12 || d["tolerance_from"] != "given" || d["of"] != "logits" {
		t.Errorf("exit %d, tolerance %v (%v)", code, d["tolerance"], d["tolerance_from"])
	}
	code, stdout, _ = runCommand(t, "-model", e1Graph, "-data", data, "-cross-validate", "-device",
		"cpu", "-tolerance", "1e-12", "-json")
	if other := decoded(t, stdout)["compared"].([]any)[0].(map[string]any); code != 1 ||
		other["tolerance"] != 1e-12 || other["tolerance_from"] != "given" {
		t.Errorf("exit %d: %v", code, other)
	}
}
