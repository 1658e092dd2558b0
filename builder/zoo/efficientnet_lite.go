package zoo

import (
	"math"
	"strconv"

	"slipway/builder"
)

// EfficientNetLite is EfficientNet (Tan and Le, EfficientNet: Rethinking Model Scaling for
// Convolutional Neural Networks, 2019) without squeeze-and-excitation and with ReLU6, as its
// authors made it for small devices. Names are timm's: conv_stem, bn1, blocks.1.0.conv_pw,
// conv_head, classifier; as of timm's efficientnet_lite0, padding is the same on each side.
//
// A convolution is drawn from N(0, 2/(K²·filters/groups)), and the last layer uniformly from
// ±1/√classes, as timm
// does after the authors.
type EfficientNetLite struct {
	// Width multiplies the numbers of channels and Depth those of blocks, rounded up; 1 if zero.
	Width, Depth float64
	// Stages are those of EfficientNet-B0 if nil.
	Stages []Stage
	// Dropout is the probability before the last layer.
	Dropout float64
	// Same pads as TensorFlow's "SAME" does, and as weights that were learned there need it: where
	// a
	// convolution of stride 2 has an even number of pixels before it, one zero more below and to
	// the
	// right than above and to the left. timm's tf_efficientnet_lite0 does so.
	Same bool
	// Epsilon is that of the normalisations, 1e-5 if zero; TensorFlow's is 1e-3.
	Epsilon float64
}

// padded is the convolution with Same's padding, for maps of that size.
func (e EfficientNetLite) padded(conv builder.Conv2D, in builder.Size) builder.Conv2D {
	if !e.Same {
		return conv
	}
	around := func(kernel, stride, n int) (padding, extra int) {
		both := max(0, (ceiling(n, stride)-1)*stride+kernel-n)
		return both / 2, both % 2
	}
	conv.Padding.Height, conv.PaddingExtra.Height = around(conv.Kernel.Height, conv.Stride.Height,
		in.Height)
	conv.Padding.Width, conv.PaddingExtra.Width = around(conv.Kernel.Width, conv.Stride.Width,
		in.Width)
	return conv
}

// ceiling is n/by, rounded up.
func ceiling(n, by int) int { return (n + by - 1) / by }

func (e EfficientNetLite) norm(name string) builder.BatchNorm {
	return builder.BatchNorm{Name: name, Epsilon: e.Epsilon}
}

func (e EfficientNetLite) stages() []Stage {
	if e.Stages != nil {
		return e.Stages
	}
	return []Stage{
		{Expand: 1, Kernel: 3, Channels: 16, Blocks: 1, Stride: 1},
		{Expand: 6, Kernel: 3, Channels: 24, Blocks: 2, Stride: 2},
		{Expand: 6, Kernel: 5, Channels: 40, Blocks: 2, Stride: 2},
		{Expand: 6, Kernel: 3, Channels: 80, Blocks: 3, Stride: 2},
		{Expand: 6, Kernel: 5, Channels: 112, Blocks: 3, Stride: 1},
		{Expand: 6, Kernel: 5, Channels: 192, Blocks: 4, Stride: 2},
		{Expand: 6, Kernel: 3, Channels: 320, Blocks: 1, Stride: 1},
	}
}

// Network returns the network of that name for C×H×W images of any size. Stem and head have 32 and
// 1280 channels at any width, and the first and the last stage their blocks at any depth.
func (e EfficientNetLite) Network(name string, input builder.Shape, classes int) (*builder.Network,
	error) {
	for what, x := range map[string]float64{"width": e.Width, "depth": e.Depth} {
		if err := checkFactor(name, what, x); err != nil {
			return nil, err
		}
	}
	if err := check(name, input, classes); err != nil {
		return nil, err
	}
	stages := e.stages()
	if err := checkStages(name, stages); err != nil {
		return nil, err
	}
	g := builder.NewGraph(name, input)
	channels := 32
	size := builder.Size{Height: input[1], Width: input[2]}
	halve := func(stride int) {
		size = builder.Size{Height: ceiling(size.Height, stride), Width: ceiling(size.Width,
			stride)}
	}
	x := g.Then(g.Input(), e.padded(timm(kaiming("conv_stem", channels, 3, 2)), size),
		e.norm("bn1"), builder.ReLU6{Name: "act1"})
	halve(2)
	for s, stage := range stages {
		blocks := stage.Blocks
		if s > 0 && s < len(stages)-1 {
			blocks = int(math.Ceil(float64(blocks) * factor(e.Depth)))
		}
		out := divisible(float64(stage.Channels) * factor(e.Width))
		leave := g.Scope("blocks." + strconv.Itoa(s))
		for i := range blocks {
			block := inverted{in: channels, out: out, kernel: stage.Kernel, stride: 1,
				expand: stage.Expand}
			if i == 0 {
				block.stride = stage.Stride
			}
			leave := g.Scope(strconv.Itoa(i))
			x = e.append(g, x, block, size)
			channels = out
			halve(block.stride)
			leave()
		}
		leave()
	}
	x = g.Then(x, timm(kaiming("conv_head", 1280, 1, 1)), e.norm("bn2"),
		builder.ReLU6{Name: "act2"},
		builder.GlobalAvgPool{Name: "global_pool"}, builder.Flatten{Name: "flatten"})
	x = g.Then(x, dropout("drop", e.Dropout)...)
	bound := 1 / math.Sqrt(float64(classes))
	return g.Network(g.Then(x, builder.Dense{Name: "classifier", Units: classes,
		Init: builder.Uniform(bound)}))
}

// timm draws a convolution's weight by the filters of its group.
func timm(conv builder.Conv2D) builder.Conv2D {
	filters := conv.Filters / max(conv.Groups, 1)
	conv.Init = builder.Normal(math.Sqrt(2 / float64(conv.Kernel.Height*conv.Kernel.Width*filters)))
	return conv
}

// inverted is one block; without expansion timm calls it a depthwise separable convolution, and
// its layers by other names.
type inverted struct{ in, out, kernel, stride, expand int }

// append adds a block, for maps of that size.
func (e EfficientNetLite) append(g *builder.Graph, x builder.Value, b inverted,
	size builder.Size) builder.Value {
	kernel := b.kernel
	if kernel == 0 {
		kernel = 3
	}
	inner := b.in * b.expand
	depth := e.padded(timm(depthwise("conv_dw", inner, kernel, b.stride)), size)
	var y builder.Value
	if b.expand == 1 {
		y = g.Then(x, depth, e.norm("bn1"), builder.ReLU6{Name: "act1"},
			timm(kaiming("conv_pw", b.out, 1, 1)), e.norm("bn2"))
	} else {
		y = g.Then(x, timm(kaiming("conv_pw", inner, 1, 1)), e.norm("bn1"),
			builder.ReLU6{Name: "act1"},
			depth, e.norm("bn2"), builder.ReLU6{Name: "act2"},
			timm(kaiming("conv_pwl", b.out, 1, 1)), e.norm("bn3"))
	}
	if b.stride == 1 && b.in == b.out {
		y = g.Join(builder.Add{Name: "add"}, y, x)
	}
	return y
}
