package convert

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

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

// lower returns the graph of a network. batch is 0 where it is free.
func lower(network *builder.Network, weights builder.Weights, batch int) (*onnxpb.GraphProto,
	error) {
	input, output := inputName(network), outputName(network)
	operators, err := network.Operators(input)
	if err != nil {
		return nil, err
	}
	rename := func(value string) string {
		if value == operators.Output {
			return output
		}
		return value
	}
	if operators.Output == input {
		// Nothing but dropout: an output must be made by a node, not be an input.
		nodes := network.Nodes()
		last := nodes[len(nodes)-1]
		operators.Nodes = append(operators.Nodes, builder.Operator{Name: last.Name, Type: "Identity",
			Inputs: []string{input}, Output: output})
		rename = func(value string) string { return value }
	}
	graph := &onnxpb.GraphProto{
		Name:   proto.String(network.Name()),
		Input:  []*onnxpb.ValueInfoProto{batchOf(input, network.Input(), batch)},
		Output: []*onnxpb.ValueInfoProto{batchOf(output, network.Output(), batch)},
	}
	for _, operator := range operators.Nodes {
		var inputs []string
		for _, value := range operator.Inputs {
			inputs = append(inputs, rename(value))
		}
		node := message.NewNode(operator.Name, operator.Type, inputs, rename(operator.Output))
		for _, attribute := range operator.Attributes {
			converted, err := attributeOf(attribute)
			if err != nil {
				return nil, fmt.Errorf("operator %s: %w", operator.Name, err)
			}
			node.Attribute = append(node.Attribute, converted)
		}
		graph.Node = append(graph.Node, node)
	}
	for _, weight := range weights {
		if err := initialise(graph, weight.Name, weight.Shape, weight.Data); err != nil {
			return nil, err
		}
	}
	for _, constant := range operators.Constants {
		if constant.Integers != nil {
			graph.Initializer = append(graph.Initializer, onnx.Int64Tensor(constant.Name, constant.Integers))
		} else if err := initialise(graph, constant.Name, constant.Dims, constant.Floats); err != nil {
			return nil, err
		}
	}
	return graph, nil
}

// initialise adds a tensor of float32 to the graph.
func initialise(graph *onnxpb.GraphProto, name string, shape []int, data []float32) error {
	dims := make([]int64, len(shape))
	for i, dim := range shape {
		dims[i] = int64(dim)
	}
	tensor, err := onnx.FloatTensor(name, dims, data)
	if err != nil {
		return err
	}
	graph.Initializer = append(graph.Initializer, tensor)
	return nil
}

// attributeOf is a layer's attribute in the format.
func attributeOf(attribute builder.Attribute) (*onnxpb.AttributeProto, error) {
	switch value := attribute.Value.(type) {
	case int64:
		return message.NewInteger(attribute.Name, value), nil
	case float32:
		return message.NewNumber(attribute.Name, value), nil
	case []int64:
		return message.NewIntegers(attribute.Name, value...), nil
	case string:
		return &onnxpb.AttributeProto{Name: proto.String(attribute.Name),
			Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(value)}, nil
	}
	return nil, fmt.Errorf(
		"the attribute %s is a %T; it must be an int64, a float32, a []int64 or a string", attribute.Name,
		attribute.Value)
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
