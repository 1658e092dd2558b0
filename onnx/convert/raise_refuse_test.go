package convert_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// What no graph of the builder's layers computes is refused, and the error
// says which node, which operator and what of it.
func TestToNetworkRefuses(t *testing.T) {
	const free = graphmaker.Free
	image := func() *graphmaker.Graph {
		return graphmaker.New(free, 2, 6, 6).
			Weight("w", -1, 1, 4, 2, 3, 3)
	}
	features := func() *graphmaker.Graph { return graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4) }
	pool := graphmaker.Ints("kernel_shape", 2, 2)
	nan := math.NaN()
	ones, axes := slices.Repeat([]int64{1}, 65), make([]int64, 65)
	for i := range axes {
		axes[i] = int64(i + 2)
	}
	table := &onnxpb.TensorProto{Name: proto.String("i"), Dims: []int64{1, 1}, Int64Data: []int64{0},
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64))}
	boolean := func(name string, values ...int32) *onnxpb.TensorProto {
		tensor := &onnxpb.TensorProto{Name: proto.String(name), Int32Data: values,
			DataType: proto.Int32(int32(onnxpb.TensorProto_BOOL))}
		if len(values) > 1 {
			tensor.Dims = []int64{int64(len(values))}
		}
		return tensor
	}
	rawBoolean := func(name string, value byte) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name), RawData: []byte{value},
			DataType: proto.Int32(int32(onnxpb.TensorProto_BOOL))}
	}
	for _, test := range []struct {
		name  string
		graph *graphmaker.Graph
		want  string
	}{
		{"operator", features().Node("y = Softsign x"),
			`node 0 (Softsign "the_y"): a network has no layer for the operator Softsign`},
		{"end of a classifier", features().
			Node("y = LogSoftmax x"),
			`node 0 (LogSoftmax "the_y"): a network has no layer for the operator LogSoftmax; name its input "x" as the output`},
		{"mean of a row", image().Node("y = ReduceMean x", graphmaker.Ints("axes", 3)),
			`node 0 (ReduceMean "the_y"): it takes the mean over axes [3] of 4; a network takes it over a whole map`},
		{"mean of all", image().
			Node("y = ReduceMean x"), `(ReduceMean "the_y"): it takes the mean over axes [] of 4`},
		{"mean of features", features().Node("y = ReduceMean x", graphmaker.Ints("axes", 1)),
			`it takes the mean over the channels, and no layer normalisation follows`},
		{"mean of channels", image().Node("a = Conv x w").
			Node("y = ReduceMean a", graphmaker.Ints("axes", 1, 2)), `of data that are not channels last`},
		{"dilations of a pooling", image().
			Node("y = MaxPool x", pool,
				graphmaker.Ints("dilations", 2, 2)),
			`node 0 (MaxPool "the_y"): dilations is 2×2; a network's pooling windows have no gaps`},
		{"one dimension", graphmaker.New(free, 2, 6).Weight("w", -1, 1, 4, 2, 3).
			Node("y = Conv x w"), `its input 0 is 2×6 for each image; C×H×W is needed`},
		{"computed weight", graphmaker.New(free, 2, 3, 3).
			Node("y = Conv x x"), `its input 1, "x", is computed from the model's input`},
		{"pads", image().Node("y = Conv x w", graphmaker.Ints("pads", 1, 1, 0, 0)),
			`(Conv "the_y"): it pads 1 before and 0 after; a network pads no less below and to the right`},
		{"auto_pad", image().Node("y = MaxPool x", pool, graphmaker.Text("auto_pad", "SAME_LOWER")),
			`it pads 1 before and 0 after`},
		{"ceil_mode", image().
			Node("y = MaxPool x", pool, graphmaker.Ints("strides", 3, 3),
				graphmaker.Int("ceil_mode", 1)),
			`(MaxPool "the_y"): ceil_mode is 1 and adds a window that begins in the padding`},
		{"padding of a pooling", image().
			Node("y = MaxPool x", graphmaker.Ints("kernel_shape", 3, 3),
				graphmaker.Ints("pads", 2, 2, 2, 2)), `more than half the kernel`},
		{"transA", graphmaker.New(free, 6).Weight("w", -1, 1, 3, 4).
			Node("y = Gemm x w", graphmaker.Int("transA", 1)), `(Gemm "the_y"): transA is 1`},
		{"bias of each image", graphmaker.New(3, 6).Weight("w", -1, 1, 6, 4).Weight("b", -1, 1, 3, 1).
			Node("y = Gemm x w b"), `its bias is 3×1`},
		{"softmax of a map", image().Node("y = Softmax x", graphmaker.Int("axis", 1)),
			`axis is 1 of 4 dimensions`},
		{"softmax in between", features().Node("a = Softmax x").
			Node("y = MatMul a w"), `(MatMul "the_y"): it follows Softmax, which may only come last`},
		{"flatten with the batch", image().Node("y = Flatten x", graphmaker.Int("axis", 0)),
			`(Flatten "the_y"): axis is 0`},
		{"reshape over images", image().Integers("s", -1, 36).
			Node("y = Reshape x s"), `(Reshape "the_y"): its shape is [-1 36] for images of 2×6×6`},
		{"transposed batch", features().Node("y = Transpose x", graphmaker.Ints("perm", 1, 0)),
			`(Transpose "the_y"): perm is [1 0]`},
		{"transposed map", image().Node("a = Conv x w").
			Node("b = Transpose a", graphmaker.Ints("perm", 0, 1, 3, 2)).
			Node("y = MaxPool b",
				pool), `(MaxPool "the_y"): its input 0, 4×4×4 for each image, is 4×4×4 of the layer before rearranged`},
		{"transposed end", image().Node("a = Conv x w").
			Node("y = Transpose a", graphmaker.Ints("perm", 0, 2, 3, 1)), `a network cannot end so`},
		{"a map added to its transposition", image().Node("a = Conv x w").
			Node("b = Transpose a", graphmaker.Ints("perm", 0, 1, 3, 2)).Node("y = Add a b"),
			`node 2 (Add "the_y"): it joins 4×4×4 and 4×4×4 for each image, which are 4×4×4 and 4×4×4 of the layers before; a network joins values of one shape and order`},
		{"a map and a number for each image", image().Node("a = GlobalAveragePool x").
			Node("y = Add x a"),
			`a network has no layer for the operator Add of two values that are both computed, of such shapes`},
		{"a difference", features().Node("a = Relu x").
			Node("y = Sub a x"),
			`a network has no layer for the operator Sub of two values that are both computed`},
		{"maps of another order joined", image().Node("a = Conv x w").
			Node("b = Transpose a", graphmaker.Ints("perm", 0, 2, 3, 1)).
			Node("y = Concat a b", graphmaker.Int("axis", 1)),
			`its input 1 is a map in another order of dimensions than the first`},
		{"rows joined", image().Node("a = Relu x").Node("y = Concat a x", graphmaker.Int("axis", 2)),
			`it joins 2×6×6 for each image, which is 2×6×6 of the layer before, along axis 2; a network joins the channels`},
		{"a part of the data", image().Integers("b", 0).Integers("e", 1).
			Node("y = Slice x b e e"), `node 0 (Slice "the_y"): it takes a part of the data`},
		{"one of the data", image().Integers("i", 0).Node("y = Gather x i", graphmaker.Int("axis", 1)),
			`node 0 (Gather "the_y"): it takes a part of the data`},
		{"repeated data", image().Integers("s", 1, 2, 6, 6).Integers("t", 3, 1, 1, 1).Node("a = Mul s t").
			Node("y = Expand x a"), `it repeats the data, 2×6×6 for each image, to [3 2 6 6]`},
		{"hard sigmoid of Keras", features().
			Node("y = HardSigmoid x"), `alpha is 0.2 and beta 0.5; the layer HardSigmoid has 1/6 and 0.5`},
		{"clipped elsewhere", features().Weight("a", -1, -1).Weight("b", 1, 1).
			Node("y = Clip x a b"), `a network has no layer for the operator Clip to -1…1; 0…6 is ReLU6`},
		{"the smaller of two", features().Node("a = Relu x").
			Node("y = Min a x"), `it compares two values that are both computed`},
		{"an error function alone", features().
			Node("y = Erf x"), `a network has no layer for the operator Erf`},
		{"the square", features().Weight("two", 2, 2).
			Node("y = Pow x two"), `a network has no layer for the operator Pow with the exponent 2`},
		{"the square by an integer", features().Integers("two", 2).
			Node("y = Pow x two"), `a network has no layer for the operator Pow with the exponent 2`},
		{"clipped to shares", features().Weight("a", 0, 0).Weight("b", 1, 1).
			Node("y = Clip x a b"), `a network has no layer for the operator Clip to 0…1; 0…6 is ReLU6`},
		{"clipped from below", features().Weight("a", -1, -1).
			Node("y = Clip x a"), `a network has no layer for the operator Clip to -1…+Inf`},
		{"a gate of the rows", graphmaker.New(free, 6, 6, 6).Node("g = GlobalAveragePool x").
			Node("t = Transpose g", graphmaker.Ints("perm", 0, 2, 1, 3)).Node("y = Mul x t"),
			`it joins 6×6×6 and 1×6×1 for each image`},
		{"a gate of channels and columns", graphmaker.New(free, 6, 6, 6).Weight("w", -1, 1, 1, 6, 1, 1).
			Node("m = Conv x w").Node("t = Transpose m", graphmaker.Ints("perm", 0, 2, 1, 3)).
			Node("y = Mul x t"),
			`it joins 6×6×6 and 6×1×6 for each image`},
		{"features as a map", features().Node("a = Relu x").Integers("s", -1, 6, 1, 1).
			Node("b = Reshape a s").Weight("k", -1, 1, 4, 6, 1, 1).Node("y = Conv b k"),
			`its input 0, 6×1×1 for each image, is 6 of the layer before rearranged`},
		{"pixels cut in two", graphmaker.New(free, 4, 4, 3).Integers("s", -1, 24, 2).
			Node("a = Reshape x s").Node("b = Transpose a", graphmaker.Ints("perm", 0, 2, 1)).
			Node("c = Flatten b").Weight("w", -1, 1, 48, 4).
			Node("y = MatMul c w"), `the model's input 4×4×3 comes to it cut across its dimensions`},
		{"GELU with a square", features().Weight("half", 0.5, 0.5).
			Weight("root", math.Sqrt(2/math.Pi), math.Sqrt(2/math.Pi)).Weight("one", 1, 1).
			Weight("k", 0.044715, 0.044715).Weight("two", 2, 2).
			Node("p = Pow x two").Node("b = Mul p k").Node("c = Add x b").Node("d = Mul c root").
			Node("e = Tanh d").Node("f = Add e one").Node("g = Mul x f").Node("y = Mul g half"),
			`a network has no layer for the operator Pow with the exponent 2`},
		{"GELU with another one's cube", features().Weight("half", 0.5, 0.5).
			Weight("root", math.Sqrt(2/math.Pi), math.Sqrt(2/math.Pi)).Weight("one", 1, 1).
			Weight("k", 0.044715, 0.044715).Weight("three", 3, 3).
			Node("r = Relu x").Node("p = Pow r three").Node("b = Mul p k").Node("c = Add x b").
			Node("d = Mul c root").Node("e = Tanh d").Node("f = Add e one").Node("g = Mul x f").
			Node("y = Mul g half"),
			`a network has no layer for the operator Pow with the exponent 3`},
		{"padded channels", image().Integers("p", 0, 1, 0, 0, 0, 0, 0, 0).
			Node("y = Pad x p"),
			`it pads by [0 1 0 0 0 0 0 0]; a network pads the rows and columns of a map, not its channels`},
		{"cropped", image().Integers("p", 0, 0, -1, 0, 0, 0, 0, 0).
			Node("y = Pad x p"), `it pads by [0 0 -1 0 0 0 0 0]; 0 to`},
		{"padded with ones", image().Integers("p", 0, 0, 1, 0, 0, 0, 0, 0).Weight("v", 1, 1).
			Node("y = Pad x p v"), `it pads with [1]; a network pads with zeros`},
		{"padded by its edges", image().Integers("p", 0, 0, 1, 0, 0, 0, 0, 0).
			Node("y = Pad x p", graphmaker.Text("mode", "edge")), `mode is "edge"`},
		{"normalised over rows", image().Weight("s", 1, 2, 6).
			Node("y = LayerNormalization x s",
				graphmaker.Int("axis", -1)), `it normalises axes 3… of 2×6×6 for each image`},
		{"groups that do not divide", graphmaker.New(free, 3, 4, 4).Weight("s", 1, 2, 2).
			Node("y = GroupNormalization x s s",
				graphmaker.Int("num_groups", 2)), `2 groups do not divide 3 channels`},
		{"bias of each pixel", image().Node("a = Conv x w").Weight("k", -1, 1, 4, 4).
			Node("y = Add a k"), `the constant 4×4 differs within channel 0`},
		{"training", features().Node("a = MatMul x w").Weight("k", 1, 2, 4).
			Node("y = BatchNormalization a k k k k",
				graphmaker.Int("training_mode", 1)), `training_mode is 1`},
		{"variance", features().Node("a = MatMul x w").Weight("k", -2, -1, 4).
			Node("y = BatchNormalization a k k k k"), `the variance of channel 0 is -1.`},
		{"dropout of all", features().Weight("r", 1, 1).
			Node("y = Dropout x r"), `(Dropout "the_y"): probability 1 is outside`},
		{"free image size", graphmaker.New(free, 1, -1, 6).
			Node("y = Relu x"), `all dimensions but the batch must be numbers`},
		{"constant", features().Node("y = Relu w"), `its input 0, "w", is a constant`},

		{"divided by zero", features().Weight("k", 0, 0, 6).Node("a = Div x k").
			Node("y = MatMul a w"), `it scales channel 0 by +Inf and adds 0; both must be finite`},
		{"shifted by no number", features().Weight("k", nan, nan, 6).Node("a = Add x k").
			Node("y = MatMul a w"), `it scales channel 0 by 1 and adds NaN; both must be finite`},
		{"divided by the data", features().Weight("k", 1, 2, 6).Node("a = Div k x").
			Node("y = MatMul a w"), `it divides by the data`},
		{"a constant of more dimensions", features().Weight("k", 1, 2, 1, 1, 6).
			Node("y = Add x k"), `its constant is 1×1×6; one that is the same for each image is needed`},
		{"a constant for each image", graphmaker.New(3, 6).Weight("k", 1, 2, 3, 6).
			Node("y = Add x k"), `its constant is 3×6; one that is the same for each image is needed`},
		{"normalised by rows", graphmaker.New(free, 6, 6, 2).
			Node("a = Transpose x", graphmaker.Ints("perm", 0, 3, 1, 2)).Weight("w", -1, 1, 2, 2, 1, 1).
			Node("b = Conv a w").Node("c = Transpose b", graphmaker.Ints("perm", 0, 2, 3, 1)).
			Weight("k", 1, 2, 6).
			Node("y = BatchNormalization c k k k k"),
			`its input 1: the constant 6×1×1 differs within channel 0`},
		{"dense layer of a matrix", graphmaker.New(free, 36).Node("r = Relu x").Integers("s", -1, 6, 6).
			Node("a = Reshape r s").Weight("w", -1, 1, 6, 4).
			Node("y = MatMul a w"), `its input 0 is 6×6 for each image; a dense layer takes a vector`},
		{"bias of four rows", graphmaker.New(4, 6).Weight("w", -1, 1, 6, 4).Weight("b", -1, 1, 4, 1).
			Node("y = Gemm x w b"), `its bias is 4×1`},
		{"mean of rearranged features", graphmaker.New(free, 12).Weight("w", -1, 1, 12, 12).
			Node("a = MatMul x w").Integers("s", -1, 2, 2, 3).Node("b = Reshape a s").
			Node("y = ReduceMean b", graphmaker.Ints("axes", 1, 2)), `of data that are not channels last`},
		{"mean over the batch", image().Node("y = ReduceMean x", graphmaker.Ints("axes", 0, 2)),
			`over axes [0 2] of 4`},
		{"a batch of a number", features().Integers("s", 3, 6).
			Node("y = Reshape x s"), `its shape is [3 6] for images of 6`},
		{"a batch of 0", features().Integers("s", 0, 6).
			Node("y = Reshape x s", graphmaker.Int("allowzero", 1)), `its shape is [0 6] for images of 6`},
		{"a zero beyond the dimensions", features().Integers("p", -1).Integers("q", 6, 0).
			Node("s = Concat p q", graphmaker.Int("axis", 0)).
			Node("y = Reshape x s"), `its shape is [-1 6 0] for images of 6`},
		{"weights of two rests", features().Integers("p", -1).Integers("q", -1).
			Node("s = Concat p q", graphmaker.Int("axis", 0)).Node("v = Reshape w s").
			Node("y = MatMul x v"), `its shape holds -1 for 24 values`},
		{"weights of a negative size", features().Integers("p", -2).Integers("q", 12).
			Node("s = Concat p q", graphmaker.Int("axis", 0)).Node("v = Reshape w s").
			Node("y = MatMul x v"), `its shape holds -2 for 24 values`},
		{"weights for too many", features().Integers("p", 24).Integers("q", 24).
			Node("s = Concat p q", graphmaker.Int("axis", 0)).Node("v = Reshape w s").
			Node("y = MatMul x v"), `its shape [24 24] is for more than 24 values`},
		{"weights by a shape that is beyond them", features().Integers("p", 6).Integers("q", 4, 0).
			Node("s = Concat p q", graphmaker.Int("axis", 0)).Node("v = Reshape w s").
			Node("y = MatMul x v"), `its shape holds 0 for 24 values`},
		{"an index beyond the shape", features().Node("s = Shape x").Integers("i", 2).
			Node("n = Gather s i").Integers("r", -1).
			Node("t = Concat n r", graphmaker.Int("axis", 0)).
			Node("y = Reshape x t"), `its index 2 is outside of the 2 dimensions`},
		{"an index before the shape", features().Node("s = Shape x").Integers("i", -3).
			Node("n = Gather s i").Integers("r", -1).
			Node("t = Concat n r", graphmaker.Int("axis", 0)).
			Node("y = Reshape x t"), `its index -3 is outside of the 2 dimensions`},
		{"the batch as an index", features().Node("s = Shape x").Integers("i", 0).Node("n = Gather s i").
			Node("m = Gather s n").Integers("r", -1).
			Node("t = Concat m r", graphmaker.Int("axis", 0)).
			Node("y = Reshape x t"), `(Gather "the_m"): its index 0 is outside`},
		{"a shape in steps", features().Node("s = Shape x").Integers("b", 0).Integers("e", 2).
			Integers("two", 2).Node("n = Slice s b e b two").Integers("r", -1).
			Node("t = Concat n r", graphmaker.Int("axis", 0)).
			Node("y = Reshape x t"), `along axis 0 in steps of 2`},
		{"a shape along another axis", features().Node("s = Shape x").Integers("b", 0).Integers("e", 1).
			Node("n = Slice s b e e").Integers("r", -1).
			Node("t = Concat n r", graphmaker.Int("axis", 0)).
			Node("y = Reshape x t"), `along axis 1 in steps of 1`},
		{"weights of another type", features().Node("v = Cast w", graphmaker.Int("to", 11)).
			Node("u = Cast v", graphmaker.Int("to", 1)).
			Node("y = MatMul x u"), `to is double, of a constant of float`},
		{"weights made integers", features().Node("v = Cast w", graphmaker.Int("to", 7)).
			Node("u = Cast v", graphmaker.Int("to", 1)).
			Node("y = MatMul x u"), `to is int64, of a constant of float`},
		{"a shape made numbers", features().Node("s = Shape x").
			Node("v = Cast s", graphmaker.Int("to", 1)).
			Node("y = Mul x v"), `to is float; a network computes in float32`},
		{"data made integers", features().Node("a = Cast x", graphmaker.Int("to", 7)).
			Node("y = Cast a", graphmaker.Int("to", 1)), `to is int64; a network computes in float32`},
		{"data made doubles", features().Node("a = Cast x", graphmaker.Int("to", 11)).
			Node("y = Cast a", graphmaker.Int("to", 1)), `to is double; a network computes in float32`},
		{"dropout that is on", features().Weight("r", 0.5, 0.5).Tensor(boolean("on", 1)).
			Node("y = Dropout x r on"), `training_mode is not the constant false`},
		{"dropout that is on, raw", features().Weight("r", 0.5, 0.5).Tensor(rawBoolean("on", 1)).
			Node("y = Dropout x r on"), `training_mode is not the constant false`},
		{"dropout by a vector", features().Weight("r", 0.5, 0.5).Tensor(boolean("on", 0, 0)).
			Node("y = Dropout x r on"), `training_mode is not the constant false`},
		{"dropout by a shape", features().Weight("r", 0.5, 0.5).Node("s = Shape x").
			Node("y = Dropout x r s"), `training_mode is not the constant false`},
		{"indices of two dimensions", features().Node("s = Shape x").Tensor(table).Node("n = Gather s i").
			Node("y = Reshape x n"),
			`the tensor "i" is int64[1×1]; a number or a vector of at most 64 is needed`},
		{"65 indices", features().Node("s = Shape x").Integers("i", ones[:65]...).Node("n = Gather s i").
			Node("y = Reshape x n"),
			`the tensor "i" is int64[65]; a number or a vector of at most 64 is needed`},
		{"a shape of 64 indices", features().Node("s = Shape x").Integers("i", ones[:64]...).
			Node("n = Gather s i").Node("y = Reshape x n"), `(Reshape "the_y"): its shape is [6 6`},
		{"a shape of 64 that is joined", features().Integers("a", ones[:32]...).
			Node("s = Concat a a", graphmaker.Int("axis", 0)).
			Node("y = Reshape x s"), `(Reshape "the_y"): its shape is [1 1`},
		{"a shape of 65 that is joined", features().Integers("a", ones[:64]...).Integers("b", 1).
			Node("s = Concat a b", graphmaker.Int("axis", 0)).
			Node("y = Reshape x s"), `it joins a shape of more than 64 dimensions`},
		{"a dimension added before the batch", features().Integers("a", 0).
			Node("y = Unsqueeze x a"), `axes is [0]; a network keeps the batch as the first dimension`},
		{"a dimension added twice", features().Integers("a", 1, 1).
			Node("y = Unsqueeze x a"), `axes is [1 1]; each must be another one of the 4 dimensions`},
		{"65 dimensions", features().Integers("a", axes[:63]...).
			Node("y = Unsqueeze x a"), `at most 64 dimensions are allowed`},
		{"64 dimensions", features().Integers("a", axes[:62]...).
			Node("y = Unsqueeze x a"), `a network cannot end so`},
		{"dropped of weights, though not 1", features().Integers("a", 1).Node("v = Squeeze w a").
			Node("y = Mul x v"), `(Squeeze "the_v"): axes is [1]; the dimension 1 is 4, not 1`},
		{"no dimensions", graphmaker.New(free).
			Node("y = Relu x"), `is float[N]; N×C×H×W, N×H×W×C, N×H×W or N×features is needed`},
		{"five dimensions", graphmaker.New(free, 1, 2, 3, 4).
			Node("y = Relu x"), `N×C×H×W, N×H×W×C, N×H×W or N×features is needed`},
		{"nothing of each image", graphmaker.New(free, 0, 6).
			Node("y = Relu x"), `all dimensions but the batch must be numbers`},
		{"large images", graphmaker.New(free, 4096, 4097).
			Node("y = Relu x"), `an example of more than 16777216 values is not taken`},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := test.graph.Model()
			if err := model.Check(); err != nil {
				t.Fatalf("the test's own model: %v", err)
			}
			network, _, err := convert.ToNetwork(model, "")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q\n%v", err, test.want, network)
			}
		})
	}
}

// What depends on the second output of a node that is refused is not told, either: there is one
// reason. A second output without a name is nobody's.
func TestToNetworkTellsNothingOfSecondOutputs(t *testing.T) {
	refused := []*onnxpb.AttributeProto{graphmaker.Ints("kernel_shape", 2, 2),
		graphmaker.Ints("dilations", 2, 2)}
	for outputs, then := range map[string]string{"a,b": "c = Cast b", "a,": "c = Relu a"} {
		graph := graphmaker.New(graphmaker.Free, 2, 6, 6).Node(outputs+" = MaxPool x", refused...).
			Node(then, graphmaker.Int("to", 1)).Node("y = Relu c")
		if strings.Contains(then, "Relu") {
			graph = graphmaker.New(graphmaker.Free, 2, 6, 6).Node(outputs+" = MaxPool x", refused...).
				Node(then).Node("y = Relu c")
		}
		_, _, err := convert.ToNetwork(graph.Model(), "")
		want := `model: as a network: node 0 (MaxPool "the_a"): dilations is 2×2; a network's pooling windows have no gaps`
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", outputs, err, want)
		}
	}
}

// Each node that is refused is told, those of one reason together; what depends on one is not.
func TestToNetworkTellsAllReasons(t *testing.T) {
	graph := graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, 4).Node("a = Softsign x").
		Node("b = Celu x").Node("c = Softsign a").
		Node("d = Relu c").Node("e = Flatten x", graphmaker.Int("axis", 0)).Node("f = Add a b").
		Node("g = Add e f").Node("y = Add g d")
	_, _, err := convert.ToNetwork(graph.Model(), "")
	want := `model: as a network: 3 reasons:
  node 0 (Softsign "the_a") and 1 more: a network has no layer for the operator Softsign
  node 1 (Celu "the_b"): a network has no layer for the operator Celu
  node 4 (Flatten "the_e"): axis is 0; a network keeps the images of a batch apart, axis 1`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	for _, count := range []int{15, 16, 17, 40} { // at most 16 are told
		many := graphmaker.New(graphmaker.Free, 6).Node("s = Relu x")
		terms := "y = Sum"
		for i := range count {
			many.Node(fmt.Sprintf("r%d = Unknown%d x", i, i)).Node(fmt.Sprintf("s%d = Add s r%d", i, i))
			terms += fmt.Sprintf(" s%d", i)
		}
		_, _, err = convert.ToNetwork(many.Node(terms).Model(), "")
		if err == nil || strings.Count(err.Error(), "a network has no layer") != min(count, 16) ||
			strings.HasSuffix(err.Error(), "and more") != (count > 16) {
			t.Errorf("of %d: %v", count, err)
		}
	}
}

func TestToNetworkChoosesTheOutput(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, 4).Weight("v", -1, 1, 6, 3).
		Node("a = MatMul x w").Node("y = MatMul x v").Model()
	second := *model.Proto.Graph.Output[0].Name
	if network, _, err := convert.ToNetwork(model, second); err != nil || network.Output().
		String() != "3" {
		t.Errorf("%v, %v; the nodes that y does not depend on are no part of it", network, err)
	}
	// A value inside is an end, too: the logits before a LogSoftmax.
	model = graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, 4).Node("a = MatMul x w").
		Node("y = LogSoftmax a").Model()
	if network, _, err := convert.ToNetwork(model, "a"); err != nil || network.Output().
		String() != "4" {
		t.Errorf("%v, %v; want the logits", network, err)
	}
	if _, _, err := convert.ToNetwork(model, "z"); err == nil ||
		!strings.Contains(err.Error(), `it has no output "z"; there are "y"`) {
		t.Errorf("%v", err)
	}
}

// No file makes ToNetwork panic, and what it returns is whole: it exports.
func FuzzToNetwork(f *testing.F) {
	f.Add(encode(f, tinyModel(f)))
	paths, err := filepath.Glob("../../infer/testdata/foreign/*cnn*.onnx")
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
	for _, c := range builder.Cases() {
		network, err := c.Network("case")
		if err != nil {
			f.Fatal(err)
		}
		for _, producer := range []string{convert.ProducerName, "pytorch"} {
			model, err := convert.FromNetwork(network, network.InitialWeights(1), onnx.TrainingRecord{},
				convert.Options{})
			if err != nil {
				f.Fatal(err)
			}
			model.Proto.ProducerName = proto.String(producer)
			f.Add(encode(f, model))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		model, err := onnx.Decode(raw)
		if err != nil {
			return
		}
		network, weights, err := convert.ToNetwork(model, "")
		if err != nil {
			return
		}
		if _, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{},
			convert.Options{}); err != nil {
			t.Errorf("the network does not export: %v\n%v", err, network)
		}
	})
}

// Images may be as large as 2^24 values, and bytes.
func TestTheLimitsOfANetworksInput(t *testing.T) {
	large := graphmaker.New(graphmaker.Free, 1, 4096, 4096).Node("y = Relu x").Model()
	bytes := graphmaker.New(graphmaker.Free, 6).Node("a = Cast x", graphmaker.Int("to", 1)).
		Node("y = Relu a").Model()
	*bytes.Proto.Graph.Input[0].Type.GetTensorType().ElemType = int32(onnxpb.TensorProto_UINT8)
	for _, model := range []*onnx.Model{large, bytes} {
		if _, _, err := convert.ToNetwork(model, ""); err != nil {
			t.Error(err)
		}
	}
	*bytes.Proto.Graph.Input[0].Type.GetTensorType().ElemType = int32(onnxpb.TensorProto_INT8)
	if _, _, err := convert.ToNetwork(bytes, ""); err == nil ||
		!strings.Contains(err.Error(), "a network takes float32") {
		t.Error(err)
	}
}
