// Package networktest makes the networks that are graphs, and the models with operators of such
// networks, which tests of several packages export, evaluate and draw.
package networktest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// ResNet20 returns the network of He et al. (2016), section 4.2, for images 3×32×32 and ten
// classes, with projections at the shortcuts that change the shape. width is 16 in the paper.
func ResNet20(t testing.TB, width int) *builder.Network {
	t.Helper()
	return residual(t, "resnet20", builder.Shape{3, 32, 32}, width, 3, 10)
}

// Residual returns a network of three residual blocks for images of that shape.
func Residual(t testing.TB, input builder.Shape, classes int) *builder.Network {
	t.Helper()
	return residual(t, "residual", input, 4, 1, classes)
}

// residual returns a network of three stages of so many blocks.
func residual(t testing.TB, name string, input builder.Shape, width, blocks,
	classes int) *builder.Network {
	t.Helper()
	g := builder.NewGraph(name, input)
	conv := func(name string, filters, kernel, stride int) builder.Conv2D {
		return builder.Conv2D{Name: name, Filters: filters, Kernel: builder.Square(kernel),
			Stride:  builder.Square(stride),
			Padding: builder.Square(kernel / 2), NoBias: true, Init: builder.KaimingNormal}
	}
	x := g.Then(g.Input(), conv("conv1", width, 3, 1), builder.BatchNorm{Name: "bn1"},
		builder.ReLU{Name: "relu"})
	for stage := range 3 {
		for block := range blocks {
			leave := g.Scope(fmt.Sprintf("layer%d.%d", stage+1, block))
			filters, stride := width<<stage, 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			y := g.Then(x, conv("conv1", filters, 3, stride), builder.BatchNorm{Name: "bn1"},
				builder.ReLU{Name: "relu1"}, conv("conv2", filters, 3, 1), builder.BatchNorm{Name: "bn2"})
			if stride > 1 {
				x = g.Then(x, conv("downsample.0", filters, 1, stride), builder.BatchNorm{Name: "downsample.1"})
			}
			x = g.Then(g.Join(builder.Add{Name: "add"}, y, x), builder.ReLU{Name: "relu2"})
			leave()
		}
	}
	x = g.Then(x, builder.GlobalAvgPool{Name: "avgpool"}, builder.Flatten{Name: "flatten"})
	network, err := g.Network(g.Then(x, builder.Dense{Name: "fc", Units: classes}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// Weights returns initial weights with statistics as training leaves them: running means and
// variances, factors and summands that differ from channel to channel.
func Weights(network *builder.Network, seed uint64) builder.Weights {
	weights := network.InitialWeights(seed)
	random := rand.New(rand.NewPCG(seed, 1))
	normalised := make(map[string]bool)
	for _, node := range network.Nodes() {
		normalised[node.Name] = node.Layer.Kind() == "BatchNorm"
	}
	for _, tensor := range weights {
		dot := strings.LastIndex(tensor.Name, ".")
		if !normalised[tensor.Name[:dot]] {
			continue
		}
		for i := range tensor.Data {
			switch tensor.Name[dot+1:] {
			case "weight", "running_var":
				tensor.Data[i] = float32(0.5 + random.Float64())
			default:
				tensor.Data[i] = float32(0.2 * random.NormFloat64())
			}
		}
	}
	return weights
}

// Model returns the ONNX model of the network with Weights.
func Model(t testing.TB, network *builder.Network) *onnx.Model {
	t.Helper()
	model, err := convert.FromNetwork(network, Weights(network, 1), onnx.TrainingRecord{},
		convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// Mobile returns the model of a small network with what MobileNetV3 and DenseNet are made of: a
// depthwise convolution with BatchNormalization and HardSigmoid, squeeze-and-excitation, and a
// Concat of branches. It takes x, N×3×12×12, and gives ten logits, y.
func Mobile() *onnx.Model {
	g := graphmaker.New(graphmaker.Free, 3, 12, 12)
	normalise := func(name string, channels int64) {
		g.Weight(name+"g", 0.5, 1.5, channels).Weight(name+"b", -0.3, 0.3, channels)
		g.Weight(name+"m", -0.3, 0.3, channels).Weight(name+"v", 0.5, 1.5, channels)
	}
	same := graphmaker.Ints("pads", 1, 1, 1, 1)
	normalise("n1", 8)
	normalise("n2", 8)
	g.Weight("w1", -0.5, 0.5, 8, 3, 3, 3).Weight("w2", -0.6, 0.6, 8, 1, 3, 3)
	g.Weight("w3", -0.8, 0.8, 4, 8, 1, 1).Weight("b3", -0.1, 0.1, 4)
	g.Weight("w4", -0.8, 0.8, 8, 4, 1, 1).Weight("b4", -0.1, 0.1, 8)
	g.Weight("w5", -0.6, 0.6, 6, 8, 1, 1).Weight("w6", -0.5, 0.5, 10, 14).Weight("b6", -0.1, 0.1, 10)
	g.Node("c1 = Conv x w1", same).Node("b1 = BatchNormalization c1 n1g n1b n1m n1v").
		Node("r1 = Relu b1")
	g.Node("c2 = Conv r1 w2", same, graphmaker.Int("group", 8)).
		Node("b2 = BatchNormalization c2 n2g n2b n2m n2v")
	g.Node("s2 = HardSigmoid b2", graphmaker.Float("alpha", 1.0/6), graphmaker.Float("beta", 0.5)).
		Node("h2 = Mul b2 s2")
	g.Node("p = GlobalAveragePool h2").Node("c3 = Conv p w3 b3").Node("r3 = Relu c3").
		Node("c4 = Conv r3 w4 b4")
	g.Node("e = Sigmoid c4").Node("m = Mul h2 e").Node("a = Add m r1")
	g.Node("c5 = Conv a w5").Node("r5 = Relu c5").Node("k = Concat a r5", graphmaker.Int("axis", 1))
	g.Node("q = GlobalAveragePool k").Node("f = Flatten q", graphmaker.Int("axis", 1)).
		Node("y = Gemm f w6 b6", graphmaker.Int("transB", 1))
	return g.Model()
}
