package infer

import (
	"slices"
	"strings"
	"testing"

	"slipway/infer/port"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A node that onnx-go would compute otherwise than its attributes and weights say is refused.
func TestNodesForONNXGo(t *testing.T) {
	weights := map[string][]int64{
		"w": {4, 1, 3, 3}, "line": {4, 1, 3}, "m": {4, 4}, "b": {4}, "row": {1, 4},
	}
	for _, test := range []struct {
		node       string
		attributes []*onnxpb.AttributeProto
		change     func(*onnxpb.NodeProto)
		want       string
	}{
		{node: "y = Conv x w"},
		{node: "y = Conv x w", attributes: []*onnxpb.AttributeProto{g.Text("auto_pad", "VALID")}},
		{node: "y = Conv x w", attributes: []*onnxpb.AttributeProto{g.Text("auto_pad",
			"SAME_UPPER")}, want: "auto_pad"},
		{node: "y = Conv x w", attributes: []*onnxpb.AttributeProto{g.Int("group", 2)},
			want: "group"},
		{node: "y = Conv x line", want: "kernel_shape is missing"},
		{node: "y = Conv x made", want: "kernel_shape is missing"},
		{node: "y = Gemm x m b"},
		{node: "y = Gemm x m", want: "without a bias"},
		{node: "y = Gemm x m b", change: func(n *onnxpb.NodeProto) { n.Input[2] = "" },
			want: "without a bias"},
		{node: "y = Gemm x m row", want: "the bias is no vector"},
		{node: "y = Gemm x m made", want: "the bias is no vector"},
		{node: "y = Relu x",
			change: func(n *onnxpb.NodeProto) { n.Domain = new(string); *n.Domain = "ai.onnx" }},
		{node: "y = Relu x",
			change: func(n *onnxpb.NodeProto) { n.Domain = new(string); *n.Domain = "mine" },
			want:   `domain "mine"`},
		{node: "y = Relu x", change: func(n *onnxpb.NodeProto) { n.Output = append(n.Output, "") }},
		{node: "y = Relu x", change: func(n *onnxpb.NodeProto) {
			n.Output = append(n.Output,
				"z")
		}, want: "second output"},
	} {
		node := g.New(g.Free, 4).Node(test.node, test.attributes...).Model().Proto.Graph.Node[0]
		if test.change != nil {
			test.change(node)
		}
		err := adaptNode(node, weights)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(),
			test.want) {
			t.Errorf("%v: %v, want %q", node, err, test.want)
		}
	}
}

// A batch of two, which onnx-go computes rightly, stays.
func TestBatchForONNXGo(t *testing.T) {
	for fixed, want := range map[int64]int{g.Free: 8, 1: 8, 2: 2, 3: 3} {
		model := g.New(fixed, 4).Dense("x", 4).Model()
		p, err := port.Find(model, "")
		if err != nil {
			t.Fatal(err)
		}
		_, input, err := onnxGoModel(model, p, 8)
		if err != nil || !slices.Equal(input, []int{want, 4}) {
			t.Errorf("fixed at %d it is %v (%v), want %d", fixed, input, err, want)
		}
	}
}

// A value of which inference knows no shape, or that is a number, is shown as the answer has it.
func TestShapeOfATracedValue(t *testing.T) {
	for _, value := range []onnx.Value{{}, {HasShape: true}} {
		if got := shapeOf(value, Logits{N: 2, K: 3}); !slices.Equal(got, []int{2, 3}) {
			t.Errorf("%+v: %v", value, got)
		}
	}
}
