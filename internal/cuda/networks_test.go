//go:build gpu && linux && amd64

package cuda

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/train"
)

// families are small networks of the zoo's families, which have all that the large ones have.
func families(t testing.TB) map[string]*builder.Network {
	t.Helper()
	all := map[string]*builder.Network{"mobilenet-v2": inverted(t), "squeezenet": fire(t)}
	for name, f := range map[string]interface {
		Network(name string, input builder.Shape, classes int) (*builder.Network, error)
	}{
		"resnet":            zoo.ResNet{Blocks: []int{1, 1}, Width: 4, SmallImages: true},
		"resnet-bottleneck": zoo.ResNet{Blocks: []int{1, 1}, Width: 3, Bottleneck: true},
		"convnext":          zoo.ConvNeXt{Blocks: []int{1, 2}, Widths: []int{6, 8}, DropPath: 0.4},
		"mobilenet-v3": zoo.MobileNetV3{Hidden: 16, Dropout: 0.2, Blocks: []zoo.MobileNetV3Block{
			{Kernel: 3, Expanded: 16, Channels: 8, Squeeze: true, Stride: 1},
			{Kernel: 5, Expanded: 24, Channels: 8, Squeeze: true, HardSwish: true, Stride: 1},
		}},
	} {
		network, err := f.Network(name, builder.Shape{3, 9, 11}, 4)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = network
	}
	return all
}

// inverted is a network of two inverted residual blocks: MobileNetV2 without its 1280 channels
// at the end, with the uneven
// padding that EfficientNet-Lite may have.
func inverted(t testing.TB) *builder.Network {
	t.Helper()
	g := builder.NewGraph("mobilenet-v2", builder.Shape{3, 9, 11})
	conv := func(filters, kernel, stride, groups int) builder.Layer {
		c := builder.Conv2D{Filters: filters, Kernel: builder.Square(kernel), Stride: builder.Square(stride),
			Padding: builder.Square(kernel / 2), Groups: groups, NoBias: true, Init: builder.KaimingNormal}
		if stride == 2 {
			c.Padding, c.PaddingExtra = builder.Size{}, builder.Size{Height: 1, Width: 2}
		}
		return c
	}
	norm, relu := builder.BatchNorm{}, builder.ReLU6{}
	x := g.Then(g.Input(), conv(6, 3, 2, 1), norm, relu)
	for _, stride := range []int{2, 1} {
		y := g.Then(x, conv(12, 1, 1, 1), norm, relu, conv(12, 3, stride, 12), norm, relu, conv(6, 1, 1, 1), norm)
		if stride == 1 {
			y = g.Join(builder.Add{}, y, x)
		}
		x = y
	}
	network, err := g.Network(g.Then(x, conv(16, 1, 1, 1), norm, relu, builder.GlobalAvgPool{}, builder.Flatten{},
		builder.Dropout{P: 0.2}, builder.Dense{Units: 4}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// fire is a network of one Fire module: SqueezeNet for pictures that are smaller than its own
// poolings take.
func fire(t testing.TB) *builder.Network {
	t.Helper()
	g := builder.NewGraph("squeezenet", builder.Shape{3, 9, 11})
	conv := func(filters, kernel int) builder.Layer {
		return builder.Conv2D{Filters: filters, Kernel: builder.Square(kernel), Padding: builder.Square(kernel / 2),
			Init: builder.KaimingUniform}
	}
	x := g.Then(g.Input(), conv(6, 3), builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(3), Stride: builder.Square(2), CeilMode: true}, conv(4, 1), builder.ReLU{})
	x = g.Join(builder.Concat{}, g.Then(x, conv(8, 1), builder.ReLU{}), g.Then(x, conv(5, 3), builder.ReLU{}))
	network, err := g.Network(g.Then(x, builder.Dropout{P: 0.3}, conv(4, 1), builder.ReLU{}, builder.GlobalAvgPool{},
		builder.Flatten{}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// colours are n small pictures of four classes, each of which has a colour of its own.
func colours(t testing.TB, n int) *dataset.Set {
	t.Helper()
	const channels, height, width, classes = 3, 9, 11, 4
	source := rand.New(rand.NewPCG(5, 6))
	images := make([]uint8, 0, n*channels*height*width)
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(source.IntN(classes))
		for c := range channels {
			base := 150 * (int(labels[i]) >> c & 1)
			for range height * width {
				images = append(images, uint8(base+source.IntN(100)))
			}
		}
	}
	set, err := dataset.NewSet("colours", images, labels, channels, height, width, classes)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func familyConfig() train.Config {
	return train.Config{Data: "colours", BatchSize: 8, Epochs: 1, Seed: 7,
		Optimizer: train.OptimizerConfig{Name: "sgd", LearningRate: 0.01, Momentum: 0.9, WeightDecay: 1e-4}}
}

// Ten steps of the families, the last of them short, have the losses and the running statistics
// of the native CPU
// engine, and the gradients of the plain loops in float64 from the same weights. The native
// engine's own gradients are
// those of float32, where a value next to a kink goes the other way.
func TestTenStepsOfTheFamilies(t *testing.T) {
	const lossTolerance, gradientTolerance, statisticTolerance = 1e-5, 2e-5, 1e-5
	set := colours(t, 9*8+4)
	for name, network := range families(t) {
		t.Run(name, func(t *testing.T) {
			config := familyConfig()
			want, before, order := nativeRun(t, network, set, config)
			got := deviceSteps(t, openDevice(t), network, set, config)
			config, err := config.WithDefaults(network)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				want[i].gradients = gradientsOn(t, builder.EnginePlain, network, set, config, before, order[i], uint64(i))
				asOfLayers(got[i].gradients, want[i].gradients)
				before = got[i].weights
			}
			compareSteps(t, got, want, lossTolerance, gradientTolerance)
			worst := 0.0
			for i := range want {
				e := compareStatistics(t, got[i].weights, want[i].weights, statisticTolerance)
				worst = max(worst, e)
			}
			t.Logf("running statistics are at most %.2g of a deviation or a variance off", worst)
		})
	}
}

// asOfLayers puts each normalisation's gradients of γ and β together: they are of one scale, and
// either may be 0 but for
// rounding. That of β is where only a convolution and another normalisation follow, and that of
// γ, with β still 0, where a
// rectifier and a convolution of each channel by itself come before that.
func asOfLayers(got, want builder.Weights) {
	for i := range want {
		layer, isBias := strings.CutSuffix(want[i].Name, ".bias")
		if isBias && i > 0 && want[i-1].Name == layer+".weight" && len(want[i-1].Shape) == 1 {
			for _, gradients := range []builder.Weights{got, want} {
				both := slices.Concat(gradients[i-1].Data, gradients[i].Data)
				gradients[i-1].Data, gradients[i].Data = both, both
			}
		}
	}
}

// compareStatistics compares running means with their deviations, and variances with themselves.
func compareStatistics(t *testing.T, got, want builder.Weights, tolerance float64) (worst float64) {
	t.Helper()
	for i, tensor := range want {
		var e float64
		switch {
		case strings.HasSuffix(tensor.Name, ".running_mean"):
			for c, mean := range tensor.Data {
				e = max(e, math.Abs(float64(got[i].Data[c]-mean))/math.Sqrt(float64(want[i+1].Data[c])))
			}
		case strings.HasSuffix(tensor.Name, ".running_var"):
			e = relativeError(got[i].Data, tensor.Data)
		}
		worst = max(worst, e)
		if !(e <= tolerance) {
			t.Errorf("%s is %.2g off", tensor.Name, e)
		}
	}
	return worst
}
