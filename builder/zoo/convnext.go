package zoo

import (
	"fmt"
	"strconv"

	"slipway/builder"
)

// ConvNeXt is a convolutional network after the manner of a transformer (Liu et al., A ConvNet for
// the 2020s, 2022), under torchvision's names: features.0.0 is the stem, features.1.0.block.0 a
// depthwise convolution, features.1.0.layer_scale what a block's branch is multiplied by,
// classifier.2 the last layer. torchvision stores layer_scale as C×1×1, here it is C;
// train.ReadWeights takes both.
//
// Weights are drawn from N(0, 0.02²) (torchvision asks for a normal distribution that is cut
// off at ±2, a hundred deviations) and biases are zeros.
type ConvNeXt struct {
	// Blocks is the number of blocks of each stage, and Widths the number of its channels.
	Blocks, Widths []int
	// DropPath is the probability that the last block's branch is left out of an image's training
	// (stochastic depth); earlier ones' are less, down to 0 of the first.
	DropPath float64
}

// Network returns the network of that name for C×H×W images: of 32×32 or larger with four
// stages.
func (c ConvNeXt) Network(name string, input builder.Shape, classes int) (*builder.Network, error) {
	if len(c.Blocks) == 0 || len(c.Blocks) != len(c.Widths) {
		return nil, fmt.Errorf(
			"network %s: blocks of %d stages and widths of %d; a ConvNeXt needs both of each stage", name,
			len(c.Blocks), len(c.Widths))
	}
	total := 0
	for stage, blocks := range c.Blocks {
		if blocks < 1 {
			return nil, fmt.Errorf("network %s: %d blocks in stage %d; at least 1 is needed", name, blocks,
				stage+1)
		}
		total += blocks
	}
	g := builder.NewGraph(name, input)
	leave := g.Scope("features")
	features := numbered{graph: g}
	leaveStem := features.scope()
	x := g.Then(g.Input(), c.conv("0", c.Widths[0], 4, 4), c.norm("1"))
	leaveStem()
	at := 0
	for stage, width := range c.Widths {
		if stage > 0 {
			leave := features.scope()
			x = g.Then(x, c.norm("0"), c.conv("1", width, 2, 2))
			leave()
		}
		leave := features.scope()
		for i := range c.Blocks[stage] {
			drop := 0.0
			if total > 1 {
				drop = c.DropPath * float64(at) / float64(total-1)
			}
			x = c.block(g, x, strconv.Itoa(i), width, drop)
			at++
		}
		leave()
	}
	leave()
	return g.Network(g.Then(x, builder.GlobalAvgPool{Name: "avgpool"}, c.norm("classifier.0"),
		builder.Flatten{Name: "classifier.1"}, c.dense("classifier.2", classes)))
}

// block appends y = x + drop(scale·branch(x)), whose branch is a 7×7 depthwise convolution, a
// normalisation, and two dense layers at each position.
func (c ConvNeXt) block(g *builder.Graph, x builder.Value, name string, width int,
	drop float64) builder.Value {
	depth := c.conv("block.0", width, 7, 1)
	depth.Groups, depth.Padding = width, builder.Square(3)
	leave := g.Scope(name)
	y := g.Then(x, depth, c.norm("block.2"), c.dense("block.3", 4*width),
		builder.GELU{Name: "block.4"}, c.dense("block.5", width))
	leave()
	y = g.Then(y, builder.Scale{Name: name, Init: 1e-6, Tensor: "layer_scale"})
	leave = g.Scope(name)
	defer leave()
	if drop > 0 {
		y = g.Then(y, builder.DropPath{Name: "stochastic_depth", P: drop})
	}
	return g.Join(builder.Add{Name: "add"}, y, x)
}

func (ConvNeXt) conv(name string, filters, kernel, stride int) builder.Conv2D {
	return builder.Conv2D{
		Name: name, Filters: filters, Kernel: builder.Square(kernel), Stride: builder.Square(stride),
		Init: builder.Normal(0.02),
	}
}

func (ConvNeXt) dense(name string, units int) builder.Dense {
	return builder.Dense{Name: name, Units: units, Init: builder.Normal(0.02)}
}

func (ConvNeXt) norm(name string) builder.LayerNorm {
	return builder.LayerNorm{Name: name, Epsilon: 1e-6}
}
