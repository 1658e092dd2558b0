package onnx

import (
	"fmt"

	"slipway/internal/display"
	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// eachTensor calls visit for every tensor of the model: initializers, sparse
// ones, and those in attributes, at any depth. Decode has bounded the depth.
func eachTensor(model *onnxpb.ModelProto,
	visit func(place string, tensor *onnxpb.TensorProto) error) error {
	w := tensorWalk{visit: visit}
	if err := w.graph("graph", model.GetGraph()); err != nil {
		return err
	}
	for i, function := range model.GetFunctions() {
		place := fmt.Sprintf("function %d (%s)", i,
			display.Printable(message.Shorten(function.GetName())))
		if err := w.nodes(place+", ", function.GetNode()); err != nil {
			return err
		}
		if err := w.attributes(place, function.GetAttributeProto()); err != nil {
			return err
		}
	}
	for i, training := range model.GetTrainingInfo() {
		place := fmt.Sprintf("training_info %d", i)
		if err := w.graph(place+" initialization", training.GetInitialization()); err != nil {
			return err
		}
		if err := w.graph(place+" algorithm", training.GetAlgorithm()); err != nil {
			return err
		}
	}
	return nil
}

type tensorWalk struct {
	visit func(place string, tensor *onnxpb.TensorProto) error
}

func (w tensorWalk) graph(place string, graph *onnxpb.GraphProto) error {
	for i, tensor := range graph.GetInitializer() {
		if err := w.visit(fmt.Sprintf("%s, initializer %d", place, i), tensor); err != nil {
			return err
		}
	}
	for i, tensor := range graph.GetSparseInitializer() {
		if err := w.sparse(fmt.Sprintf("%s, sparse initializer %d", place, i), tensor); err != nil {
			return err
		}
	}
	prefix := ""
	if place != "graph" {
		prefix = place + ", "
	}
	return w.nodes(prefix, graph.GetNode())
}

func (w tensorWalk) sparse(place string, tensor *onnxpb.SparseTensorProto) error {
	for _, part := range []*onnxpb.TensorProto{tensor.GetValues(), tensor.GetIndices()} {
		if part == nil {
			continue
		}
		if err := w.visit(place, part); err != nil {
			return err
		}
	}
	return nil
}

func (w tensorWalk) nodes(prefix string, nodes []*onnxpb.NodeProto) error {
	for i, node := range nodes {
		if len(node.GetAttribute()) == 0 {
			continue
		}
		if err := w.attributes(prefix+message.DescribeNode(i, node), node.GetAttribute()); err != nil {
			return err
		}
	}
	return nil
}

func (w tensorWalk) attributes(place string, attributes []*onnxpb.AttributeProto) error {
	for _, attribute := range attributes {
		at := place + ", attribute " + display.Printable(message.Shorten(attribute.GetName()))
		tensors := attribute.GetTensors()
		if attribute.T != nil {
			tensors = append([]*onnxpb.TensorProto{attribute.T}, tensors...)
		}
		for _, tensor := range tensors {
			if err := w.visit(at, tensor); err != nil {
				return err
			}
		}
		sparse := attribute.GetSparseTensors()
		if attribute.SparseTensor != nil {
			sparse = append([]*onnxpb.SparseTensorProto{attribute.SparseTensor}, sparse...)
		}
		for _, tensor := range sparse {
			if err := w.sparse(at, tensor); err != nil {
				return err
			}
		}
		for _, graph := range onnxgraph.Graphs(attribute) {
			if err := w.graph(at, graph); err != nil {
				return err
			}
		}
	}
	return nil
}
