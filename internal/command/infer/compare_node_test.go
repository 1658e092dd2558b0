package infer

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// changedE1 writes E1's graph with a change and returns its path.
func changedE1(t *testing.T, edit func(graph *onnxpb.GraphProto)) string {
	t.Helper()
	model, err := onnx.Read(e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	edit(model.Proto.Graph)
	path := filepath.Join(t.TempDir(), "changed.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompareNamesAnExchangedOperator(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 100)
	leaky := changedE1(t, func(graph *onnxpb.GraphProto) {
		graph.Node[4].OpType = proto.String("LeakyRelu")
	})
	code, stdout, stderr := runCommand(t, "compare", e1Graph, leaky, "-data", data, "-device", "cpu")
	for _, want := range []string{`the difference arises in Relu "relu2" (node 4)`,
		"operator: Relu in A, LeakyRelu in B", "its inputs are equal to the last bit"} {
		if code != 1 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	_, stdout, _ = runCommand(t, "compare", leaky, e1Graph, "-data", data, "-device", "cpu", "-json")
	node := decoded(t, stdout)["bisection"].(map[string]any)["node"].(map[string]any)
	if node["name"] != "relu2" || node["operator"] != "LeakyRelu" || node["inputs_equal"] != true ||
		len(node["inputs_not_compared"].([]any)) != 0 {
		t.Errorf("node %v", node)
	}
}

func TestCompareNamesANodeInOneGraphAlone(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 100)
	without := changedE1(t, func(graph *onnxpb.GraphProto) {
		graph.Node[5].Input[0] = graph.Node[4].Input[0] // pool2 takes what relu2 took
		graph.Node = append(graph.Node[:4:4], graph.Node[5:]...)
	})
	for _, test := range []struct{ a, b, where, says string }{
		{e1Graph, without, "node 4 of A; B has no such node", "it is in A alone"},
		{without, e1Graph, "node 4 of B; A has no such node", "it is in B alone"},
	} {
		_, stdout, stderr := runCommand(t, "compare", test.a, test.b, "-data", data, "-device", "cpu")
		for _, want := range []string{`arises in Relu "relu2" (` + test.where + ")", test.says,
			`set against "conv2.output"`, "its inputs are equal to the last bit"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %q in\n%s%s", want, stdout, stderr)
			}
		}
	}
	_, stdout, _ := runCommand(t, "compare", without, e1Graph, "-data", data, "-device", "cpu",
		"-json")
	node := decoded(t, stdout)["bisection"].(map[string]any)["node"].(map[string]any)
	if node["index_a"] != nil || node["index_b"] != 4. || node["against"] != "conv2.output" {
		t.Errorf("node %v", node)
	}
}

// TestCompareSaysWhatWasNotCompared hides the fault in a value that is not shown.
func TestCompareSaysWhatWasNotCompared(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 50)
	through := func(factor float64) string {
		return changedE1(t, func(graph *onnxpb.GraphProto) {
			cast := func(name, input, output string, to onnxpb.TensorProto_DataType) *onnxpb.NodeProto {
				return &onnxpb.NodeProto{OpType: proto.String("Cast"), Name: proto.String(name),
					Input: []string{input}, Output: []string{output},
					Attribute: []*onnxpb.AttributeProto{{Name: proto.String("to"),
						Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(to))}}}
			}
			graph.Initializer = append(graph.Initializer, &onnxpb.TensorProto{Name: proto.String("factor"),
				DataType: proto.Int32(int32(onnxpb.TensorProto_DOUBLE)), DoubleData: []float64{factor}})
			last := len(graph.Node) - 1
			graph.Node[last].Output[0] = "scores"
			graph.Node = append(graph.Node,
				cast("widen", "scores", "wide", onnxpb.TensorProto_DOUBLE),
				&onnxpb.NodeProto{OpType: proto.String("Mul"), Name: proto.String("scale"),
					Input: []string{"wide", "factor"}, Output: []string{"scaled"}},
				cast("narrow", "scaled", "logits", onnxpb.TensorProto_FLOAT))
		})
	}
	a, b := through(1), through(1.25)
	_, stdout, stderr := runCommand(t, "compare", a, b, "-data", data, "-device", "cpu")
	if strings.Contains(stdout, "equal to the last bit") ||
		!strings.Contains(stdout, `not compared: input 0 "scaled"`) ||
		!strings.Contains(stdout, "it may be one of them") {
		t.Errorf("%s%s", stdout, stderr)
	}
	_, stdout, _ = runCommand(t, "compare", a, b, "-data", data, "-device", "cpu", "-json")
	node := decoded(t, stdout)["bisection"].(map[string]any)["node"].(map[string]any)
	if node["name"] != "narrow" || node["inputs_equal"] != false || node["inputs_agree"] != false ||
		len(node["inputs_not_compared"].([]any)) != 1 {
		t.Errorf("node %v", node)
	}
}
