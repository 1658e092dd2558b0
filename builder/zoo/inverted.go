package zoo

import (
	"fmt"
	"strconv"

	"slipway/builder"
)

// Stage is a row of blocks in MobileNetV2 and EfficientNet-Lite: as their papers' tables have them.
type Stage struct {
	// Expand is the factor by which a block widens its channels before its depthwise convolution.
	Expand int
	// Kernel of the depthwise convolution, 3 if zero.
	Kernel   int
	Channels int
	Blocks   int
	// Stride of the first block; the others' is 1.
	Stride int
}

// checkStages reports a stage that makes no network.
func checkStages(name string, stages []Stage) error {
	for i, s := range stages {
		if s.Expand < 1 || s.Channels < 1 || s.Blocks < 1 || s.Stride < 1 || s.Kernel < 0 {
			return fmt.Errorf("network %s, stage %d: %+v; each but the kernel must be at least 1", name, i+1,
				s)
		}
	}
	return nil
}

// divisible rounds a number of channels to a multiple of 8, but not down by more than a tenth, as
// in the MobileNet papers' code.
func divisible(channels float64) int {
	const multiple = 8
	rounded := max(multiple, int(channels+multiple/2)/multiple*multiple)
	if float64(rounded) < 0.9*channels {
		rounded += multiple
	}
	return rounded
}

// factor is a width factor, 1 if zero.
func factor(width float64) float64 {
	if width == 0 {
		return 1
	}
	return width
}

// checkFactor reports a width or depth factor that is no number above 0.
func checkFactor(name, what string, x float64) error {
	if !(x >= 0 && x <= 1000) {
		return fmt.Errorf("network %s: %s %v; a factor above 0 is needed", name, what, x)
	}
	return nil
}

// depthwise is a convolution of each channel by itself.
func depthwise(name string, channels, kernel, stride int) builder.Conv2D {
	conv := kaiming(name, channels, kernel, stride)
	conv.Groups = channels
	return conv
}

// dropout is the layer, or none where nothing is dropped.
func dropout(name string, p float64) []builder.Layer {
	if p == 0 {
		return nil
	}
	return []builder.Layer{builder.Dropout{Name: name, P: p}}
}

// numbered gives scopes the names 0, 1, …, as torchvision's Sequential does.
type numbered struct {
	graph *builder.Graph
	next  int
}

// scope enters the next one.
func (n *numbered) scope() (leave func()) {
	n.next++
	return n.graph.Scope(strconv.Itoa(n.next - 1))
}
