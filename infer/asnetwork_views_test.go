package infer

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

func tensorNamed(name string, elementType onnxpb.TensorProto_DataType,
	dims ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(elementType)),
		Dims: dims}
}

// Scales, shifts and other views of the data, one after the other and in the ways in which
// graphs may write them.
func TestViewsAsNetworks(t *testing.T) {
	const free = graphmaker.Free
	const dense, flat = "Dense", "Flatten Dense"
	perm := func(axes ...int64) *onnxpb.AttributeProto { return graphmaker.Ints("perm", axes...) }
	axis0 := graphmaker.Int("axis", 0)
	maps := tensorNamed("k", onnxpb.TensorProto_FLOAT, 3, 1, 4)
	for _, value := range []float32{0.5, 2, -1} { // one for each channel, all over its map
		maps.FloatData = append(maps.FloatData, value, value, value, value)
	}
	short := tensorNamed("s", onnxpb.TensorProto_INT32, 2)
	short.Int32Data = []int32{-1, 6}
	raw := tensorNamed("s", onnxpb.TensorProto_INT32, 2)
	raw.RawData = []byte{255, 255, 255, 255, 6, 0, 0, 0}
	off := tensorNamed("off", onnxpb.TensorProto_BOOL)
	off.Int32Data = []int32{0}
	rawOff := tensorNamed("off", onnxpb.TensorProto_BOOL)
	rawOff.RawData = []byte{0}
	features := func() *graphmaker.Graph { return graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4) }
	small := func() *graphmaker.Graph { return graphmaker.New(free, 1, 4, 4) }
	for _, test := range []struct {
		name    string
		c, h, w int
		opset   int64 // 0 for the maker's
		graph   *graphmaker.Graph
		kinds   string
	}{
		{"scaled, shifted and scaled again", 1, 8, 7, 0, graphmaker.New(free, 1, 8, 7).
			Weight("k", 0.3, 0.5).Weight("b", 1, 2).Weight("l", 2, 3).
			Node("a = Mul x k").Node("c = Add a b").Node("d = Mul l c").Weight("w", -1, 1, 3, 1, 3, 3).
			Node("e = Conv d w").Node("f = Flatten e").Dense("f", 3*6*5),
			"Conv2D Flatten Dense"},
		{"a constant less the data", 1, 1, 6, 0, features().Weight("k", 1, 2, 6).Node("a = Sub k x").
			Node("y = MatMul a w"), dense},
		{"a row of channels, channels last", 3, 6, 5, 0, graphmaker.New(free, 6, 5, 3).
			Weight("k", 0.1, 1, 1, 3).Node("a = Mul x k").Node("b = Flatten a").
			Dense("b", 90), "Scale Flatten Dense"},
		{"a map for each channel", 3, 2, 4, 0, graphmaker.New(free, 3, 2, 4).Tensor(maps).
			Node("a = Mul x k").Node("b = Flatten a").Dense("b", 24), "Scale Flatten Dense"},
		{"channels and then features scaled", 3, 2, 4, 0, graphmaker.New(free, 3, 2, 4).
			Weight("k", 0.5, 2, 3, 1, 1).Node("a = Mul x k").Node("b = Flatten a").Weight("l", 0.5, 2, 24).
			Node("c = Mul b l").Dense("c", 24), "Scale Flatten Dense"},
		{"features flattened", 1, 1, 6, 0, features().Node("a = Flatten x").Node("y = MatMul a w"), flat},
		{"flattened from an axis counted from the end", 3, 2, 4, 0, graphmaker.New(free, 3, 2, 4).
			Node("a = Flatten x", graphmaker.Int("axis", -3)).Dense("a", 24), flat},
		{"features reshaped to themselves", 1, 1, 6, 0, features().Integers("s", -1, 6).
			Node("a = Reshape x s").Node("b = MatMul a w").Integers("t", -1, 4).Node("c = Reshape b t").
			Node("y = Relu c"), "Dense ReLU"},
		{"features rearranged", 1, 1, 12, 0, graphmaker.New(free, 12).Integers("s", -1, 3, 4).
			Node("a = Reshape x s").Node("b = Transpose a", perm(0, 2, 1)).Integers("t", -1, 12).
			Node("c = Reshape b t").Dense("c", 12), dense},
		{"features rearranged and scaled", 1, 1, 12, 0, graphmaker.New(free, 12).Integers("s", -1, 3, 4).
			Node("a = Reshape x s").Node("b = Transpose a", perm(0, 2, 1)).
			Integers("t", -1, 12).Node("c = Reshape b t").Weight("k", 0.5, 2, 12).Node("d = Mul c k").
			Dense("d", 12), dense},
		{"rows transposed", 1, 6, 5, 0, graphmaker.New(free, 6, 5).Node("a = Transpose x", perm(0, 2, 1)).
			Node("b = Flatten a").Dense("b", 30), flat},
		{"a transposition of nothing", 1, 4, 4, 0, small().Node("a = Transpose x", perm(0, 1, 2, 3)).
			Node("b = MaxPool a", graphmaker.Ints("kernel_shape", 2, 2), graphmaker.Ints("strides", 2, 2)).
			Node("c = Flatten b").Dense("c", 4), "MaxPool2D Flatten Dense"},
		{"four channels of three columns", 4, 6, 3, 0, graphmaker.New(free, 4, 6, 3).
			Weight("w", -1, 1, 2, 4, 3, 3).Node("a = Conv x w").Node("b = Flatten a").
			Dense("b", 2*4), "Conv2D Flatten Dense"},
		{"four channels flattened", 4, 6, 5, 0, graphmaker.New(free, 4, 6, 5).Node("a = Flatten x").
			Dense("a", 120), flat},
		{"three channels of two columns flattened", 3, 6, 2, 0, graphmaker.New(free, 3, 6, 2).
			Node("a = Flatten x").Dense("a", 36), flat},
		{"zeros that copy dimensions", 1, 4, 4, 0, small().Integers("s", 0, 0, 0, 4).
			Node("a = Reshape x s").Integers("t", 0, 16).Node("b = Reshape a t").Dense("b", 16), flat},
		{"a batch that is fixed and named", 1, 4, 4, 0, graphmaker.New(5, 1, 4, 4).Integers("s", 5, 16).
			Node("a = Reshape x s").Dense("a", 16), flat},
		{"a shape cut from its end", 1, 4, 4, 0, small().Node("s = Shape x").Integers("b", -4).
			Integers("e", -3).Integers("ax", -1).Node("n = Slice s b e ax").
			Integers("rest", -1).Node("t = Concat n rest", axis0).Node("a = Reshape x t").
			Dense("a", 16), flat},
		{"a shape cut by attributes", 1, 4, 4, 9, small().Node("s = Shape x").
			Node("n = Slice s", graphmaker.Ints("starts", 0), graphmaker.Ints("ends", 1),
				graphmaker.Ints("axes", 0)).
			Integers("rest", -1).Node("t = Concat n rest", axis0).Node("a = Reshape x t").
			Dense("a", 16), flat},
		{"a part of a shape", 1, 4, 4, 0, small().
			Node("n = Shape x", graphmaker.Int("start", -4), graphmaker.Int("end", 1)).
			Integers("rest", -1).Node("t = Concat n rest", axis0).Node("a = Reshape x t").
			Dense("a", 16), flat},
		{"a dimension counted from the end", 1, 4, 4, 0, small().Node("s = Shape x").Integers("i", -4).
			Node("n = Gather s i").Integers("rest", -1).Node("t = Concat n rest", axis0).
			Node("u = Cast t", graphmaker.Int("to", 7)).
			Node("a = Reshape x u", graphmaker.Int("allowzero", 1)).Dense("a", 16), flat},
		{"a dimension made a vector again", 1, 4, 4, 0, small().Node("s = Shape x").Integers("i.", 0).
			Node("n = Gather s i.").Integers("z", 0).Node("u = Unsqueeze n z").
			Node("v = Squeeze u").Node("w = Unsqueeze v z").Integers("rest", -1).
			Node("t = Concat w rest", axis0).Node("a = Reshape x t").Dense("a", 16), flat},
		{"int32 made int64", 1, 1, 6, 0, features().Tensor(short).
			Node("t = Cast s", graphmaker.Int("to", 7)).Node("a = Reshape x t").
			Node("y = MatMul a w"), dense},
		{"raw int32 made int64", 1, 1, 6, 0, features().Tensor(raw).
			Node("t = Cast s", graphmaker.Int("to", 7)).Node("a = Reshape x t").
			Node("y = MatMul a w"), dense},
		{"weights cast to what they are", 1, 1, 6, 0, features().
			Node("v = Cast w", graphmaker.Int("to", 1)).Node("y = MatMul x v"), dense},
		{"weights reshaped", 1, 1, 6, 0, graphmaker.New(free, 6).Weight("w", -1, 1, 6, 2, 2).
			Integers("s", 0, -1).Node("v = Reshape w s").Node("y = MatMul x v"), dense},
		{"all dimensions of 1 dropped", 3, 6, 5, 0, graphmaker.New(free, 3, 6, 5).
			Node("a = GlobalAveragePool x").Node("b = Squeeze a").
			Dense("b", 3), "GlobalAvgPool Flatten Dense"},
		{"one dimension of 1 dropped after the other", 3, 6, 5, 0, graphmaker.New(free, 3, 6, 5).
			Node("a = GlobalAveragePool x").Integers("two", 2).Node("b = Squeeze a two").
			Node("c = Squeeze b two").Dense("c", 3), "GlobalAvgPool Flatten Dense"},
		{"a dimension added and dropped at the end", 1, 1, 6, 0, features().Integers("last", -1).
			Node("a = Unsqueeze x last").Node("b = Squeeze a last").Node("y = MatMul b w"), dense},
		{"a kernel of one, spread", 1, 4, 4, 0, small().Weight("w", -1, 1, 2, 1, 1, 1).
			Node("a = Conv x w", graphmaker.Ints("dilations", 2, 2)).Node("b = Flatten a").
			Dense("b", 32), "Conv2D Flatten Dense"},
		{"windows that fill the padded map", 1, 3, 3, 0, graphmaker.New(free, 1, 3, 3).
			Node("a = MaxPool x", graphmaker.Ints("kernel_shape", 2, 2),
				graphmaker.Ints("strides", 3, 3), graphmaker.Ints("pads", 1, 1, 1,
					1), graphmaker.Int("ceil_mode", 1)).Node("b = Flatten a").
			Dense("b", 4), "MaxPool2D Flatten Dense"},
		{"dropout that is off", 1, 1, 6, 0, features().Node("a = MatMul x w").Weight("r", 0.25, 0.25).
			Tensor(off).Node("b = Dropout a r off").Node("y = Relu b"), "Dense Dropout ReLU"},
		{"dropout that is off, raw", 1, 1, 6, 0, features().Node("a = MatMul x w").
			Weight("r", 0.25, 0.25).Tensor(rawOff).Node("b = Dropout a r off").
			Node("y = Relu b"), "Dense Dropout ReLU"},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := test.graph.Model()
			if test.opset != 0 {
				model.Proto.OpsetImport[0].Version = proto.Int64(test.opset)
			}
			requireNetwork(t, model, test.c, test.h, test.w, test.kinds)
		})
	}
}
