package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/ops"
)

// lowerReference builds the graph of the gorgonia engine, or of the plain one,
// N×C×H×W throughout.
func (n *Network) lowerReference(graph *Graph, engine string, options LowerOptions) error {
	shape := append([]int{options.Batch}, n.input...)
	graph.images = make([]float32, tensor.Shape(shape).TotalSize())
	input := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(graph.images))
	graph.Input = gorgonia.NewTensor(graph.Expr, tensor.Float32, len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName("image"), gorgonia.WithValue(input))

	x := graph.Input
	parameters := graph.Parameters
	for _, node := range n.nodes {
		own := parameters[:len(node.Parameters)]
		parameters = parameters[len(node.Parameters):]
		if _, isSoftmax := node.Layer.(Softmax); isSoftmax {
			graph.Logits = x
		}
		y, err := lowerReferenceLayer(graph, engine, node, x, own, options)
		if err != nil {
			return fmt.Errorf("layer %s: %w", node.Name, err)
		}
		x = y
		for _, name := range options.Keep {
			if name == node.Name {
				graph.Activations[name] = x
			}
		}
	}
	if graph.Logits == nil {
		graph.Logits = x
	}
	return nil
}

func lowerReferenceLayer(graph *Graph, engine string, node Node, x *gorgonia.Node, own gorgonia.Nodes, options LowerOptions) (*gorgonia.Node, error) {
	switch l := node.Layer.(type) {
	case Conv2D:
		if engine == EnginePlain {
			return ops.Conv2D(x, own[0], own[1], ops.Conv2DOptions{
				StrideHeight: l.Stride.Height, StrideWidth: l.Stride.Width,
				PaddingHeight: l.Padding.Height, PaddingWidth: l.Padding.Width,
			})
		}
		return referenceConv2D(l, x, own[0], own[1])
	case ReLU:
		return ops.ReLU(x)
	case MaxPool2D:
		return ops.MaxPool2D(x, window(l.Kernel, l.Stride, l.Padding))
	case AvgPool2D:
		return ops.AvgPool2D(x, window(l.Kernel, l.Stride, l.Padding))
	case Flatten:
		return ops.Flatten(x)
	case Dense:
		if engine == EnginePlain {
			return ops.Dense(x, own[0], own[1])
		}
		return referenceDense(x, own[0], own[1])
	case Dropout:
		if !options.Training || l.P == 0 {
			return x, nil
		}
		masks := ops.NewMasks(options.Seed, node.Name)
		graph.masks = append(graph.masks, masks)
		return ops.Dropout(x, l.P, masks, ops.ChannelsFirst)
	case Softmax:
		return gorgonia.SoftMax(x)
	}
	return nil, fmt.Errorf("%s has no lowering to the %s engine", node.Layer.Kind(), engine)
}

func window(kernel, stride, padding Size) ops.Window {
	return ops.Window{
		KernelHeight: kernel.Height, KernelWidth: kernel.Width,
		StrideHeight: stride.Height, StrideWidth: stride.Width,
		PaddingHeight: padding.Height, PaddingWidth: padding.Width,
	}
}

// referenceConv2D is Gorgonia's own convolution (im2col and a matrix product),
// and its broadcast addition of the bias.
func referenceConv2D(l Conv2D, x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	y, err := gorgonia.Conv2d(x, weight, tensor.Shape{l.Kernel.Height, l.Kernel.Width},
		[]int{l.Padding.Height, l.Padding.Width}, []int{l.Stride.Height, l.Stride.Width}, []int{1, 1})
	if err != nil {
		return nil, err
	}
	row, err := ops.Reshape(bias, 1, l.Filters, 1, 1)
	if err != nil {
		return nil, err
	}
	return gorgonia.BroadcastAdd(y, row, nil, []byte{0, 2, 3})
}

// referenceDense is Gorgonia's own matrix product, and its broadcast addition of
// the bias.
func referenceDense(x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	transposed, err := gorgonia.Transpose(weight, 1, 0)
	if err != nil {
		return nil, err
	}
	y, err := gorgonia.Mul(x, transposed)
	if err != nil {
		return nil, err
	}
	row, err := ops.Reshape(bias, 1, bias.Shape()[0])
	if err != nil {
		return nil, err
	}
	return gorgonia.BroadcastAdd(y, row, nil, []byte{0})
}
