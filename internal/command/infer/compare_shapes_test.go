package infer

import (
	"strings"
	"testing"

	g "slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// colourNetwork tells images of 3×10×6 into 27 classes, fed N×C×H×W or N×H×W×C.
func colourNetwork(channelsLast bool, edit func(graph *onnxpb.GraphProto)) *onnx.Model {
	graph := g.New(g.Free, 3, 10, 6).Node("t = Identity x")
	if channelsLast {
		graph = g.New(g.Free, 10, 6, 3).Node("t = Transpose x", g.Ints("perm", 0, 3, 1, 2))
	}
	graph.Weight("w", -0.2, 0.2, 8, 3, 3, 3).Weight("b", -1, 1, 8).Node("c = Conv t w b").
		Node("r = Relu c").Node("f = Flatten r")
	graph.Weight("dense", -0.1, 0.1, 27, 256).Weight("dense.b", -1, 1, 27).
		Node("y = Gemm f dense dense.b", g.Int("transB", 1))
	model := graph.Model()
	edit(model.Proto.Graph)
	return model
}

// TestCompareOtherShapes compares models of colour images and many classes, one of
// them fed channels last.
func TestCompareOtherShapes(t *testing.T) {
	needLibrary(t)
	var images, labels []byte
	for i := range 54 {
		labels = append(labels, byte(i%27))
		for k := range 3 * 10 * 6 {
			images = append(images, byte(i*31+k*k*7))
		}
	}
	data := writeSet(t, []int{3, 10, 6}, images, labels)
	same := func(*onnxpb.GraphProto) {}
	leaky := func(graph *onnxpb.GraphProto) {
		for _, node := range graph.Node {
			if node.GetOpType() == "Relu" {
				*node.OpType = "LeakyRelu"
			}
		}
	}
	first, last := writeModel(t, colourNetwork(false, same)), writeModel(t, colourNetwork(true, same))
	wrong := writeModel(t, colourNetwork(true, leaky))
	for _, runtimes := range []string{"onnxruntime", "native", "onnxruntime,native"} {
		code, stdout, stderr := runCommand(t, "compare", first, last, "-runtimes", runtimes, "-data",
			data, "-device", "cpu")
		if code != 0 || !strings.Contains(stdout, "they agree") ||
			!strings.Contains(stdout, "54 images 3×10×6") {
			t.Errorf("%s: exit %d\n%s%s", runtimes, code, stdout, stderr)
		}
		for _, order := range [][2]string{{first, wrong}, {wrong, first}} {
			code, stdout, _ = runCommand(t, "compare", order[0], order[1], "-runtimes", runtimes, "-data",
				data, "-device", "cpu", "-json")
			d := decoded(t, stdout)
			node, ok := d["bisection"].(map[string]any)["node"].(map[string]any)
			if code != 1 || !ok || node["name"] != "the_r" || node["inputs_agree"] != true ||
				d["worst_class"].(float64) > 26 {
				t.Errorf("%s: exit %d, node %v", runtimes, code, node)
			}
		}
	}
	code, stdout, stderr := runCommand(t, "-model", last, "-data", data, "-cross-validate", "-device",
		"cpu")
	if code != 0 || !strings.Contains(stdout, "of 54 ") || strings.Contains(stdout, "DISAGREES") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	// A node before the first one: its input, the images, is equal.
	turned := writeModel(t, colourNetwork(true, insertFlip))
	_, stdout, stderr = runCommand(t, "compare", last, turned, "-data", data, "-device", "cpu")
	if !strings.Contains(stdout, `arises in Neg "flip"`) ||
		!strings.Contains(stdout, "its inputs are equal to the last bit") {
		t.Errorf("%s%s", stdout, stderr)
	}
}

// insertFlip negates the images before the first node.
func insertFlip(graph *onnxpb.GraphProto) {
	name, operator := "flip", "Neg"
	graph.Node[0].Input[0] = "flipped"
	graph.Node = append([]*onnxpb.NodeProto{{Name: &name, OpType: &operator, Input: []string{"x"},
		Output: []string{"flipped"}}}, graph.Node...)
}
