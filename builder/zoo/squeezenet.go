package zoo

import (
	"strconv"

	"slipway/builder"
)

// SqueezeNet is SqueezeNet 1.1 (Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer
// parameters, 2016; its authors' later form with fewer pixels), under torchvision's names:
// features.0, features.3.squeeze, features.3.expand1x1, classifier.1. It has no batch
// normalisation. Convolutions are drawn by Kaiming's uniform rule, the last from N(0, 0.01²), and
// biases are zeros.
type SqueezeNet struct {
	// Width multiplies the numbers of channels, 1 if zero.
	Width float64
	// Dropout is the probability before the last convolution.
	Dropout float64
}

// Network returns the network of that name for C×H×W images.
func (s SqueezeNet) Network(name string, input builder.Shape, classes int) (*builder.Network,
	error) {
	if err := checkFactor(name, "width", s.Width); err != nil {
		return nil, err
	}
	scaled := func(channels int) int { return max(1, int(float64(channels)*factor(s.Width))) }
	g := builder.NewGraph(name, input)
	leave := g.Scope("features")
	conv := s.conv("0", scaled(64), 3)
	conv.Stride, conv.Padding = builder.Square(2), builder.Size{}
	x := g.Then(g.Input(), conv, builder.ReLU{Name: "1"}, s.pool("2"))
	for _, part := range []struct {
		at              int
		squeeze, expand int // of a Fire module; a pooling if zero
	}{
		{3, 16, 64}, {4, 16, 64}, {at: 5}, {6, 32, 128}, {7, 32, 128}, {at: 8},
		{9, 48, 192}, {10, 48, 192}, {11, 64, 256}, {12, 64, 256},
	} {
		if part.squeeze == 0 {
			x = g.Then(x, s.pool(strconv.Itoa(part.at)))
			continue
		}
		leave := g.Scope(strconv.Itoa(part.at))
		x = s.fire(g, x, scaled(part.squeeze), scaled(part.expand))
		leave()
	}
	leave()
	x = g.Then(x, dropout("classifier.0", s.Dropout)...)
	last := s.conv("classifier.1", classes, 1)
	last.Init = builder.Normal(0.01)
	return g.Network(g.Then(x, last, builder.ReLU{Name: "classifier.2"},
		builder.GlobalAvgPool{Name: "classifier.3"},
		builder.Flatten{Name: "flatten"}))
}

func (SqueezeNet) conv(name string, filters, kernel int) builder.Conv2D {
	conv := kaiming(name, filters, kernel, 1)
	conv.NoBias, conv.Init = false, builder.KaimingUniform
	return conv
}

// pool rounds up: the last window may reach beyond the map.
func (SqueezeNet) pool(name string) builder.MaxPool2D {
	return builder.MaxPool2D{Name: name, Kernel: builder.Square(3), Stride: builder.Square(2),
		CeilMode: true}
}

// fire appends a Fire module: 1×1 to few channels, and from there 1×1 and 3×3 to many.
func (s SqueezeNet) fire(g *builder.Graph, x builder.Value, squeeze, expand int) builder.Value {
	x = g.Then(x, s.conv("squeeze", squeeze, 1), builder.ReLU{Name: "squeeze_activation"})
	one := g.Then(x, s.conv("expand1x1", expand, 1), builder.ReLU{Name: "expand1x1_activation"})
	three := g.Then(x, s.conv("expand3x3", expand, 3), builder.ReLU{Name: "expand3x3_activation"})
	return g.Join(builder.Concat{Name: "concat"}, one, three)
}
