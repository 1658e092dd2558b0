package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Extract returns the part of a model that computes the named values of its main
// graph, with these as its outputs, in their order: a graph cut at a node, or one
// that shows what lies between. It has the inputs of the whole; nodes and
// initializers that no output needs are left out. An output is declared as far as
// shape inference knows it, and left for the runtime to infer otherwise. The
// model passes Check; it shares nothing with the new one that either may change.
func Extract(m *Model, outputs []string) (*Model, error) {
	if m == nil || m.Proto == nil {
		return nil, errors.New("extract: there is no model")
	}
	if m.left != nil {
		return nil, fmt.Errorf("extract from %s: %w", m.label(), errLeft)
	}
	known, err := analyze(m.Proto)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.label(), err)
	}
	part := proto.CloneOf(m.Proto)
	graph := part.Graph
	needed := make(map[string]bool)
	seen := make(map[string]bool)
	declared := make([]*onnxpb.ValueInfoProto, len(outputs))
	for i, name := range outputs {
		value, ok := known.values[name]
		if !ok || name == "" {
			return nil, fmt.Errorf("%s: extract: no node makes a value %q; onnx.Inspect lists the values",
				m.label(), message.Shorten(name))
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: extract: the value %q is asked for twice", m.label(),
				message.Shorten(name))
		}
		seen[name], needed[name] = true, true
		value.Name = name
		declared[i] = value.info()
	}
	if len(outputs) == 0 {
		return nil, fmt.Errorf("%s: extract: no value is asked for", m.label())
	}

	// Nodes are sorted, so that one walk from the end meets every use before what makes it.
	var nodes []*onnxpb.NodeProto
	for i := len(graph.Node) - 1; i >= 0; i-- {
		node := graph.Node[i]
		used := false
		for _, output := range node.GetOutput() {
			used = used || output != "" && needed[output]
		}
		if used {
			// Names that a subgraph makes itself are among these: one node too many is kept then, and
			// none too few.
			onnxgraph.Take(node, needed)
			nodes = append(nodes, node)
		}
	}
	slices.Reverse(nodes)
	graph.Node, graph.Output, graph.ValueInfo = nodes, declared, nil
	graph.QuantizationAnnotation = nil
	inputs := make(map[string]bool)
	for _, input := range graph.GetInput() {
		inputs[input.GetName()] = true
	}
	// An input with a default stays optional.
	keep := func(name string) bool { return needed[name] || inputs[name] }
	var dense []*onnxpb.TensorProto
	for _, tensor := range graph.GetInitializer() {
		if keep(tensor.GetName()) {
			dense = append(dense, tensor)
		}
	}
	var sparse []*onnxpb.SparseTensorProto
	for _, tensor := range graph.GetSparseInitializer() {
		if keep(tensor.GetValues().GetName()) {
			sparse = append(sparse, tensor)
		}
	}
	graph.Initializer, graph.SparseInitializer = dense, sparse
	part.TrainingInfo = nil
	return &Model{Proto: part, path: m.path}, nil
}

// info declares the value, as far as it is known.
func (v Value) info() *onnxpb.ValueInfoProto {
	info := &onnxpb.ValueInfoProto{Name: proto.String(v.Name)}
	if v.Type == onnxpb.TensorProto_UNDEFINED {
		return info
	}
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(v.Type))}
	if v.HasShape {
		tensor.Shape = &onnxpb.TensorShapeProto{}
		for _, dim := range v.Dims {
			entry := &onnxpb.TensorShapeProto_Dimension{}
			switch {
			case dim.Known():
				entry.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: dim.Size}
			case dim.Name != "":
				entry.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: dim.Name}
			}
			tensor.Shape.Dim = append(tensor.Shape.Dim, entry)
		}
	}
	info.Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}
	return info
}
