package infer

import (
	"math"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// Graphs that are no chain, and layers that exporters write as several operators: onnxruntime and
// the trainer compute the same.
func TestBranchesAsNetworks(t *testing.T) {
	const free = graphmaker.Free
	axis1 := graphmaker.Int("axis", 1)
	perm := func(axes ...int64) *onnxpb.AttributeProto { return graphmaker.Ints("perm", axes...) }
	toLast, toFirst := perm(0, 2, 3, 1), perm(0, 3, 1, 2)
	features := func() *graphmaker.Graph { return graphmaker.New(free, 6).Weight("w", -1, 1, 6, 4) }
	image := func() *graphmaker.Graph { return graphmaker.New(free, 4, 6, 5) }
	conv := func() *graphmaker.Graph {
		return image().Weight("w", -1, 1, 4, 4, 3, 3).
			Node("a = Conv x w", graphmaker.Ints("pads", 1, 1, 1, 1))
	}
	end := func(g *graphmaker.Graph, input string) *graphmaker.Graph {
		return g.Node("z = Flatten "+input).Dense("z", 120)
	}
	number := func(g *graphmaker.Graph, name string, value float64) *graphmaker.Graph {
		return g.Weight(name, value, value)
	}
	half := func(g *graphmaker.Graph) *graphmaker.Graph { return number(g, "half", 0.5) }
	norm := func() *graphmaker.Graph {
		return number(number(image(), "two", 2), "epsilon", 1e-5).Integers("last", -1).
			Node("t = Transpose x", toLast)
	}
	normalised := func(g *graphmaker.Graph) *graphmaker.Graph {
		return end(g.Weight("s", 0.5, 2, 4).Weight("o", -1, 1, 4).Node("p = Mul n s").Node("q = Add p o").
			Node("r = Transpose q", toFirst), "r")
	}
	for _, test := range []struct {
		name    string
		c, h, w int
		graph   *graphmaker.Graph
		kinds   string
	}{
		{"branches", 1, 1, 6, features().Node("a = Relu x").Node("b = MatMul a w").
			Weight("v", -1, 1, 6, 4).Node("c = MatMul a v").Node("y = Add b c"), "ReLU Dense Dense Add"},
		{"a residual block", 4, 6, 5, end(conv().Node("b = Relu a").Node("c = Add b x").
			Node("d = Sum c x a").Node("e = Relu d"), "e"), "Conv2D ReLU Add Add ReLU Flatten Dense"},
		{"joined channels, channels last", 4, 6, 5, conv().Node("b = Transpose a", toLast).
			Node("c = Transpose x", toLast).Node("d = Concat b c", graphmaker.Int("axis", -1)).
			Node("e = Transpose d", toFirst).Node("f = GlobalMaxPool e").Node("g = Flatten f").
			Dense("g", 8), "Conv2D Concat GlobalMaxPool Flatten Dense"},
		{"joined features", 4, 6, 5, conv().Node("b = GlobalMaxPool a").Node("c = Flatten b").
			Node("d = GlobalAveragePool x").Node("e = Flatten d").
			Node("f = Concat c e c", axis1).
			Dense("f", 12), "Conv2D GlobalMaxPool Flatten GlobalAvgPool Flatten Concat Dense"},
		{"a scale that another layer needs without it", 1, 1, 6, features().Weight("k", 0.5, 2, 4).
			Node("a = MatMul x w").Node("b = Mul a k").Node("y = Add a b"), "Dense Scale Add"},
		{"a scale between rectifiers", 1, 1, 6, features().Weight("k", 0.5, 2, 4).Node("a = MatMul x w").
			Node("b = Relu a").Node("c = Mul b k").Node("y = Relu c"), "Dense ReLU Scale ReLU"},
		{"a scale at the end", 1, 1, 6, graphmaker.New(free, 6).Weight("w", -1, 1, 6, 6).
			Weight("k", 0.5, 2, 6).Node("a = MatMul x w").Node("b = Relu a").
			Node("y = Mul b k"), "Dense ReLU Scale"},
		{"scales that are one, and a shift", 1, 1, 6, features().Weight("k", 0.5, 2, 6).
			Weight("l", 0.5, 2, 6).Weight("m", -1, 1, 6).Node("r = Relu x").Node("a = Mul r k").
			Node("b = Mul a l").
			Node("c = Add b m").Node("y = MatMul c w"), "ReLU Dense"},
		{"a shift between rectifiers", 1, 1, 6, features().Weight("k", -1, 1, 4).Node("a = MatMul x w").
			Node("b = Relu a").Node("c = Add b k").Node("y = Relu c"), "Dense ReLU BatchNorm ReLU"},
		{"shifted before padding", 4, 6, 5, end(image().Weight("k", 1, 2).Node("b = Add x k").
			Weight("w", -1, 1, 4, 4, 3, 3).Node("a = Conv b w", graphmaker.Ints("pads", 1, 1, 1, 1)), "a"),
			"BatchNorm Conv2D Flatten Dense"},
		{"scaled before groups", 4, 6, 5, end(image().Weight("k", 1, 2, 4, 1, 1).Node("b = Mul x k").
			Weight("l", 1, 2, 4, 1, 1).Node("c = Add b l").Weight("w", -1, 1, 4, 2, 1, 1).
			Node("a = Conv c w", graphmaker.Int("group", 2)), "a"), "Conv2D Flatten Dense"},
		{"the layer scale of ConvNeXt", 4, 6, 5, end(conv().Weight("blocks.0.gamma", 0.5, 2, 4, 1, 1).
			Node("b = Mul blocks.0.gamma a").Node("c = Add x b"), "c"), "Conv2D Scale Add Flatten Dense"},
		{"dense over channels", 4, 6, 5, end(image().Node("a = Transpose x", toLast).
			Weight("w", -1, 1, 4, 7).Weight("v", -1, 1, 7, 4).Weight("b", -1, 1, 7).
			Node("b1 = MatMul a w").Node("b2 = Add b1 b").Node("c = Relu b2").Node("d = MatMul c v").
			Node("e = Transpose d", toFirst).Node("f = Add e x"), "f"),
			"Dense ReLU Dense Add Flatten Dense"},
		{"squeeze and excitation", 4, 6, 5, end(conv().Node("b = GlobalAveragePool a").
			Weight("w1", -1, 1, 2, 4, 1, 1).Node("c = Conv b w1").Node("d = Relu c").
			Weight("w2", -1, 1, 4, 2, 1, 1).Node("e = Conv d w2").Node("f = Sigmoid e").
			Node("g = Mul f a"), "g"), "Conv2D GlobalAvgPool Conv2D ReLU Conv2D Sigmoid Mul Flatten Dense"},
		{"squeeze and excitation by dense layers", 4, 6, 5, end(conv().Node("b = GlobalAveragePool a").
			Node("b1 = Flatten b").Weight("w1", -1, 1, 4, 2).Node("c = MatMul b1 w1").
			Node("d = Relu c").Weight("w2", -1, 1, 2, 4).Weight("b2", -1, 1, 4).Node("e = Gemm d w2 b2").
			Node("f = Sigmoid e").Integers("s", 0, 4, 1, 1).Node("f1 = Reshape f s").
			Node("g = Mul a f1"), "g"), "Conv2D GlobalAvgPool Dense ReLU Dense Sigmoid Mul Flatten Dense"},
		{"squeeze by a dense layer, excitation by a convolution", 4, 6, 5,
			end(conv().Node("b = GlobalAveragePool a").Node("b1 = Flatten b").Weight("w1", -1, 1, 4, 2).
				Node("c = MatMul b1 w1").
				Integers("s", 0, 2, 1, 1).Node("d = Reshape c s").Weight("w2", -1, 1, 4, 2, 1, 1).
				Node("e = Conv d w2").Node("f = Sigmoid e").Node("g = Mul a f"), "g"),
			"Conv2D GlobalAvgPool Dense Conv2D Sigmoid Mul Flatten Dense"},
		{"squeeze and excitation, channels last", 4, 6, 5, end(conv().Node("t = Transpose a", toLast).
			Integers("map", 1, 2).Node("b = ReduceMean t map").Node("u = Transpose b", toFirst).
			Weight("w1", -1, 1, 4, 4, 1, 1).Node("c = Conv u w1").Node("v = Transpose c", toLast).
			Node("f = Sigmoid v").Node("g = Mul t f").Node("h = Transpose g", toFirst), "h"),
			"Conv2D GlobalAvgPool Conv2D Sigmoid Mul Flatten Dense"},
		{"the channel shuffle of a map, undone", 4, 6, 5, end(image().Integers("s", -1, 2, 2, 6, 5).
			Node("a = Reshape x s").Node("b = Transpose a", perm(0, 2, 1, 3, 4)).Node("c = Relu b").
			Node("d = Transpose c", perm(0, 2, 1, 3, 4)).Integers("r", -1, 4, 6, 5).
			Node("e = Reshape d r"), "e"), "ReLU Flatten Dense"},

		{"SiLU", 1, 1, 6, features().Node("a = MatMul x w").Node("b = Sigmoid a").
			Node("y = Mul b a"), "Dense SiLU"},
		{"SiLU of a double", 1, 1, 6, number(features(), "two", 2).Node("r = Relu x").
			Node("a = Mul r two").Node("b = Sigmoid a").Node("c = Mul b a").
			Node("y = MatMul c w"), "ReLU Scale SiLU Dense"},
		{"the sigmoid of another value", 1, 1, 6, features().Node("a = MatMul x w").Node("r = Relu a").
			Node("b = Sigmoid r").Node("y = Mul a b"), "Dense ReLU Sigmoid Mul"},
		{"the hard sigmoid of another value", 1, 1, 6, features().Node("a = MatMul x w").
			Node("r = Relu a").Node("b = HardSigmoid r", graphmaker.Float("alpha", 1.0/6)).
			Node("y = Mul a b"), "Dense ReLU HardSigmoid Mul"},
		{"SiLU twice", 1, 1, 6, number(features(), "two", 2).Node("a = MatMul x w").Node("b = Sigmoid a").
			Node("c = Mul a b").Node("y = Mul c two"), "Dense SiLU Scale"},
		{"HardSwish twice", 1, 1, 6, number(features(), "two", 2).Node("a = MatMul x w").
			Node("b = HardSigmoid a", graphmaker.Float("alpha", 1.0/6)).Node("c = Mul a b").
			Node("y = Mul c two"), "Dense HardSwish Scale"},
		{"HardSwish of other shifts", 1, 1, 6, number(number(features(), "six", 6), "zero", 0).
			Weight("shifts", 2, 4, 4).Node("a = MatMul x w").Node("b = Add a shifts").
			Node("c = Clip b zero six").Node("d = Mul a c").
			Node("y = Div d six"), "Dense BatchNorm ReLU6 Mul Scale"},
		{"SiLU of scaled values", 1, 1, 6, features().Weight("scales", 0.5, 2, 4).Node("a = MatMul x w").
			Node("r = Relu a").Node("b = Mul r scales").Node("c = Sigmoid r").
			Node("y = Mul b c"), "Dense ReLU Scale Sigmoid Mul"},
		{"GELU of a sum", 1, 1, 6, number(number(number(half(features()), "root", math.Sqrt2), "one", 1),
			"three", 3).Node("r = Relu x").Node("a = Sub r three").Node("b = Div a root").
			Node("c = Erf b").Node("d = Add c one").Node("e = Mul a d").Node("f = Mul e half").
			Node("y = MatMul f w"), "ReLU BatchNorm GELU Dense"},
		{"HardSwish", 1, 1, 6, features().Node("a = MatMul x w").
			Node("y = HardSwish a"), "Dense HardSwish"},
		{"HardSwish by HardSigmoid", 1, 1, 6, features().Node("a = MatMul x w").
			Node("b = HardSigmoid a", graphmaker.Float("alpha", 1.0/6)).
			Node("y = Mul a b"), "Dense HardSwish"},
		{"HardSwish by Clip", 1, 1, 6, number(number(number(features(), "three", 3), "six", 6), "zero",
			0).Node("a = MatMul x w").Node("b = Add a three").Node("c = Clip b zero six").
			Node("d = Mul a c").Node("y = Div d six"), "Dense HardSwish"},
		{"HardSwish by Clip, divided first", 1, 1, 6,
			number(number(number(features(), "three", 3), "six", 6), "zero", 0).Node("a = MatMul x w").
				Node("b = Add three a").
				Node("c = Relu b").Node("c6 = Min c six").Node("d = Div c6 six").
				Node("y = Mul a d"), "Dense HardSwish"},
		{"HardSigmoid by Clip", 1, 1, 6, number(number(number(features(), "three", 3), "six", 6), "zero",
			0).Node("a = MatMul x w").Node("r = Relu a").Node("b = Add r three").
			Node("c = Max b zero").Node("c6 = Min c six").Node("y = Div c6 six"), "Dense ReLU HardSigmoid"},
		{"GELU", 1, 1, 6, number(number(half(features()), "root", math.Sqrt2), "one", 1).
			Node("a = MatMul x w").Node("b = Div a root").Node("c = Erf b").Node("d = Add c one").
			Node("e = Mul a d").Node("y = Mul e half"), "Dense GELU"},
		{"GELU, halved first", 1, 1, 6, number(number(half(features()), "root", math.Sqrt2/2), "one", 1).
			Node("a = MatMul x w").Node("b = Mul a root").Node("c = Erf b").Node("d = Add one c").
			Node("h = Mul half a").Node("y = Mul d h"), "Dense GELU"},
		{"GELU by tanh", 1, 1, 6,
			number(number(number(number(half(features()), "root", math.Sqrt(2/math.Pi)), "one", 1), "k",
				0.044715), "three", 3).Node("a = MatMul x w").
				Node("a3 = Pow a three").Node("b = Mul a3 k").Node("c = Add a b").Node("d = Mul c root").
				Node("e = Tanh d").Node("f = Add e one").Node("g = Mul a f").
				Node("y = Mul g half"), "Dense GELU"},
		{"layer normalisation", 4, 6, 5, normalised(norm().Node("m = ReduceMean t last").
			Node("d = Sub t m").Node("d2 = Pow d two").
			Node("v = ReduceMean d2 last").Node("ve = Add v epsilon").Node("r1 = Sqrt ve").
			Node("n = Div d r1")), "LayerNorm Flatten Dense"},
		{"layer normalisation by the reciprocal", 4, 6, 5, normalised(norm().
			Node("m = ReduceMean t last").Node("d = Sub t m").Node("d2 = Mul d d").
			Node("v = ReduceMean d2 last").Node("ve = Add v epsilon").Node("r1 = Sqrt ve").
			Node("r2 = Reciprocal r1").Node("n = Mul d r2")), "LayerNorm Flatten Dense"},
		{"layer normalisation as an operator", 4, 6, 5, end(image().Node("t = Transpose x", toLast).
			Weight("s", 0.5, 2, 4).Weight("o", -1, 1, 4).
			Node("n = LayerNormalization t s o", graphmaker.Float("epsilon", 1e-3)).
			Node("r = Transpose n", toFirst), "r"), "LayerNorm Flatten Dense"},
		{"layer normalisation of features", 1, 1, 6, features().Node("a = MatMul x w").
			Weight("s", 0.5, 2, 4).Node("y = LayerNormalization a s"), "Dense LayerNorm"},
		{"group normalisation by instances", 4, 6, 5, end(image().Integers("g", 0, 2, -1).
			Node("a = Reshape x g").Weight("one", 1, 1, 2).Weight("zero", 0, 0, 2).
			Node("b = InstanceNormalization a one zero").Integers("back", -1, 4, 6, 5).
			Node("c = Reshape b back").Weight("s", 0.5, 2, 4, 1, 1).Weight("o", -1, 1, 4, 1, 1).
			Node("d = Mul c s").Node("e = Add d o"), "e"), "GroupNorm Flatten Dense"},
		{"instance normalisation", 4, 6, 5, end(image().Weight("s", 0.5, 2, 4).Weight("o", -1, 1, 4).
			Node("e = InstanceNormalization x s o"), "e"), "GroupNorm Flatten Dense"},
		{"slopes of channels", 4, 6, 5, end(image().Weight("s", 0.1, 0.5, 4, 1, 1).
			Node("e = PRelu x s"), "e"), "PReLU Flatten Dense"},
		{"one slope", 4, 6, 5, end(image().Weight("s", 0.1, 0.5, 1).Node("e = PRelu x s"), "e"),
			"PReLU Flatten Dense"},

		{"depthwise and spread", 4, 6, 5, image().Weight("w", -1, 1, 8, 1, 3, 3).
			Node("a = Conv x w", graphmaker.Int("group", 4), graphmaker.Ints("dilations", 2, 2),
				graphmaker.Ints("pads", 1, 2, 2, 2)).
			Node("z = Flatten a").Dense("z", 8*5*5), "Conv2D Flatten Dense"},
		{"padded as TensorFlow does", 4, 6, 6, graphmaker.New(free, 4, 6, 6).
			Weight("w", -1, 1, 4, 4, 3, 3).Node("a = Conv x w", graphmaker.Text("auto_pad", "SAME_UPPER"),
			graphmaker.Ints("strides", 2, 2)).
			Node("z = Flatten a").Dense("z", 36), "Conv2D Flatten Dense"},
		{"zeros around channels last", 4, 6, 5, image().Node("t = Transpose x", toLast).
			Integers("p", 0, 1, 2, 0, 0, 0, 1, 0).Node("a = Pad t p").Node("b = Transpose a", toFirst).
			Node("c = MaxPool b", graphmaker.Ints("kernel_shape", 3, 3), graphmaker.Ints("strides", 2, 2)).
			Node("z = Flatten c").Dense("z", 4*3*3), "Pad MaxPool2D Flatten Dense"},
		{"reflected", 4, 6, 5, image().Integers("p", 0, 0, 1, 2, 0, 0, 0, 1).
			Node("a = Pad x p", graphmaker.Text("mode", "reflect")).Node("z = Flatten a").
			Dense("z", 4*7*8), "Pad Flatten Dense"},
		{"means without the padding", 4, 6, 5, end(image().
			Node("e = AveragePool x", graphmaker.Ints("kernel_shape", 3, 3),
				graphmaker.Ints("pads", 1, 1, 1, 1)), "e"), "AvgPool2D Flatten Dense"},
		{"windows that are not whole", 4, 6, 5, image().
			Node("a = MaxPool x", graphmaker.Ints("kernel_shape", 3, 3), graphmaker.Ints("strides", 2, 2),
				graphmaker.Int("ceil_mode", 1)).
			Node("z = Flatten a").Dense("z", 4*3*2), "MaxPool2D Flatten Dense"},
	} {
		t.Run(test.name, func(t *testing.T) {
			requireNetwork(t, test.graph.Model(), test.c, test.h, test.w, test.kinds)
		})
	}
}
