package onnx_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/onnx"
)

// What a chain of the builder's layers does not compute is refused, and the error
// says which node, which operator and what of it.
func TestToNetworkRefuses(t *testing.T) {
	const free = graphmaker.Free
	image := func() *graphmaker.Graph { return graphmaker.New(free, 2, 6, 6).Weight("w", -1, 1, 4, 2, 3, 3) }
	features := func() *graphmaker.Graph { return graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4) }
	pool := graphmaker.Ints("kernel_shape", 2, 2)
	for _, test := range []struct {
		name  string
		graph *graphmaker.Graph
		want  string
	}{
		{"operator", features().Node("y = Sigmoid x"), `node 0 (Sigmoid "the_y"): a network has no layer for the operator Sigmoid`},
		{"end of a classifier", features().Node("y = LogSoftmax x"), `node 0 (LogSoftmax "the_y"): a network has no layer for the operator LogSoftmax; name its input "x" as the output`},
		{"mean of a row", image().Node("y = ReduceMean x", graphmaker.Ints("axes", 3)), `node 0 (ReduceMean "the_y"): it takes the mean over axes [3] of 4; a network takes it over a whole map`},
		{"mean of all", image().Node("y = ReduceMean x"), `(ReduceMean "the_y"): it takes the mean over axes [] of 4`},
		{"mean of features", features().Node("y = ReduceMean x", graphmaker.Ints("axes", 1)), `over axes [1] of 2`},
		{"mean of channels", image().Node("a = Conv x w").Node("y = ReduceMean a", graphmaker.Ints("axes", 1, 2)), `of data that are not channels last`},
		{"dilations", image().Node("y = Conv x w", graphmaker.Ints("dilations", 2, 2)), `node 0 (Conv "the_y"): dilations is [2 2]`},
		{"group", graphmaker.New(free, 4, 6, 6).Weight("w", -1, 1, 4, 1, 3, 3).Node("y = Conv x w", graphmaker.Int("group", 4)), `node 0 (Conv "the_y"): group is 4; Conv2D has one group, and a weight with zeros for the others would be trained away: infer evaluates`},
		{"one dimension", graphmaker.New(free, 2, 6).Weight("w", -1, 1, 4, 2, 3).Node("y = Conv x w"), `its input 0 is 2×6 for each image; C×H×W is needed`},
		{"computed weight", graphmaker.New(free, 2, 3, 3).Node("y = Conv x x"), `its input 1, "x", is computed from the model's input`},
		{"pads", image().Node("y = Conv x w", graphmaker.Ints("pads", 0, 0, 1, 1)), `(Conv "the_y"): pads is [0 0 1 1]; a network pads both sides alike`},
		{"auto_pad", image().Node("y = Conv x w", graphmaker.Text("auto_pad", "SAME_UPPER"), graphmaker.Ints("strides", 2, 2)), `auto_pad is SAME_UPPER, which pads 0 before and 1 after`},
		{"ceil_mode", image().Node("y = MaxPool x", pool, graphmaker.Ints("strides", 3, 3), graphmaker.Int("ceil_mode", 1)), `(MaxPool "the_y"): ceil_mode is 1`},
		{"count_include_pad", image().Node("y = AveragePool x", pool, graphmaker.Ints("pads", 1, 1, 1, 1)), `count_include_pad is 0 with padding`},
		{"padding of a pooling", image().Node("y = MaxPool x", graphmaker.Ints("kernel_shape", 3, 3), graphmaker.Ints("pads", 2, 2, 2, 2)), `more than half the kernel`},
		{"transA", graphmaker.New(free, 6).Weight("w", -1, 1, 3, 4).Node("y = Gemm x w", graphmaker.Int("transA", 1)), `(Gemm "the_y"): transA is 1`},
		{"bias of each image", graphmaker.New(3, 6).Weight("w", -1, 1, 6, 4).Weight("b", -1, 1, 3, 1).Node("y = Gemm x w b"), `its bias is 3×1`},
		{"softmax of a map", image().Node("y = Softmax x", graphmaker.Int("axis", 1)), `axis is 1 of 4 dimensions`},
		{"softmax in between", features().Node("a = Softmax x").Node("y = MatMul a w"), `(MatMul "the_y"): it follows Softmax, which may only come last`},
		{"flatten with the batch", image().Node("y = Flatten x", graphmaker.Int("axis", 0)), `(Flatten "the_y"): axis is 0`},
		{"reshape over images", image().Integers("s", -1, 36).Node("y = Reshape x s"), `(Reshape "the_y"): its shape is [-1 36] for images of 2×6×6`},
		{"transposed batch", features().Node("y = Transpose x", graphmaker.Ints("perm", 1, 0)), `(Transpose "the_y"): perm is [1 0]`},
		{"transposed map", image().Node("a = Conv x w").Node("b = Transpose a", graphmaker.Ints("perm", 0, 1, 3, 2)).Node("y = MaxPool b", pool), `(MaxPool "the_y"): its input 0, 4×4×4 for each image, is the output 4×4×4 of the layer before rearranged`},
		{"transposed end", image().Node("a = Conv x w").Node("y = Transpose a", graphmaker.Ints("perm", 0, 2, 3, 1)), `a network cannot end so`},
		{"branches", features().Node("a = Relu x").Node("b = MatMul a w").Weight("v", -1, 1, 6, 4).Node("c = MatMul a v").Node("y = Add b c"),
			`node 2 (MatMul "the_c"): its input 0, "a", is taken by another layer too: the graph branches`},
		{"skip connection", graphmaker.New(free, 4).Weight("w", -1, 1, 4, 4).Node("a = MatMul x w").Node("y = Add a x"), `(Add "the_y"): it joins "a" and "x"`},
		{"joined data", features().Node("a = Relu x").Node("y = Concat a x", graphmaker.Int("axis", 1)), `it joins data: its input 0 is "a"`},
		{"bias of each pixel", image().Node("a = Conv x w").Weight("k", -1, 1, 4, 4).Node("y = Add a k"), `the constant 4×4 differs within channel 0`},
		{"nothing to fold into", features().Node("a = Relu x").Weight("k", -1, 1, 6).Node("y = Mul a k"), `node 1 (Mul "the_y"): no Conv, Gemm or MatMul comes before or after it`},
		{"shifted before padding", image().Weight("k", 1, 2).Node("a = Add x k").Node("y = Conv a w", graphmaker.Ints("pads", 1, 1, 1, 1)),
			`(Conv "the_y"): node 0 (Add "the_a") comes before it and cannot be folded`},
		{"shifted before the rectifier", features().Weight("k", 1, 2).Node("a = Add x k").Node("y = Relu a"), `as Relu is in between`},
		{"training", features().Node("a = MatMul x w").Weight("k", 1, 2, 4).Node("y = BatchNormalization a k k k k", graphmaker.Int("training_mode", 1)), `training_mode is 1`},
		{"variance", features().Node("a = MatMul x w").Weight("k", -2, -1, 4).Node("y = BatchNormalization a k k k k"), `it scales channel 0 by NaN`},
		{"dropout of all", features().Weight("r", 1, 1).Node("y = Dropout x r"), `probability 1 is outside`},
		{"free image size", graphmaker.New(free, 1, -1, 6).Node("y = Relu x"), `all dimensions but the batch must be numbers`},
		{"constant", features().Node("y = Relu w"), `its input 0, "w", is a constant`},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := test.graph.Model()
			if err := model.Check(); err != nil {
				t.Fatalf("the test's own model: %v", err)
			}
			network, _, err := onnx.ToNetwork(model, "")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q\n%v", err, test.want, network)
			}
		})
	}
}

func TestToNetworkChoosesTheOutput(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, 4).Weight("v", -1, 1, 6, 3).Node("a = MatMul x w").Node("y = MatMul x v").Model()
	second := *model.Proto.Graph.Output[0].Name
	if network, _, err := onnx.ToNetwork(model, second); err != nil || network.Output().String() != "3" {
		t.Errorf("%v, %v; the nodes that y does not depend on are no part of it", network, err)
	}
	// A value inside is an end, too: the logits before a LogSoftmax.
	model = graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, 4).Node("a = MatMul x w").Node("y = LogSoftmax a").Model()
	if network, _, err := onnx.ToNetwork(model, "a"); err != nil || network.Output().String() != "4" {
		t.Errorf("%v, %v; want the logits", network, err)
	}
	if _, _, err := onnx.ToNetwork(model, "z"); err == nil || !strings.Contains(err.Error(), `it has no output "z"; there are "y"`) {
		t.Errorf("%v", err)
	}
}

// No file makes ToNetwork panic, and what it returns is whole: it exports.
func FuzzToNetwork(f *testing.F) {
	for _, model := range richModels(f) {
		f.Add(encode(f, model))
	}
	paths, err := filepath.Glob("../infer/testdata/foreign/*cnn*.onnx")
	if err != nil || len(paths) == 0 {
		f.Fatalf("%d models of other frameworks: %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		model, err := onnx.Decode(raw)
		if err != nil {
			return
		}
		network, weights, err := onnx.ToNetwork(model, "")
		if err != nil {
			return
		}
		if _, err := onnx.FromNetwork(network, weights, onnx.TrainingRecord{}, onnx.Options{}); err != nil {
			t.Errorf("the network does not export: %v\n%v", err, network)
		}
	})
}
