package zoo

import (
	"fmt"
	"strings"

	"slipway/builder"
)

// family is a kind of network with its settings.
type family interface {
	Network(name string, input builder.Shape, classes int) (*builder.Network, error)
}

// entry is a network that has a name.
type entry struct {
	name string
	family
}

func entries() []entry {
	return []entry{
		{"resnet20", ResNet{Blocks: []int{3, 3, 3}, Width: 16, SmallImages: true}},
		{"resnet56", ResNet{Blocks: []int{9, 9, 9}, Width: 16, SmallImages: true}},
		{"resnet18", ResNet{Blocks: []int{2, 2, 2, 2}, Width: 64}},
		{"resnet34", ResNet{Blocks: []int{3, 4, 6, 3}, Width: 64}},
		{"resnet50", ResNet{Blocks: []int{3, 4, 6, 3}, Width: 64, Bottleneck: true}},
		{"mobilenet_v2", MobileNetV2{Dropout: 0.2}},
		{"mobilenet_v3_small", MobileNetV3{Dropout: 0.2}},
		{"squeezenet1_1", SqueezeNet{Dropout: 0.5}},
		{"efficientnet_lite0", EfficientNetLite{Dropout: 0.2}},
		{"convnext_tiny", ConvNeXt{Blocks: []int{3, 3, 9, 3}, Widths: []int{96, 192, 384, 768},
			DropPath: 0.1}},
	}
}

// Names returns the names that New knows.
func Names() []string {
	var names []string
	for _, e := range entries() {
		names = append(names, e.name)
	}
	return names
}

// Has reports whether New knows the name.
func Has(name string) bool {
	for _, e := range entries() {
		if e.name == name {
			return true
		}
	}
	return false
}

// New returns the network of that name for images of the shape input, C×H×W, with a logit for
// each of the classes. The error names what there is, or the least size of images.
func New(name string, input builder.Shape, classes int) (*builder.Network, error) {
	for _, e := range entries() {
		if e.name != name {
			continue
		}
		if err := check(name, input, classes); err != nil {
			return nil, err
		}
		network, err := e.Network(name, input, classes)
		if err != nil {
			return nil, tooSmall(e, input, classes, err)
		}
		return network, nil
	}
	return nil, fmt.Errorf("no network is called %q; there are %s", name, strings.Join(Names(), ", "))
}

func check(name string, input builder.Shape, classes int) error {
	if len(input) != 3 {
		return fmt.Errorf("network %s takes images, channels×height×width, not %v", name, input)
	}
	if classes < 1 {
		return fmt.Errorf("network %s: %d classes; at least 1 is needed", name, classes)
	}
	return nil
}

// largestLeast bounds the search for the least size of images: that of ImageNet's.
const largestLeast = 224

// tooSmall adds the least size that the network takes, where the images are smaller.
func tooSmall(e entry, input builder.Shape, classes int, err error) error {
	for n := 1; n <= largestLeast; n++ {
		if _, failed := e.Network(e.name, builder.Shape{input[0], n, n}, classes); failed != nil {
			continue
		}
		if input[1] < n || input[2] < n {
			return fmt.Errorf(
				"network %s takes images of %d×%d and larger, not %d×%d; bring them to that size, as train -resize %d does (%w)",
				e.name, n, n, input[1], input[2], max(n, 32), err)
		}
		break
	}
	return err
}
