package zoo

import (
	"strconv"

	"slipway/builder"
)

// MobileNetV2 is the network of inverted residual blocks (Sandler et al., MobileNetV2: Inverted
// Residuals and Linear Bottlenecks, 2018), under torchvision's names: features.0.0 is the first
// convolution, features.1.conv.0.0 the first depthwise one, classifier.1 the last layer.
// Convolutions are drawn by Kaiming's rule of fan-out, the last layer from N(0, 0.01²).
type MobileNetV2 struct {
	// Width multiplies the numbers of channels, 1 if zero; the last, 1280, is not made less.
	Width float64
	// Stages are those of the paper's table 2 if nil.
	Stages []Stage
	// SmallImages takes strides of 1 in the first convolution and in the second stage of the paper's,
	// as for CIFAR's 32×32 pixels.
	SmallImages bool
	// Dropout is the probability before the last layer.
	Dropout float64
}

// early is the stride where small images are not made smaller yet.
func (m MobileNetV2) early() int {
	if m.SmallImages {
		return 1
	}
	return 2
}

func (m MobileNetV2) stages() []Stage {
	if m.Stages != nil {
		return m.Stages
	}
	return []Stage{
		{Expand: 1, Channels: 16, Blocks: 1, Stride: 1},
		{Expand: 6, Channels: 24, Blocks: 2, Stride: m.early()},
		{Expand: 6, Channels: 32, Blocks: 3, Stride: 2},
		{Expand: 6, Channels: 64, Blocks: 4, Stride: 2},
		{Expand: 6, Channels: 96, Blocks: 3, Stride: 1},
		{Expand: 6, Channels: 160, Blocks: 3, Stride: 2},
		{Expand: 6, Channels: 320, Blocks: 1, Stride: 1},
	}
}

// Network returns the network of that name for C×H×W images of any size.
func (m MobileNetV2) Network(name string, input builder.Shape, classes int) (*builder.Network,
	error) {
	if err := checkFactor(name, "width", m.Width); err != nil {
		return nil, err
	}
	if err := checkStages(name, m.stages()); err != nil {
		return nil, err
	}
	width := factor(m.Width)
	g := builder.NewGraph(name, input)
	leave := g.Scope("features")
	features := numbered{graph: g}
	channels := divisible(32 * width)
	x := m.normalised(g, &features, g.Input(), kaiming("0", channels, 3, m.early()))
	for _, stage := range m.stages() {
		for i := range stage.Blocks {
			if i > 0 {
				stage.Stride = 1
			}
			block := stage
			block.Channels = divisible(float64(stage.Channels) * width)
			leave := features.scope()
			x = m.block(g, x, channels, block)
			channels = block.Channels
			leave()
		}
	}
	x = m.normalised(g, &features, x, kaiming("0", divisible(1280*max(1, width)), 1, 1))
	leave()
	x = g.Then(x, builder.GlobalAvgPool{Name: "avgpool"}, builder.Flatten{Name: "flatten"})
	x = g.Then(x, dropout("classifier.0", m.Dropout)...)
	return g.Network(g.Then(x, builder.Dense{Name: "classifier.1", Units: classes,
		Init: builder.Normal(0.01)}))
}

// normalised appends the convolution with batch normalisation and ReLU6 in a scope of their own.
func (MobileNetV2) normalised(g *builder.Graph, scopes *numbered, x builder.Value,
	conv builder.Conv2D) builder.Value {
	defer scopes.scope()()
	return g.Then(x, conv, builder.BatchNorm{Name: "1"}, builder.ReLU6{Name: "2"})
}

// block appends an inverted residual block: 1×1 to more channels, depthwise, 1×1 to fewer, without
// an activation behind it, and its input where the shape is the same.
func (m MobileNetV2) block(g *builder.Graph, x builder.Value, in int, stage Stage) builder.Value {
	leave := g.Scope("conv")
	scopes := numbered{graph: g}
	inner := in * stage.Expand
	y := x
	if stage.Expand > 1 {
		y = m.normalised(g, &scopes, y, kaiming("0", inner, 1, 1))
	}
	kernel := stage.Kernel
	if kernel == 0 {
		kernel = 3
	}
	y = m.normalised(g, &scopes, y, depthwise("0", inner, kernel, stage.Stride))
	project, norm := strconv.Itoa(scopes.next), strconv.Itoa(scopes.next+1)
	y = g.Then(y, kaiming(project, stage.Channels, 1, 1), builder.BatchNorm{Name: norm})
	leave()
	if stage.Stride == 1 && in == stage.Channels {
		y = g.Join(builder.Add{Name: "add"}, x, y)
	}
	return y
}
