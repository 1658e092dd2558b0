package zoo

import (
	"fmt"

	"slipway/builder"
)

// MobileNetV3 is the network of inverted residual blocks with squeeze-and-excitation (Howard et
// al., Searching for MobileNetV3, 2019), under torchvision's names: features.0.0,
// features.1.block.1.fc1, classifier.3. Convolutions are drawn by Kaiming's rule of fan-out, dense
// layers from N(0, 0.01²); batch normalisation has ε = 0.001 and momentum 0.01.
type MobileNetV3 struct {
	// Width multiplies the numbers of channels, 1 if zero.
	Width float64
	// Blocks are those of MobileNetV3-small, table 2 of the paper, if nil.
	Blocks []MobileNetV3Block
	// Hidden is the number of units before the last layer, 1024 if zero.
	Hidden int
	// Dropout is the probability before the last layer.
	Dropout float64
}

// MobileNetV3Block is one row of the paper's tables.
type MobileNetV3Block struct {
	Kernel, Expanded, Channels int
	// Squeeze has squeeze-and-excitation behind the depthwise convolution.
	Squeeze bool
	// HardSwish is the activation, ReLU otherwise.
	HardSwish bool
	Stride    int
}

func (m MobileNetV3) blocks() []MobileNetV3Block {
	if m.Blocks != nil {
		return m.Blocks
	}
	return []MobileNetV3Block{
		{3, 16, 16, true, false, 2},
		{3, 72, 24, false, false, 2},
		{3, 88, 24, false, false, 1},
		{5, 96, 40, true, true, 2},
		{5, 240, 40, true, true, 1},
		{5, 240, 40, true, true, 1},
		{5, 120, 48, true, true, 1},
		{5, 144, 48, true, true, 1},
		{5, 288, 96, true, true, 2},
		{5, 576, 96, true, true, 1},
		{5, 576, 96, true, true, 1},
	}
}

// Network returns the network of that name for C×H×W images of any size.
func (m MobileNetV3) Network(name string, input builder.Shape, classes int) (*builder.Network,
	error) {
	if err := checkFactor(name, "width", m.Width); err != nil {
		return nil, err
	}
	width := factor(m.Width)
	hidden := m.Hidden
	if hidden == 0 {
		hidden = divisible(1024 * width)
	}
	g := builder.NewGraph(name, input)
	leave := g.Scope("features")
	features := numbered{graph: g}
	channels := divisible(16 * width)
	x := m.normalised(g, &features, g.Input(), kaiming("0", channels, 3, 2), true)
	for i, block := range m.blocks() {
		if block.Kernel < 1 || block.Expanded < 1 || block.Channels < 1 || block.Stride < 1 {
			return nil, fmt.Errorf(
				"network %s, block %d: %+v; kernel, channels and stride must be at least 1", name, i+1, block)
		}
		block.Expanded = divisible(float64(block.Expanded) * width)
		block.Channels = divisible(float64(block.Channels) * width)
		leave := features.scope()
		x = m.block(g, x, channels, block)
		channels = block.Channels
		leave()
	}
	x = m.normalised(g, &features, x, kaiming("0", 6*channels, 1, 1), true)
	leave()
	x = g.Then(x, builder.GlobalAvgPool{Name: "avgpool"}, builder.Flatten{Name: "flatten"},
		builder.Dense{Name: "classifier.0", Units: hidden, Init: builder.Normal(0.01)},
		builder.HardSwish{Name: "classifier.1"})
	x = g.Then(x, dropout("classifier.2", m.Dropout)...)
	return g.Network(g.Then(x, builder.Dense{Name: "classifier.3", Units: classes,
		Init: builder.Normal(0.01)}))
}

func (MobileNetV3) norm() builder.BatchNorm {
	return builder.BatchNorm{Name: "1", Momentum: 0.01, Epsilon: 0.001}
}

// normalised appends the convolution with batch normalisation and its activation in a scope of
// their own.
func (m MobileNetV3) normalised(g *builder.Graph, scopes *numbered, x builder.Value,
	conv builder.Conv2D, hardSwish bool) builder.Value {
	defer scopes.scope()()
	x = g.Then(x, conv, m.norm())
	if hardSwish {
		return g.Then(x, builder.HardSwish{Name: "2"})
	}
	return g.Then(x, builder.ReLU{Name: "2"})
}

func (m MobileNetV3) block(g *builder.Graph, x builder.Value, in int,
	b MobileNetV3Block) builder.Value {
	leave := g.Scope("block")
	scopes := numbered{graph: g}
	y := x
	if b.Expanded != in {
		y = m.normalised(g, &scopes, y, kaiming("0", b.Expanded, 1, 1), b.HardSwish)
	}
	y = m.normalised(g, &scopes, y, depthwise("0", b.Expanded, b.Kernel, b.Stride), b.HardSwish)
	if b.Squeeze {
		y = m.squeeze(g, &scopes, y, b.Expanded)
	}
	leaveProject := scopes.scope()
	y = g.Then(y, kaiming("0", b.Channels, 1, 1), m.norm())
	leaveProject()
	leave()
	if b.Stride == 1 && in == b.Channels {
		y = g.Join(builder.Add{Name: "add"}, y, x)
	}
	return y
}

// squeeze appends squeeze-and-excitation (Hu et al., 2018): each channel is multiplied by a number
// between 0 and 1 that the means of all channels decide on.
func (MobileNetV3) squeeze(g *builder.Graph, scopes *numbered, x builder.Value,
	channels int) builder.Value {
	defer scopes.scope()()
	dense := func(name string, units int) builder.Conv2D {
		conv := kaiming(name, units, 1, 1)
		conv.NoBias = false
		return conv
	}
	scale := g.Then(x, builder.GlobalAvgPool{Name: "avgpool"},
		dense("fc1", divisible(float64(channels/4))), builder.ReLU{Name: "activation"},
		dense("fc2", channels), builder.HardSigmoid{Name: "scale_activation"})
	return g.Join(builder.Mul{Name: "mul"}, x, scale)
}
