package onnxgraph

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

func TestDomain(t *testing.T) {
	for name, want := range map[string]string{"": "", "ai.onnx": "", "ai.onnx.ml": "ai.onnx.ml"} {
		if got := Domain(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestTake(t *testing.T) {
	graph := func(input, output string, attributes ...*onnxpb.AttributeProto) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: proto.String(output),
			Node:   []*onnxpb.NodeProto{{Input: []string{input}, Attribute: attributes}},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String(output)}}}
	}
	inner := &onnxpb.AttributeProto{G: graph("d", "e")}
	node := &onnxpb.NodeProto{Input: []string{"a", ""}, Output: []string{"not taken"},
		Attribute: []*onnxpb.AttributeProto{
			{G: graph("b", "c", inner), Graphs: []*onnxpb.GraphProto{graph("f", "g")}},
			{I: proto.Int64(1)}, {Graphs: []*onnxpb.GraphProto{graph("h", "i")}},
		}}
	var names []string
	for _, sub := range Subgraphs(node) {
		names = append(names, sub.GetName())
	}
	if want := []string{"c", "g", "i"}; !slices.Equal(names, want) {
		t.Errorf("the node's graphs are %v, want %v", names, want)
	}
	taken := make(map[string]bool)
	Take(node, taken)
	want := []string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i"}
	if got := slices.Sorted(maps.Keys(taken)); !slices.Equal(got, want) {
		t.Errorf("the node takes %q, want %q", got, want)
	}
}
