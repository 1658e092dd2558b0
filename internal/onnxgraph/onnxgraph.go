// Package onnxgraph says what is asked of ONNX's messages in many places: which graphs a node has
// within it, and which values it takes, those among them.
package onnxgraph

import "slipway/onnx/onnxpb"

// Domain maps the two spellings of ONNX's own domain to "", and returns others as they are.
func Domain(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

// Graphs returns the graphs of an attribute.
func Graphs(attribute *onnxpb.AttributeProto) []*onnxpb.GraphProto {
	graphs := attribute.GetGraphs()
	if attribute.G != nil {
		graphs = append([]*onnxpb.GraphProto{attribute.G}, graphs...)
	}
	return graphs
}

// Subgraphs returns the graphs among a node's attributes.
func Subgraphs(node *onnxpb.NodeProto) []*onnxpb.GraphProto {
	var graphs []*onnxpb.GraphProto
	for _, attribute := range node.GetAttribute() {
		graphs = append(graphs, Graphs(attribute)...)
	}
	return graphs
}

// Take marks what a node takes: its inputs, and what its subgraphs take (TakeWithin).
func Take(node *onnxpb.NodeProto, names map[string]bool) {
	for _, input := range node.GetInput() {
		names[input] = true
	}
	for _, graph := range Subgraphs(node) {
		TakeWithin(graph, names)
	}
}

// TakeWithin marks what the nodes of a graph within a node take, and what that returns. A name that
// the graph makes itself is marked, too.
func TakeWithin(graph *onnxpb.GraphProto, names map[string]bool) {
	for _, node := range graph.GetNode() {
		Take(node, names)
	}
	for _, output := range graph.GetOutput() {
		names[output.GetName()] = true
	}
}
