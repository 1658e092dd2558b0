package builder

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/ops"
)

// nativeLowering builds the graph of the native engine, N×H×W×C throughout.
type nativeLowering struct {
	network    *Network
	graph      *Graph
	kernels    kernel.Engine
	options    LowerOptions
	parameters gorgonia.Nodes // those of the layers still to come
}

func (n *Network) lowerNative(graph *Graph, kernels kernel.Engine, options LowerOptions) error {
	l := &nativeLowering{network: n, graph: graph, kernels: kernels, options: options, parameters: graph.Parameters}
	l.input()
	x := graph.Input
	for i := 0; i < len(n.nodes); {
		if n.nodes[i].Layer.Kind() == "Softmax" {
			graph.Logits = x
		}
		y, taken, err := l.layers(i, x)
		if err != nil {
			return fmt.Errorf("layer %s: %w", n.nodes[i].Name, err)
		}
		i += taken
		x = y
		if name := n.nodes[i-1].Name; slices.Contains(options.Keep, name) {
			graph.Activations[name] = x
		}
	}
	if graph.Logits == nil {
		graph.Logits = x
	}
	return nil
}

// input makes the input node. Images of one channel lie the same way in both
// layouts, others are rearranged by Feed.
func (l *nativeLowering) input() {
	public := append(Shape{l.options.Batch}, l.network.input...)
	shape := public
	if len(public) == 4 {
		shape = Shape{public[0], public[2], public[3], public[1]}
	}
	values := make([]float32, shape.Elements())
	l.graph.images = values
	if len(public) == 4 && public[1] > 1 {
		l.graph.images = make([]float32, shape.Elements())
		l.graph.feed = func() { ops.ToChannelsLast(values, l.graph.images, tensor.Shape(shape)) }
	}
	l.graph.Input = gorgonia.NewTensor(l.graph.Expr, tensor.Float32, len(shape), gorgonia.WithShape(shape...),
		gorgonia.WithName("image"), gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
}

// layers lowers node i, together with those behind it that fuse with it, and says
// how many it took.
func (l *nativeLowering) layers(i int, x *gorgonia.Node) (y *gorgonia.Node, taken int, err error) {
	nodes := l.network.nodes[i:]
	own := l.parameters[:len(nodes[0].Parameters)]
	l.parameters = l.parameters[len(own):]
	taken = 1
	// fuses reports whether the next node is of that kind and nobody asks for
	// the output of the last one taken.
	fuses := func(kind string) bool {
		return taken < len(nodes) && nodes[taken].Layer.Kind() == kind && !slices.Contains(l.options.Keep, nodes[taken-1].Name)
	}
	switch layer := nodes[0].Layer.(type) {
	case Conv2D:
		options := ops.Conv2DOptions{
			StrideHeight: layer.Stride.Height, StrideWidth: layer.Stride.Width,
			PaddingHeight: layer.Padding.Height, PaddingWidth: layer.Padding.Width,
			Direct: !l.options.Training,
		}
		if fuses("ReLU") {
			options.ReLU = true
			taken++
		}
		if fuses("MaxPool2D") {
			pool := nodes[taken].Layer.(MaxPool2D)
			window := window(pool.Kernel, pool.Stride, pool.Padding)
			options.MaxPool = &window
			taken++
		}
		y, err = ops.NativeConv2D(l.kernels, x, own[0], own[1], options)
	case Dense:
		relu := fuses("ReLU")
		if relu {
			taken++
		}
		y, err = ops.NativeDense(l.kernels, x, own[0], own[1], relu)
	case Flatten:
		_, keep := l.network.flattensChannelsLast(i)
		if keep || x.Dims() != 4 {
			y, err = ops.Flatten(x)
		} else {
			y, err = ops.FlattenChannelsLast(x)
		}
	default:
		y, err = l.single(nodes[0], x)
	}
	return y, taken, err
}

// single lowers a layer that has no parameters and fuses with none.
func (l *nativeLowering) single(node Node, x *gorgonia.Node) (*gorgonia.Node, error) {
	switch layer := node.Layer.(type) {
	case ReLU:
		return ops.NativeReLU(l.kernels, x)
	case MaxPool2D:
		return ops.NativeMaxPool2D(l.kernels, x, window(layer.Kernel, layer.Stride, layer.Padding))
	case AvgPool2D:
		return ops.NativeAvgPool2D(l.kernels, x, window(layer.Kernel, layer.Stride, layer.Padding))
	case Dropout:
		if !l.options.Training || layer.P == 0 {
			return x, nil
		}
		masks := ops.NewMasks(l.options.Seed, node.Name)
		l.graph.masks = append(l.graph.masks, masks)
		return ops.Dropout(x, layer.P, masks, ops.ChannelsLast)
	case Softmax:
		return gorgonia.SoftMax(x)
	}
	return nil, fmt.Errorf("%s has no lowering to the native engine", node.Layer.Kind())
}
