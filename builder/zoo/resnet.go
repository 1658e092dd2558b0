package zoo

import (
	"fmt"
	"strconv"

	"slipway/builder"
)

// ResNet is a residual network (He et al., Deep Residual Learning for Image Recognition, 2016),
// under torchvision's names: conv1, bn1, layer1.0.conv1, …, layer2.0.downsample.0, …, fc.
// Convolutions are drawn by Kaiming's rule of fan-out, and batch normalisation begins as the
// identity.
//
// As in torchvision, the stride of a bottleneck is at its 3×3 convolution (the paper has it at the
// first 1×1), and where the shape changes the shortcut is a 1×1 convolution with batch
// normalisation: the paper's option B. Of the networks for CIFAR (section 4.2) the paper takes
// option A, which has no parameters: every other pixel, and channels of zeros. Here they have B,
// too (0.27 M parameters either way), so that all ResNets are of the same layers;
// pytorch-cifar-models has published weights of these, under the same names.
type ResNet struct {
	// Blocks is the number of blocks of each stage, such as 2, 2, 2, 2 of ResNet-18.
	Blocks []int
	// Width is the number of channels of the first stage, 64 if zero; each further stage has twice
	// as many.
	Width int
	// Bottleneck blocks are of 1×1, 3×3 and 1×1 convolutions, the last with four times the
	// channels. Other blocks are of two 3×3 convolutions.
	Bottleneck bool
	// SmallImages begins with a 3×3 convolution, as for CIFAR's 32×32 pixels, not with a 7×7
	// convolution of stride 2 and a pooling that leave a sixteenth of the pixels.
	SmallImages bool
}

// Network returns the network of that name for C×H×W images. Each stage after the first halves the
// map, rounding up, so that any size will do.
func (r ResNet) Network(name string, input builder.Shape, classes int) (*builder.Network, error) {
	width := r.Width
	if width == 0 {
		width = 64
	}
	if len(r.Blocks) == 0 {
		return nil, fmt.Errorf("network %s: a ResNet needs the number of blocks of each stage", name)
	}
	g := builder.NewGraph(name, input)
	x := r.stem(g, width)
	channels := width
	for stage, blocks := range r.Blocks {
		if blocks < 1 {
			return nil, fmt.Errorf("network %s: %d blocks in stage %d; at least 1 is needed", name, blocks,
				stage+1)
		}
		leave := g.Scope("layer" + strconv.Itoa(stage+1))
		for i := range blocks {
			block := residual{planes: width << stage, stride: 1, in: channels}
			if i == 0 && stage > 0 {
				block.stride = 2
			}
			leave := g.Scope(strconv.Itoa(i))
			x, channels = r.block(g, x, block)
			leave()
		}
		leave()
	}
	return g.Network(g.Then(x, builder.GlobalAvgPool{Name: "avgpool"},
		builder.Flatten{Name: "flatten"},
		builder.Dense{Name: "fc", Units: classes}))
}

func (r ResNet) stem(g *builder.Graph, width int) builder.Value {
	if r.SmallImages {
		return g.Then(g.Input(), kaiming("conv1", width, 3, 1), builder.BatchNorm{Name: "bn1"},
			builder.ReLU{Name: "relu"})
	}
	return g.Then(g.Input(), kaiming("conv1", width, 7, 2), builder.BatchNorm{Name: "bn1"},
		builder.ReLU{Name: "relu"},
		builder.MaxPool2D{Name: "maxpool", Kernel: builder.Square(3), Stride: builder.Square(2),
			Padding: builder.Square(1)})
}

// residual is one block: the channels that it takes, those of its 3×3 convolutions, and its stride.
type residual struct{ in, planes, stride int }

// block returns what the block gives and its number of channels.
func (r ResNet) block(g *builder.Graph, x builder.Value, b residual) (y builder.Value,
	channels int) {
	if r.Bottleneck {
		channels = 4 * b.planes
		y = g.Then(x,
			kaiming("conv1", b.planes, 1, 1), builder.BatchNorm{Name: "bn1"}, builder.ReLU{Name: "relu1"},
			kaiming("conv2", b.planes, 3, b.stride), builder.BatchNorm{Name: "bn2"},
			builder.ReLU{Name: "relu2"},
			kaiming("conv3", channels, 1, 1), builder.BatchNorm{Name: "bn3"})
	} else {
		channels = b.planes
		y = g.Then(x,
			kaiming("conv1", b.planes, 3, b.stride), builder.BatchNorm{Name: "bn1"},
			builder.ReLU{Name: "relu1"},
			kaiming("conv2", b.planes, 3, 1), builder.BatchNorm{Name: "bn2"})
	}
	if b.stride != 1 || b.in != channels {
		x = g.Then(x, kaiming("downsample.0", channels, 1, b.stride),
			builder.BatchNorm{Name: "downsample.1"})
	}
	return g.Then(g.Join(builder.Add{Name: "add"}, y, x), builder.ReLU{Name: "relu"}), channels
}

// kaiming is a convolution without bias, drawn by Kaiming's rule of fan-out and padded so that at
// stride 1 it keeps the size of the map.
func kaiming(name string, filters, kernel, stride int) builder.Conv2D {
	return builder.Conv2D{
		Name: name, Filters: filters, Kernel: builder.Square(kernel), Stride: builder.Square(stride),
		Padding: builder.Square(kernel / 2), NoBias: true, Init: builder.KaimingNormal,
	}
}
