package infer

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// randomImages are N images of C×H×W bytes with four classes.
func randomImages(n, c, h, w int) *dataset.Set {
	set := &dataset.Set{Name: "random", Channels: c, Height: h, Width: w, Classes: 4,
		Images: make([]byte, n*c*h*w), Labels: make([]int32, n)}
	source := rand.New(rand.NewPCG(5, 6))
	for i := range set.Images {
		set.Images[i] = byte(source.IntN(256))
	}
	for i := range set.Labels {
		set.Labels[i] = int32(source.IntN(4))
	}
	return set
}

// What exporters write around the layers: each graph is computed by onnxruntime,
// and as a network by the trainer.
func TestGraphsAsNetworks(t *testing.T) {
	free := int64(graphmaker.Free)
	for _, test := range []struct {
		name    string
		c, h, w int
		graph   *graphmaker.Graph
		kinds   string // of the layers
	}{
		{"gemm untransposed, scaled, one bias for all", 1, 1, 6, graphmaker.New(free, 6).
			Weight("w", -1, 1, 6, 4).Weight("b", -1, 1, 1, 1).
			Node("y = Gemm x w b", graphmaker.Float("alpha", 0.5), graphmaker.Float("beta", -3)), "Dense"},
		{"matmul and an added row", 1, 1, 6, graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4).
			Weight("b", -1, 1, 1, 4).Node("p = MatMul x w").Node("y = Add b p"), "Dense"},
		{"constant weight transposed by a node", 1, 1, 6, graphmaker.New(free, 6).
			Weight("w", -1, 1, 4, 6).Node("t = Transpose w").Node("y = MatMul x t"), "Dense"},
		{"normalised before and after a convolution", 1, 8, 7, graphmaker.New(free, 1, 8, 7).
			Weight("mean", 0.2, 0.4).Weight("std", 0.3, 0.5, 1, 1, 1, 1).Node("a = Sub x mean").
			Node("b = Div a std").
			Weight("w", -1, 1, 3, 1, 3, 3).Node("c = Conv b w").
			Weight("s", -1, 1, 3).Weight("o", -1, 1, 3).Weight("m", -1, 1, 3).Weight("v", 0.5, 2, 3).
			Node("d = BatchNormalization c s o m v", graphmaker.Float("epsilon", 1e-3)).
			Weight("k", 0.5, 2, 3, 1, 1).Node("e = Mul d k").Node("f = Relu e").Node("g = Flatten f").
			Dense("g", 3*6*5), "Conv2D BatchNorm ReLU Flatten Dense"},
		{"batch normalisation after the rectifier", 1, 8, 8, graphmaker.New(free, 1, 8, 8).
			Weight("w", -1, 1, 3, 1, 3, 3).Node("a = Conv x w").Node("b = Relu a").
			Weight("s", 0.5, 2, 3).Weight("o", -1, 1, 3).Weight("m", -1, 1, 3).Weight("v", 0.5, 2, 3).
			Node("c = BatchNormalization b s o m v").
			Node("d = MaxPool c", graphmaker.Ints("kernel_shape", 2, 2), graphmaker.Ints("strides", 2, 2)).
			Weight("w2", -1, 1, 2, 3, 2, 2).Weight("b2", -1, 1, 2).Node("e = Conv d w2 b2").
			Node("f = Relu e").
			Weight("s2", 0.5, 2, 2).Weight("o2", -1, 1, 2).Weight("m2", -1, 1, 2).Weight("v2", 0.5, 2, 2).
			Node("g = BatchNormalization f s2 o2 m2 v2").Node("h = Flatten g").
			Dense("h", 2*2*2), "Conv2D ReLU BatchNorm MaxPool2D Conv2D ReLU BatchNorm Flatten Dense"},
		{"channels last, three channels", 3, 6, 5, graphmaker.New(free, 6, 5, 3).
			Node("a = Transpose x", graphmaker.Ints("perm", 0, 3, 1, 2)).
			Weight("w", -1, 1, 4, 3, 2, 2).Node("b = Conv a w").
			Node("c = Transpose b", graphmaker.Ints("perm", 0, 2, 3, 1)).
			Weight("k", -1, 1, 4).Node("d = Add c k").Node("e = Relu d").
			Integers("shape", -1, 80).Node("f = Reshape e shape").
			Dense("f", 80), "Conv2D ReLU Flatten Dense"},
		{"channels last, scaled first and flattened", 3, 6, 5, graphmaker.New(free, 6, 5, 3).
			Weight("k", 0.1, 1, 3).Node("a = Mul x k").Integers("shape", 0, -1).Node("b = Reshape a shape").
			Dense("b", 90), "Scale Flatten Dense"},
		{"rows without a channel axis", 1, 6, 5, graphmaker.New(free, 6, 5).Integers("axes", 1).
			Node("a = Unsqueeze x axes").Weight("w", -1, 1, 4, 1, 2, 2).Node("b = Conv a w").
			Node("c = GlobalMaxPool b").Integers("spatial", 2, -1).
			Node("d = Squeeze c spatial").Dense("d", 4), "Conv2D GlobalMaxPool Flatten Dense"},
		{"features made an image", 1, 6, 5, graphmaker.New(free, 30).Integers("shape", -1, 1, 6, 5).
			Node("a = Reshape x shape").
			Weight("w", -1, 1, 4, 1, 2, 2).Node("b = Conv a w").Node("c = GlobalAveragePool b").
			Node("d = Flatten c").Dense("d", 4), "Conv2D GlobalAvgPool Flatten Dense"},
		{"mean over the map", 1, 6, 5, graphmaker.New(free, 1, 6, 5).Weight("w", -1, 1, 4, 1, 2, 2).
			Node("a = Conv x w").Node("b = Relu a").
			Integers("spatial", -2, -1).Node("c = ReduceMean b spatial", graphmaker.Int("keepdims", 0)).
			Dense("c", 4), "Conv2D ReLU GlobalAvgPool Flatten Dense"},
		{"mean over the map, dimensions kept", 3, 6, 5, graphmaker.New(free, 3, 6, 5).
			Integers("spatial", 2, 3).Node("a = ReduceMean x spatial").Node("b = Flatten a").
			Dense("b", 3), "GlobalAvgPool Flatten Dense"},
		{"mean over the map, channels last", 3, 6, 5, graphmaker.New(free, 6, 5, 3).
			Node("a = Transpose x", graphmaker.Ints("perm", 0, 3, 1, 2)).
			Weight("w", -1, 1, 4, 3, 2, 2).Node("b = Conv a w").
			Node("c = Transpose b", graphmaker.Ints("perm", 0, 2, 3, 1)).
			Integers("spatial", 1, 2).Node("d = ReduceMean c spatial", graphmaker.Int("keepdims", 0)).
			Dense("d", 4), "Conv2D GlobalAvgPool Flatten Dense"},
		{"mean over the map, channels last, dimensions kept", 3, 6, 5, graphmaker.New(free, 6, 5, 3).
			Node("a = Transpose x", graphmaker.Ints("perm", 0, 3, 1, 2)).
			Weight("w", -1, 1, 4, 3, 2, 2).Node("b = Conv a w").
			Node("c = Transpose b", graphmaker.Ints("perm", 0, 2, 3, 1)).
			Integers("spatial", 1, 2).Node("d = ReduceMean c spatial").Node("e = Squeeze d spatial").
			Dense("e", 4), "Conv2D GlobalAvgPool Flatten Dense"},
		{"padding by name, one side's not reached", 1, 8, 7, graphmaker.New(free, 1, 8, 7).
			Weight("w", -1, 1, 3, 1, 3, 3).Node("a = Conv x w", graphmaker.Text("auto_pad", "SAME_UPPER")).
			Node("b = MaxPool a", graphmaker.Ints("kernel_shape", 3, 3), graphmaker.Ints("strides", 2, 2),
				graphmaker.Ints("pads", 1, 1, 0, 1), graphmaker.Int("ceil_mode", 1)).
			Node("c = AveragePool b", graphmaker.Ints("kernel_shape", 2, 2),
				graphmaker.Text("auto_pad", "VALID")).Node("d = Flatten c").
			Dense("d", 3*3*3), "Conv2D MaxPool2D AvgPool2D Flatten Dense"},
		{"a fixed batch and a shape of it", 1, 4, 4, graphmaker.New(5, 1, 4, 4).Node("a = Relu x").
			Node("s = Shape a").Integers("zero.", 0).
			Node("n = Gather s zero.").Integers("axes", 0).Node("u = Unsqueeze n axes").Integers("rest", -1).
			Node("t = Concat u rest", graphmaker.Int("axis", 0)).
			Node("b = Reshape a t").Dense("b", 16), "ReLU Flatten Dense"},
		{"dropout and softmax", 1, 1, 6, graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4).
			Node("a = MatMul x w").Weight("ratio", 0.25, 0.25).
			Node("b = Dropout a ratio").Node("y = Softmax b"), "Dense Dropout Softmax"},
	} {
		t.Run(test.name, func(t *testing.T) {
			requireNetwork(t, test.graph.Model(), test.c, test.h, test.w, test.kinds)
		})
	}
}

// requireNetwork computes random images of C×H×W by a model in onnxruntime, and as a network of
// layers of those kinds on the trainer's engine.
func requireNetwork(t *testing.T, model *onnx.Model, channels, height, width int, kinds string) {
	t.Helper()
	needLibrary(t)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	network, weights, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatal(err)
	}
	var layers []string
	for _, node := range network.Nodes() {
		layers = append(layers, node.Layer.Kind())
	}
	if got := strings.Join(layers, " "); got != kinds {
		t.Errorf("layers %s, want %s", got, kinds)
	}
	set := randomImages(10, channels, height, width)
	session, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	want, err := Evaluate(t.Context(), session, set, EvaluateOptions{Pixels: dataset.UnitPixels(),
		KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	got := trainerLogits(t, network, weights, set, train.PixelsUnit)
	if layers[len(layers)-1] == (builder.Softmax{}).Kind() {
		got = softmax(got)
	}
	c, err := Compare(want.Logits, got, foreignTolerance)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Agree() || math.IsNaN(c.MaxRelDiff) {
		t.Errorf("%s\n%v", c.Reason(), network)
	}
}
