package zoo_test

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
)

// expected is one tensor of testdata/tensors.txt.
type expected struct {
	name, shape              string
	mean, deviation, largest float64
}

// readExpected reads the lists that scripts/golden/networks.py wrote of torchvision's and timm's
// networks.
func readExpected(t *testing.T) map[string][]expected {
	t.Helper()
	raw, err := os.ReadFile("testdata/tensors.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]expected)
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 6 {
			t.Fatalf("line %q has %d fields", line, len(fields))
		}
		e := expected{name: fields[1], shape: fields[2]}
		for i, number := range []*float64{&e.mean, &e.deviation, &e.largest} {
			if *number, err = strconv.ParseFloat(fields[3+i], 64); err != nil {
				t.Fatal(err)
			}
		}
		all[fields[0]] = append(all[fields[0]], e)
	}
	return all
}

// torchvision's layer_scale is C×1×1, the network's C.
func withoutOnes(name, shape string) string {
	if strings.HasSuffix(name, ".layer_scale") {
		return strings.TrimSuffix(shape, "×1×1")
	}
	return shape
}

// Every network has the tensors of torchvision's, or timm's: names, shapes, and how they begin.
func TestTensorsAreTorchvisions(t *testing.T) {
	lists := readExpected(t)
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			want := lists[name]
			if len(want) == 0 {
				t.Fatal("testdata/tensors.txt has no such network; scripts/golden/make-golden networks makes it")
			}
			network, err := zoo.New(name, builder.Shape{3, 64, 64}, 10)
			if err != nil {
				t.Fatal(err)
			}
			weights := network.InitialWeights(1)
			if len(weights) != len(want) {
				t.Errorf("%d tensors, want %d", len(weights), len(want))
			}
			for _, w := range want {
				got, ok := weights.Get(w.name)
				switch shape := withoutOnes(w.name, w.shape); {
				case !ok:
					t.Errorf("%s is missing", w.name)
				case got.Shape.String() != shape:
					t.Errorf("%s is %v, want %s", w.name, got.Shape, shape)
				default:
					checkFirstValues(t, got, w)
				}
			}
		})
	}
}

// checkFirstValues compares how a tensor is drawn with how PyTorch drew it once: constants to the
// bit, the deviation to six of its own deviations, and whether a bound cuts the distribution off.
func checkFirstValues(t *testing.T, got builder.Tensor, want expected) {
	t.Helper()
	mean, square, largest := 0.0, 0.0, 0.0
	for _, x := range got.Data {
		mean += float64(x) / float64(len(got.Data))
		largest = max(largest, math.Abs(float64(x)))
	}
	for _, x := range got.Data {
		square += (float64(x) - mean) * (float64(x) - mean) / float64(len(got.Data))
	}
	deviation := math.Sqrt(square)
	if want.deviation < 1e-9*math.Abs(want.mean) || want.largest == 0 {
		if math.Abs(mean-want.mean) > 1e-6*math.Abs(want.mean) || deviation > 1e-9 {
			t.Errorf("%s begins as %v ± %v, want %v", got.Name, mean, deviation, want.mean)
		}
		return
	}
	if n := float64(len(got.Data)); math.Abs(deviation/want.deviation-1) > 6/math.Sqrt(n) {
		t.Errorf("%s (%d values) has the deviation %v at first, want %v", got.Name, len(got.Data),
			deviation, want.deviation)
	}
	const uniform = 2 // of uniform values it is √3; of 1,000 normal ones some are beyond 3 deviations
	if len(got.Data) >= 1000 &&
		(largest/deviation < uniform) != (want.largest/want.deviation < uniform) {
		t.Errorf("%s has largest %v of deviation %v, want %v of %v: uniform and normal are not the same",
			got.Name, largest, deviation, want.largest, want.deviation)
	}
}

// What papers and libraries count as parameters, of 1000 classes and of CIFAR's 10.
func TestParameterCounts(t *testing.T) {
	for _, test := range []struct {
		name                   string
		size, classes, lookFor int
	}{
		{"resnet20", 32, 10, 272_474}, {"resnet56", 32, 10, 855_770},
		{"resnet18", 224, 1000, 11_689_512}, {"resnet34", 224, 1000, 21_797_672},
		{"resnet50", 224, 1000, 25_557_032},
		{"mobilenet_v2", 224, 1000, 3_504_872}, {"mobilenet_v3_small", 224, 1000, 2_542_856},
		{"squeezenet1_1", 224, 1000, 1_235_496}, {"efficientnet_lite0", 224, 1000, 4_652_008},
		{"convnext_tiny", 224, 1000, 28_589_128},
	} {
		network, err := zoo.New(test.name, builder.Shape{3, test.size, test.size}, test.classes)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := network.ParameterCount(); got != test.lookFor {
			t.Errorf("%s has %d parameters, want %d", test.name, got, test.lookFor)
		}
	}
}

// A known network takes small, odd and grey images, or says the least that it takes.
func TestImagesOfManySizes(t *testing.T) {
	least := map[string]int{"squeezenet1_1": 25, "convnext_tiny": 32}
	for _, name := range zoo.Names() {
		for _, input := range []builder.Shape{{3, 32, 32}, {1, 28, 28}, {3, 33, 47}, {3, 224, 224},
			{4, 16, 64}, {3, 1, 1}} {
			network, err := zoo.New(name, input, 7)
			small := input[1] < least[name] || input[2] < least[name]
			if (err != nil) != small {
				t.Errorf("%s of %v: %v", name, input, err)
				continue
			}
			if small {
				want := strconv.Itoa(least[name])
				for _, part := range []string{"network " + name + " takes images of " + want + "×" +
					want + " and larger", "train -resize"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s of %v: the error lacks %q: %v", name, input, part, err)
					}
				}
				continue
			}
			if classes, err := network.Classes(); classes != 7 || err != nil {
				t.Errorf("%s of %v has %d classes, %v", name, input, classes, err)
			}
		}
	}
}

func TestNetworksThatThereAreNot(t *testing.T) {
	images := builder.Shape{3, 32, 32}
	for _, test := range []struct {
		name    string
		input   builder.Shape
		classes int
		want    string
	}{
		{"resnet19", images, 10, `no network is called "resnet19"; there are resnet20, `},
		{"", images, 10, "there are"},
		{"resnet20", builder.Shape{784}, 10, "takes images, channels×height×width, not 784"},
		{"resnet20", builder.Shape{0, 32, 32}, 10, "dimension 0"},
		{"resnet20", builder.Shape{3, 32, -1}, 10, "dimension -1"},
		{"convnext_tiny", builder.Shape{3, 1 << 31, 1 << 31}, 10, "holds more than"},
		{"resnet20", images, 0, "0 classes; at least 1"},
		{"efficientnet_lite0", images, -5, "-5 classes; at least 1"},
	} {
		_, err := zoo.New(test.name, test.input, test.classes)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q of %v with %d classes: %v, want %q", test.name, test.input, test.classes, err,
				test.want)
		}
	}
}

// Settings that make no network are errors.
func TestSettingsThatMakeNoNetwork(t *testing.T) {
	type family interface {
		Network(name string, input builder.Shape, classes int) (*builder.Network, error)
	}
	for want, f := range map[string]family{
		"needs the number of blocks": zoo.ResNet{},
		"0 blocks in stage 2":        zoo.ResNet{Blocks: []int{1, 0}},
		"-3 filters":                 zoo.ResNet{Blocks: []int{1}, Width: -3},
		"width -1; a factor above 0": zoo.MobileNetV2{Width: -1},
		"width NaN; a factor":        zoo.MobileNetV3{Width: math.NaN()},
		"stage 1: {Expand:0": zoo.MobileNetV2{Stages: []zoo.Stage{{Channels: 3, Blocks: 1,
			Stride: 1}}},
		"block 1: {Kernel:0":                 zoo.MobileNetV3{Blocks: []zoo.MobileNetV3Block{{}}},
		"width +Inf":                         zoo.SqueezeNet{Width: math.Inf(1)},
		"depth -2":                           zoo.EfficientNetLite{Depth: -2},
		"blocks of 1 stages and widths of 2": zoo.ConvNeXt{Blocks: []int{1}, Widths: []int{8, 16}},
		"0 blocks in stage 1":                zoo.ConvNeXt{Blocks: []int{0}, Widths: []int{8}},
		"outside 0 ≤ p < 1":                  zoo.SqueezeNet{Dropout: 1},
	} {
		_, err := f.Network("odd", builder.Shape{3, 64, 64}, 3)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
}

// Factors change width and depth, and a network survives JSON.
func TestFactors(t *testing.T) {
	count := func(width, depth float64) int {
		network, err := zoo.EfficientNetLite{Width: width, Depth: depth}.Network("scaled",
			builder.Shape{3, 64, 64}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return network.ParameterCount()
	}
	if narrow, plain, deep := count(0.5, 0), count(0, 0),
		count(1, 1.8); !(narrow < plain && plain < deep) {
		t.Errorf("%d, %d, %d parameters", narrow, plain, deep)
	}
	for _, name := range zoo.Names() {
		network, err := zoo.New(name, builder.Shape{3, 64, 64}, 4)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(network)
		if err != nil {
			t.Fatal(err)
		}
		back, err := builder.ParseNetwork(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(back, network) {
			t.Errorf("%s is another network when it is read back", name)
		}
	}
	if !zoo.Has("resnet50") || zoo.Has("resnet51") || !slices.Contains(zoo.Names(), "resnet50") {
		t.Error("Has and Names do not agree")
	}
}

// For small images the maps of MobileNetV2 are those of ImageNet's four times as large.
func TestMobileNetV2OfSmallImages(t *testing.T) {
	small, err := zoo.MobileNetV2{SmallImages: true}.Network("small", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	large, err := zoo.MobileNetV2{}.Network("large", builder.Shape{3, 128, 128}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[string]builder.Shape{"features.0.0": {32, 32, 32},
		"features.3.conv.2": {24, 32, 32}, "features.18.0": {1280, 4, 4}} {
		node, ok := small.Node(i)
		if !ok || !slices.Equal(node.Output, want) {
			t.Errorf("%s gives %v, want %v", i, node.Output, want)
		}
	}
	for i, spec := range large.Tensors() {
		if got := small.Tensors()[i]; got.Name != spec.Name || !slices.Equal(got.Shape, spec.Shape) {
			t.Errorf("tensor %d is %s %v, that of large images %s %v", i, got.Name, got.Shape, spec.Name,
				spec.Shape)
		}
	}
}

// TensorFlow's padding adds a zero below and to the right alone where a stride of 2 meets an even
// number of pixels, and the same on each side of an odd one; maps come to the same sizes.
func TestEfficientNetLitePadsAsTensorFlow(t *testing.T) {
	for _, test := range []struct {
		side        int
		stem, extra builder.Size // padding, and how much more behind
		same        bool
	}{
		{224, builder.Square(0), builder.Square(1), true},
		{225, builder.Square(1), builder.Square(0), true},
		{224, builder.Square(1), builder.Square(0), false},
	} {
		lite := zoo.EfficientNetLite{Same: test.same, Epsilon: 1e-3}
		network, err := lite.Network("lite", builder.Shape{3, test.side, test.side}, 10)
		if err != nil {
			t.Fatal(err)
		}
		conv, ok := network.Nodes()[0].Layer.(builder.Conv2D)
		if !ok || conv.Padding != test.stem || conv.PaddingExtra != test.extra {
			t.Errorf("of %d pixels the stem pads by %v and %v more", test.side, conv.Padding,
				conv.PaddingExtra)
		}
		norm, ok := network.Nodes()[1].Layer.(builder.BatchNorm)
		if !ok || norm.Epsilon != 1e-3 {
			t.Errorf("its normalisation is %+v", norm)
		}
		plain, err := zoo.New("efficientnet_lite0", builder.Shape{3, test.side, test.side}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i, node := range network.Nodes()[:8] {
			if got, want := node.Output, plain.Nodes()[i].Output; !slices.Equal(got, want) {
				t.Errorf("of %d pixels layer %d gives %v, and without Same %v", test.side, i, got, want)
			}
		}
	}
	if _, err := (zoo.EfficientNetLite{}).Network("lite", builder.Shape{3}, 10); err == nil {
		t.Error("a vector is taken for an image")
	}
}

// Every network can be trained on a device.
func TestEveryNetworkHasADeviceForm(t *testing.T) {
	for _, name := range zoo.Names() {
		network, err := zoo.New(name, builder.Shape{3, 64, 64}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := network.CheckDevice(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
