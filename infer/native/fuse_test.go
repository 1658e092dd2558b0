package native_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/infer/native"
	"slipway/internal/graphmaker"
	"slipway/internal/networktest"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestConvolutionsWithWhatFollows is of chains that begin with a Conv or a Concat: those that are
// computed as one, and those that look like them and are not.
func TestConvolutionsWithWhatFollows(t *testing.T) {
	startONNXRuntime(t)
	r := random{newSource(9)}
	weights := map[string]*native.Tensor{
		"w": r.tensor(24, 16, 3, 3), "b": r.tensor(24), "one": r.tensor(24, 16, 1, 1),
		"deep": r.tensor(16, 1, 3, 3), "groups": r.tensor(24, 8, 3, 3), "bias16": r.tensor(16),
		"back": r.tensor(16, 24, 1, 1), "low": scalar(-0.5), "high": scalar(1.5),
		"sqrt2": scalar(1.41421356), "root": scalar(0.70710678), "half": scalar(0.5), "1": scalar(1),
		"vector": r.tensor(1, 24, 1, 1),
		"scale":  r.tensor(40), "shift": r.tensor(40), "mean": r.tensor(40), "variance": r.positive(40),
	}
	// A factor of a hundred would round what a Clip then leaves a hundredth of.
	for i := range weights["variance"].Data.([]float32) {
		weights["variance"].Data.([]float32)[i] += 0.5
	}
	conv := func(x, y, w, b string, pad int64) *onnxpb.NodeProto {
		return nodeOf("Conv", in(x, w, b), in(y), graphmaker.Ints("pads", pad, pad, pad, pad))
	}
	deep := func(x, y string, stride int64) *onnxpb.NodeProto {
		return nodeOf("Conv", in(x, "deep", "bias16"), in(y), graphmaker.Ints("pads", 1, 1, 1, 1),
			graphmaker.Int("group", 16),
			graphmaker.Ints("strides", stride, stride))
	}
	group := func(x, y string, groups, stride int64) *onnxpb.NodeProto {
		return nodeOf("Conv", in(x, "groups", "b"), in(y), graphmaker.Ints("pads", 1, 1, 1, 1),
			graphmaker.Int("group", groups),
			graphmaker.Ints("strides", stride, stride))
	}
	clip := func(x, y string) *onnxpb.NodeProto { return nodeOf("Clip", in(x, "low", "high"), in(y)) }
	node := func(operator, y string, x ...string) *onnxpb.NodeProto {
		return nodeOf(operator, x, in(y))
	}
	normalise := func(x, y string) *onnxpb.NodeProto {
		return nodeOf("BatchNormalization", in(x, "scale", "shift", "mean", "variance"), in(y))
	}
	join := func(y string, x ...string) *onnxpb.NodeProto {
		return nodeOf("Concat", x, in(y), graphmaker.Int("axis", 1))
	}
	half := nodeOf("Constant", nil, in("k"), &onnxpb.AttributeProto{Name: proto.String("value"),
		Type: onnxpb.AttributeProto_TENSOR.Enum(), T: &onnxpb.TensorProto{
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), FloatData: []float32{0.5}}})
	for name, nodes := range map[string][]*onnxpb.NodeProto{
		"Clip":            {conv("x", "c", "w", "b", 1), clip("c", "y")},
		"Clip from above": {conv("x", "c", "w", "b", 1), node("Clip", "y", "c", "", "high")},
		"HardSwish":       {conv("x", "c", "w", "b", 1), node("HardSwish", "y", "c")},
		"HardSwish in parts": {conv("x", "c", "w", "b", 1), node("HardSigmoid", "g", "c"),
			node("Mul", "y", "c", "g")},
		"HardSwish in other parts": {conv("x", "c", "w", "b", 1), node("HardSigmoid", "g", "c"),
			node("Mul", "y", "g", "c")},
		"a gate that others take": {conv("x", "c", "w", "b", 1), node("HardSigmoid", "g", "c"),
			node("Mul", "m", "c", "g"), node("Sub", "y", "m", "g")},
		"groups, Relu":              {group("x", "c", 2, 1), node("Relu", "y", "c")},
		"groups, stride, HardSwish": {group("x", "c", 2, 2), node("HardSwish", "y", "c")},
		"groups, Add, Clip": {conv("x", "d", "w", "b", 1), group("x", "c", 2, 1),
			node("Add", "a", "c", "d"), clip("a", "y")},
		"groups, MaxPool": {group("x", "c", 2, 1), node("Relu", "d", "c"),
			nodeOf("MaxPool", in("d"), in("y"), graphmaker.Ints("kernel_shape", 2, 2),
				graphmaker.Ints("strides", 2, 2))},
		"groups, padded more behind": {nodeOf("Conv", in("x", "groups", "b"), in("y"),
			graphmaker.Ints("pads", 0, 1, 2, 1), graphmaker.Int("group", 2))},
		"depthwise, Clip": {deep("x", "c", 1), clip("c", "y")},
		"depthwise, HardSwish": {deep("x", "c", 2), node("HardSigmoid", "g", "c"),
			node("Mul", "y", "c", "g")},
		"depthwise, Add": {deep("x", "c", 1), node("Add", "a", "x", "c"),
			node("Relu", "y", "a")},
		"SiLU": {conv("x", "c", "w", "b", 1), node("Sigmoid", "g", "c"),
			node("Mul", "y", "c", "g")},
		"SiLU, Relu": {conv("x", "c", "w", "b", 1), node("Sigmoid", "g", "c"),
			node("Mul", "m", "g", "c"), node("Relu", "y", "m")},
		"SiLU of the input": {node("Sigmoid", "g", "x"), node("Mul", "y", "g", "x")},
		"SiLU of doubles": {nodeOf("Cast", in("x"), in("d"),
			graphmaker.Int("to", int64(onnxpb.TensorProto_DOUBLE))), node("Sigmoid", "g", "d"),
			node("Mul", "m", "d", "g"),
			nodeOf("Cast", in("m"), in("y"), graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT)))},
		"a Sigmoid that others take": {node("Sigmoid", "g", "x"), node("Mul", "m", "g", "x"),
			node("Sub", "y", "m", "g")},
		"a Sigmoid of another": {node("Abs", "a", "x"), node("Sigmoid", "g", "a"),
			node("Mul", "y", "g", "x")},
		"GELU": {conv("x", "c", "w", "b", 1), node("Div", "d", "c", "sqrt2"),
			node("Erf", "e", "d"), node("Add", "s", "e", "1"), node("Mul", "p", "c", "s"),
			node("Mul", "y", "p", "half")},
		"GELU, half first": {node("Mul", "h", "half", "x"), node("Mul", "d", "x", "root"),
			node("Erf", "e", "d"), node("Add", "s", "1", "e"), node("Mul", "y", "s", "h")},
		"GELU by Constant": {half, node("Div", "d", "x", "sqrt2"), node("Erf", "e", "d"),
			node("Add", "s", "e", "1"), node("Mul", "p", "x", "s"), node("Mul", "y", "k", "p")},
		"no GELU: another factor": {node("Div", "d", "x", "sqrt2"), node("Erf", "e", "d"),
			node("Add", "s", "e", "1"), node("Mul", "p", "x", "s"), node("Mul", "y", "p", "high")},
		"no GELU: another summand": {node("Div", "d", "x", "sqrt2"), node("Erf", "e", "d"),
			node("Add", "s", "e", "high"), node("Mul", "p", "x", "s"), node("Mul", "y", "p", "half")},
		"no GELU: another argument": {node("Div", "d", "x", "high"), node("Erf", "e", "d"),
			node("Add", "s", "e", "1"), node("Mul", "p", "x", "s"), node("Mul", "y", "p", "half")},
		"no GELU: others take it": {node("Div", "d", "x", "sqrt2"), node("Erf", "e", "d"),
			node("Add", "s", "e", "1"), node("Mul", "p", "x", "s"), node("Mul", "h", "p", "half"),
			node("Add", "y", "h", "s")},
		"Add, Relu": {conv("x", "c", "one", "b", 0),
			conv("c", "d", "back", "bias16", 0), node("Add", "a", "d", "x"), node("Relu", "y", "a")},
		"Add of two convolutions": {conv("x", "c", "w", "b", 1), conv("x", "d", "one", "b", 0),
			node("Add", "a", "d", "c"), clip("a", "y")},
		"Add of one twice": {conv("x", "c", "w", "b", 1), node("Add", "a", "c", "c"),
			node("Relu", "y", "a")},
		"Add of a vector": {conv("x", "c", "w", "b", 1), node("Add", "a", "c", "vector"),
			node("Relu", "y", "a")},
		"Add that broadcasts": {node("GlobalAveragePool", "p", "x"),
			conv("p", "q", "one", "b", 0), conv("x", "c", "w", "b", 1), node("Add", "a", "q", "c"),
			node("Relu", "y", "a")},
		"Add before what is added is": {conv("x", "c", "w", "b", 1), conv("x", "d", "one", "b", 0),
			node("Relu", "e", "d"), node("Add", "y", "c", "e")},
		"Clip, MaxPool": {conv("x", "c", "w", "b", 1), clip("c", "d"),
			nodeOf("MaxPool", in("d"), in("y"), graphmaker.Ints("kernel_shape", 2, 2),
				graphmaker.Ints("strides", 2, 2))},
		"MaxPool that overlaps": {conv("x", "c", "w", "b", 1), node("Relu", "d", "c"),
			nodeOf("MaxPool", in("d"), in("y"), graphmaker.Ints("kernel_shape", 3, 3),
				graphmaker.Ints("strides", 2, 2))},
		"Concat, BatchNormalization, Relu": {conv("x", "c", "w", "b", 1), join("j", "x", "c"),
			normalise("j", "n"), node("Relu", "y", "n")},
		"Concat that others take": {conv("x", "c", "w", "b", 1), join("j", "x", "c"),
			normalise("j", "n"), node("Add", "y", "n", "j")},
		"BatchNormalization, Clip": {conv("x", "c", "w", "b", 1), join("j", "c", "x"),
			node("Abs", "k", "j"), normalise("k", "n"), clip("n", "y")},
		"one pixel": {node("GlobalAveragePool", "p", "x"),
			conv("p", "c", "one", "b", 0), node("Relu", "y", "c")},
		"one pixel, Clip": {node("GlobalAveragePool", "p", "x"),
			conv("p", "c", "one", "b", 0), clip("c", "y")},
	} {
		for _, images := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				x := random{newSource(uint64(images))}.tensor(images, 16, 9, 7)
				model := graphOf(t, 14, x, weights, nodes...)
				requireAsONNXRuntime(t, model, x)
			})
		}
	}
}

// TestNetworksOfTheZooOnAnyThreads: networks of depthwise convolutions, gates, residual sums and
// Concat are answered as by onnxruntime, with the same bits on any number of threads.
func TestNetworksOfTheZooOnAnyThreads(t *testing.T) {
	startONNXRuntime(t)
	for _, name := range []string{"resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1",
		"efficientnet_lite0"} {
		t.Run(name, func(t *testing.T) {
			network, err := zoo.New(name, builder.Shape{3, 72, 64}, 11)
			if err != nil {
				t.Fatal(err)
			}
			model := networktest.Model(t, network)
			x := random{newSource(3)}.tensor(2, 3, 72, 64)
			want := requireAsONNXRuntime(t, model, x)
			for _, threads := range []int{1, 3} {
				e, err := native.New(t.Context(), model, native.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				got, err := e.Run(t.Context(), map[string]*native.Tensor{e.Inputs()[0].Name: x})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got[0].Data.([]float32), want.Data.([]float32)) {
					t.Errorf("on %d threads it answers otherwise than on 2", threads)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// requireAsONNXRuntime returns the answer on two threads, which onnxruntime must give, too.
func requireAsONNXRuntime(t *testing.T, model *onnx.Model, x *native.Tensor) *native.Tensor {
	t.Helper()
	want, err := inONNXRuntime(t, model, tensors{x})
	if err != nil {
		t.Fatal(err)
	}
	got, err := inNative(t, model, []*native.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, got[0], want[0], agreement)
	return got[0]
}
