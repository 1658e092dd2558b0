package train

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/internal/kernel"
	"slipway/scripts/golden/goldentest"
)

// Small forms of the zoo's networks are trained beside PyTorch: from the same weights on the same
// batches, without dropout. Each loss may be off by lossTolerance; a gradient of the first step by
// a thousandth of its tensor's largest, and a statistic after the last step by a ten-thousandth of
// its.
//
// A tensor whose values in PyTorch's float64 are all below zeroTolerance is 0 but for rounding,
// such as the gradient of a bias that the next normalisation takes away. It has no largest value to
// go by: it must be below roundingTolerance.
const (
	firstGradientTolerance = 1e-3
	statisticTolerance     = 1e-4
	zeroTolerance          = 1e-9
	roundingTolerance      = 1e-6
)

// goldenClasses is the number of classes in the golden files of networks.
const goldenClasses = 5

// smallForm is a golden file and its network.
type smallForm struct {
	name    string
	network func(input builder.Shape) (*builder.Network, error)
}

func smallForms() []smallForm {
	of := func(f interface {
		Network(string, builder.Shape, int) (*builder.Network, error)
	}) func(builder.Shape) (*builder.Network, error) {
		return func(input builder.Shape) (*builder.Network, error) {
			return f.Network("small", input, goldenClasses)
		}
	}
	normalised := func(input builder.Shape) (*builder.Network, error) {
		return builder.New("normalised", input,
			builder.Conv2D{Name: "conv1", Filters: 4, Kernel: builder.Square(3), Padding: builder.Square(1),
				NoBias: true},
			builder.BatchNorm{Name: "bn1"}, builder.ReLU{}, builder.GlobalAvgPool{}, builder.Flatten{},
			builder.Dense{Name: "fc", Units: goldenClasses})
	}
	return []smallForm{
		{"resnet20", of(zoo.ResNet{Blocks: []int{3, 3, 3}, Width: 8, SmallImages: true})},
		{"mobilenet_v2", of(zoo.MobileNetV2{Width: 0.25, Stages: []zoo.Stage{
			{Expand: 1, Channels: 16, Blocks: 1, Stride: 1}, {Expand: 6, Channels: 24, Blocks: 2, Stride: 2},
			{Expand: 6, Channels: 32, Blocks: 2, Stride: 2}}})},
		{"mobilenet_v3_small", of(zoo.MobileNetV3{Hidden: 32, Blocks: []zoo.MobileNetV3Block{
			{Kernel: 3, Expanded: 16, Channels: 16, Squeeze: true, Stride: 2},
			{Kernel: 3, Expanded: 40, Channels: 24, Stride: 2},
			{Kernel: 5, Expanded: 64, Channels: 24, Squeeze: true, HardSwish: true, Stride: 1}}})},
		{"squeezenet1_1", of(zoo.SqueezeNet{Width: 0.25})},
		{"convnext_tiny", of(zoo.ConvNeXt{Blocks: []int{2, 2}, Widths: []int{8, 16}})},
		{"batch-of-1", normalised},
		{"batch-of-257", normalised},
	}
}

func TestNetworksTrainAsInPyTorch(t *testing.T) {
	for _, form := range smallForms() {
		t.Run(form.name, func(t *testing.T) {
			golden := goldentest.Read(t,
				filepath.Join("testdata", "network-"+form.name+".safetensors")).Cases[0]
			network, err := form.network(builder.Shape{3, golden.Size, golden.Size})
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range kernel.Available() {
				t.Run(set, func(t *testing.T) {
					t.Setenv(kernel.EnvironmentVariable, set)
					trainAsGolden(t, network, golden, builder.EngineNative)
				})
			}
			t.Run(builder.EngineGorgonia, func(t *testing.T) {
				trainAsGolden(t, network, golden, builder.EngineGorgonia)
			})
		})
	}
}

func trainAsGolden(t *testing.T, network *builder.Network, golden goldentest.Case, engine string) {
	t.Helper()
	losses := golden.Floats(t, "losses")
	var optimizer OptimizerConfig
	if err := json.Unmarshal(golden.Optimizer, &optimizer); err != nil {
		t.Fatal(err)
	}
	var weights builder.Weights
	for _, spec := range network.Tensors() {
		weights = append(weights, builder.Tensor{Name: spec.Name, Shape: spec.Shape,
			Data: golden.Floats(t, "weight "+spec.Name)})
	}
	set := hashed(len(losses)*golden.Batch, golden.Size)
	trainer, err := New(network, set, Config{
		BatchSize: golden.Batch, Epochs: 1, Pixels: PixelsHalf, Optimizer: optimizer, Engine: engine,
	}, weights)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	for step, want := range losses {
		indices := make([]int, golden.Batch)
		for i := range indices {
			indices[i] = step*golden.Batch + i
		}
		if err := trainer.step(t.Context(), indices); err != nil {
			t.Fatal(err)
		}
		if got := trainer.Progress().LastLoss; !near(got, want) {
			t.Errorf("step %d: loss %.6f, PyTorch has %.6f", step+1, got, want)
		}
		if step > 0 {
			continue
		}
		p, err := trainer.program(golden.Batch, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, parameter := range trainer.variables.Learned() {
			name := network.Tensors()[parameter].Name
			value, err := p.model[i].Grad()
			if err != nil {
				t.Fatal(err)
			}
			got := trainer.variables.ToPublic(parameter, denseOf(t, value))
			compareLargest(t, "gradient of "+name, got, golden.Floats(t, "gradient "+name),
				firstGradientTolerance)
		}
	}
	after := trainer.Weights()
	for _, spec := range network.Tensors() {
		if spec.Role == builder.Statistic {
			got, _ := after.Get(spec.Name)
			compareLargest(t, spec.Name, got.Data, golden.Floats(t, "statistic "+spec.Name),
				statisticTolerance)
		}
	}
}

func denseOf(t *testing.T, value gorgonia.Value) []float32 {
	t.Helper()
	dense, ok := value.(*tensor.Dense)
	if !ok {
		t.Fatalf("a gradient is a %T", value)
	}
	return dense.Float32s()
}

// compareLargest compares by a share of the largest value.
func compareLargest(t *testing.T, what string, got, want []float32, share float64) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	if largest > zeroTolerance {
		goldentest.Compare(t, what, got, want, goldentest.Tolerance{OfLargest: share})
		return
	}
	for i, g := range got {
		if !(math.Abs(float64(g)) <= roundingTolerance) {
			t.Errorf("%s: value %d is %g, PyTorch has 0", what, i, g)
			return
		}
	}
}

// hashed is a set of what scripts/golden/networks.py computes, too: a hash of each byte's place.
func hashed(images, size int) *dataset.Set {
	set := &dataset.Set{Name: "hashed", Channels: 3, Height: size, Width: size, Classes: goldenClasses}
	for i := range images {
		set.Labels = append(set.Labels, int32(i%goldenClasses))
	}
	for i := range images * 3 * size * size {
		h := uint32(i) * 0x9E3779B1
		h ^= h >> 15
		h *= 0x85EBCA77
		h ^= h >> 13
		set.Images = append(set.Images, byte(h>>24))
	}
	return set
}

// A network with batch normalisation computes a batch as one, however large: of parts the
// statistics would be others.
func TestABatchIsNotInPartsWhereItIsNormalised(t *testing.T) {
	input := builder.Shape{3, 24, 24}
	layers := func(between ...builder.Layer) []builder.Layer {
		all := append([]builder.Layer{builder.Conv2D{Filters: 4, Kernel: builder.Square(3)}}, between...)
		return append(all, builder.ReLU{}, builder.Conv2D{Filters: 4, Kernel: builder.Square(3)},
			builder.GlobalAvgPool{},
			builder.Flatten{}, builder.Dense{Units: goldenClasses})
	}
	for _, test := range []struct {
		what  string
		layer []builder.Layer
		parts bool
	}{
		{"without", nil, true},
		{"batch normalisation", []builder.Layer{builder.BatchNorm{}}, false},
		{"frozen batch normalisation", []builder.Layer{builder.BatchNorm{Frozen: true}}, true},
		{"normalisation of each image", []builder.Layer{builder.LayerNorm{}}, true},
	} {
		network, err := builder.New("parts", input, layers(test.layer...)...)
		if err != nil {
			t.Fatal(err)
		}
		const batch = 257
		if parts := partSize(network) < batch; parts != test.parts {
			t.Errorf("%s: in parts %v, want %v", test.what, parts, test.parts)
		}
		trainer, err := New(network, hashed(batch, 24), Config{BatchSize: batch, Epochs: 1,
			Optimizer: OptimizerConfig{Name: "sgd", LearningRate: 1e-4}, Pixels: PixelsUnit}, nil)
		if err != nil {
			t.Fatal(err)
		}
		indices := make([]int, batch)
		for i := range indices {
			indices[i] = i
		}
		if err := trainer.step(t.Context(), indices); err != nil {
			t.Error(err)
		}
		var sizes []int
		for key := range trainer.programs {
			sizes = append(sizes, key.batch)
		}
		if whole := slices.Equal(sizes, []int{batch}); whole == test.parts {
			t.Errorf("%s: graphs of %v images, of a batch of %d", test.what, sizes, batch)
		}
		trainer.Close()
	}
}
