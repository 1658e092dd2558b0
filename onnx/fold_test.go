package onnx_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// TestFoldNormalization: what may be folded is, what may not stays as it is, and the given model is
// not changed.
func TestFoldNormalization(t *testing.T) {
	operators := func(m *onnx.Model) (all []string) {
		for _, node := range m.Proto.GetGraph().GetNode() {
			all = append(all, node.GetOpType())
		}
		return all
	}
	graph := func() *graphmaker.Graph {
		return graphmaker.New(graphmaker.Free, 3, 6, 5).Weight("w", -1, 1, 4, 3, 3, 3).
			Weight("b", -1, 1, 4).Weight("s", -2, 2, 4).Weight("t", -1, 1, 4).
			Weight("m", -1, 1, 4).Weight("v", 0.01, 2, 4)
	}
	for name, test := range map[string]struct {
		graph *graphmaker.Graph
		want  []string
	}{
		"with a bias": {graph().Node("c = Conv x w b").Node("y = BatchNormalization c s t m v"),
			[]string{"Conv"}},
		"without": {graph().Node("c = Conv x w").Node("y = BatchNormalization c s t m v"),
			[]string{"Conv"}},
		"used beside": {graph().Node("c = Conv x w b").Node("n = BatchNormalization c s t m v").
			Node("y = Add n c"), []string{"Conv", "BatchNormalization", "Add"}},
		"no Conv": {graphmaker.New(graphmaker.Free, 4, 6, 5).Weight("s", -2, 2, 4).
			Weight("t", -1, 1, 4).Weight("m", -1, 1, 4).Weight("v", 0.01, 2, 4).
			Node("y = BatchNormalization x s t m v"), []string{"BatchNormalization"}},
		"a computed scale": {graph().Node("p = Neg s").Node("c = Conv x w b").
			Node("y = BatchNormalization c p t m v"), []string{"Neg", "Conv", "BatchNormalization"}},
		"of each place": {graph().Node("c = Conv x w b").
			Node("y = BatchNormalization c s t m v", graphmaker.Int("spatial", 1)), []string{"Conv"}},
		"of all places": {graph().Node("c = Conv x w b").
			Node("y = BatchNormalization c s t m v", graphmaker.Int("spatial", 0)), []string{"Conv",
			"BatchNormalization"}},
		"a weight of a matrix": {graph().Weight("p", -1, 1, 4, 3).Node("c = Conv x p b").
			Node("y = BatchNormalization c s t m v"), []string{"Conv", "BatchNormalization"}},
		"one map": {graphmaker.New(graphmaker.Free, 3, 6, 5).Weight("w", -1, 1, 1, 3, 3, 3).
			Weight("s", 1, 2, 1).Weight("v", 0.5, 2, 1).Node("c = Conv x w").
			Node("y = BatchNormalization c s s s v"), []string{"Conv"}},
		"in training mode": {graph().Node("c = Conv x w b").
			Node("y = BatchNormalization c s t m v", graphmaker.Int("training_mode", 1)), []string{"Conv",
			"BatchNormalization"}},
		"a weight used twice": {graph().Node("c = Conv x w b").Node("n = BatchNormalization c s t m v").
			Node("d = Conv x w b").Node("y = Add n d"), []string{"Conv", "Conv", "Add"}},
	} {
		m := test.graph.Model()
		before := proto.CloneOf(m.Proto)
		folded, err := onnx.FoldNormalization(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := operators(folded); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
		if !proto.Equal(before, m.Proto) {
			t.Errorf("%s: the model itself was changed", name)
		}
	}
	folded, err := onnx.FoldNormalization(networktest.Model(t, networktest.ResNet20(t, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(operators(folded), "BatchNormalization") {
		t.Error("ResNet-20 keeps a BatchNormalization")
	}
	// 21 convolutions with weight and bias, and a dense layer: nothing is left behind.
	if n := len(folded.Proto.GetGraph().GetInitializer()); n != 44 {
		t.Errorf("%d initializers, want 44", n)
	}
}
