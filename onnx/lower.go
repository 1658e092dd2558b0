package onnx

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// lowering turns the layers of a network into nodes, one after the other.
type lowering struct {
	network *builder.Network
	current string // the value that the layers so far give
	nodes   []*onnxpb.NodeProto
}

func newLowering(network *builder.Network) *lowering {
	return &lowering{network: network, current: inputName(network)}
}

func inputName(network *builder.Network) string {
	if len(network.Input()) == 1 {
		return "features"
	}
	return "image"
}

// outputName tells what the network gives. Softmax may only come last.
func outputName(network *builder.Network) string {
	nodes := network.Nodes()
	if _, ok := nodes[len(nodes)-1].Layer.(builder.Softmax); ok {
		return "probabilities"
	}
	if len(network.Output()) == 1 {
		return "logits"
	}
	return "feature_map"
}

// layer appends the layer's node. All attributes are explicit, also where they
// equal the operator's default; the package's comment says why.
func (l *lowering) layer(node builder.Node) error {
	switch layer := node.Layer.(type) {
	case builder.Conv2D:
		l.add(node, "Conv", append(windowAttributes(layer.Kernel, layer.Stride, layer.Padding),
			ints("dilations", 1, 1), integer("group", 1))...)
	case builder.ReLU:
		l.add(node, "Relu")
	case builder.MaxPool2D:
		// No dilations and no storage_order: the first is refused by onnx-go,
		// the second matters to the indices only, which nobody asks for.
		l.add(node, "MaxPool", append(windowAttributes(layer.Kernel, layer.Stride, layer.Padding),
			integer("ceil_mode", 0))...)
	case builder.AvgPool2D:
		l.add(node, "AveragePool", append(windowAttributes(layer.Kernel, layer.Stride, layer.Padding),
			integer("ceil_mode", 0), integer("count_include_pad", 1))...)
	case builder.Flatten:
		l.add(node, "Flatten", integer("axis", 1))
	case builder.Dense:
		l.add(node, "Gemm", number("alpha", 1), number("beta", 1), integer("transA", 0), integer("transB", 1))
	case builder.Softmax:
		l.add(node, "Softmax", integer("axis", 1))
	case builder.Dropout:
		// The identity when a network is evaluated.
	default:
		return fmt.Errorf("layer %s: the export does not know the layer %s", node.Name, node.Layer.Kind())
	}
	return nil
}

func (l *lowering) add(node builder.Node, operator string, attributes ...*onnxpb.AttributeProto) {
	inputs := []string{l.current}
	for _, parameter := range node.Parameters {
		inputs = append(inputs, parameter.Name)
	}
	l.current = node.Name + ".output"
	l.nodes = append(l.nodes, &onnxpb.NodeProto{
		Name:      proto.String(node.Name),
		OpType:    proto.String(operator),
		Input:     inputs,
		Output:    []string{l.current},
		Attribute: attributes,
	})
}

// graph returns the graph of the layers added so far. batch is 0 where it is free.
func (l *lowering) graph(weights builder.Weights, batch int) (*onnxpb.GraphProto, error) {
	if len(l.nodes) == 0 {
		// Nothing but dropout: an output must be made by a node, not be an input.
		layers := l.network.Nodes()
		last := layers[len(layers)-1]
		last.Parameters = nil
		l.add(last, "Identity")
	}
	output := outputName(l.network)
	l.nodes[len(l.nodes)-1].Output[0] = output

	graph := &onnxpb.GraphProto{
		Name:   proto.String(l.network.Name()),
		Node:   l.nodes,
		Input:  []*onnxpb.ValueInfoProto{batchOf(inputName(l.network), l.network.Input(), batch)},
		Output: []*onnxpb.ValueInfoProto{batchOf(output, l.network.Output(), batch)},
	}
	for _, weight := range weights {
		dims := make([]int64, len(weight.Shape))
		for i, dim := range weight.Shape {
			dims[i] = int64(dim)
		}
		tensor, err := FloatTensor(weight.Name, dims, weight.Data)
		if err != nil {
			return nil, err
		}
		graph.Initializer = append(graph.Initializer, tensor)
	}
	return graph, nil
}

// batchOf declares a float32 value of N examples of the shape.
func batchOf(name string, example builder.Shape, batch int) *onnxpb.ValueInfoProto {
	first := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}
	if batch > 0 {
		first.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(batch)}
	}
	shape := &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{first}}
	for _, size := range example {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(size)},
		})
	}
	return &onnxpb.ValueInfoProto{
		Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
			Shape:    shape,
		}}},
	}
}

func windowAttributes(kernel, stride, padding builder.Size) []*onnxpb.AttributeProto {
	h, w := int64(padding.Height), int64(padding.Width)
	return []*onnxpb.AttributeProto{
		ints("kernel_shape", int64(kernel.Height), int64(kernel.Width)),
		ints("strides", int64(stride.Height), int64(stride.Width)),
		ints("pads", h, w, h, w),
	}
}

func ints(name string, values ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(), Ints: values}
}

func integer(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(value)}
}

func number(name string, value float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(value)}
}
