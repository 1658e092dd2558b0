package onnx_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

func TestExtract(t *testing.T) {
	whole := tinyModel(t)
	before := encode(t, whole)
	for _, test := range []struct {
		outputs []string
		nodes   []string
		weights []string
		shapes  []string
	}{
		{[]string{"conv1.output"}, []string{"conv1"}, []string{"conv1.weight", "conv1.bias"},
			[]string{"float[N×2×4×4]"}},
		{[]string{"pool1.output", "conv1.output"}, []string{"conv1", "relu1", "pool1"},
			[]string{"conv1.weight", "conv1.bias"}, []string{"float[N×2×2×2]", "float[N×2×4×4]"}},
		{[]string{"logits"}, []string{"conv1", "relu1", "pool1", "flatten1", "fc1"},
			[]string{"conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias"}, []string{"float[N×3]"}},
	} {
		part, err := onnx.Extract(whole, test.outputs)
		if err != nil {
			t.Fatal(err)
		}
		if err := part.Check(); err != nil {
			t.Errorf("%v: %v", test.outputs, err)
		}
		var nodes, weights, shapes, outputs []string
		for _, node := range part.Proto.Graph.Node {
			nodes = append(nodes, node.GetName())
		}
		for _, tensor := range part.Proto.Graph.Initializer {
			weights = append(weights, tensor.GetName())
		}
		for _, output := range part.Outputs() {
			outputs, shapes = append(outputs, output.Name), append(shapes, output.String())
		}
		if !slices.Equal(nodes, test.nodes) || !slices.Equal(weights, test.weights) ||
			!slices.Equal(shapes, test.shapes) || !slices.Equal(outputs, test.outputs) {
			t.Errorf("%v: nodes %v, weights %v, outputs %v %v", test.outputs, nodes, weights, outputs,
				shapes)
		}
		part.Proto.Graph.Initializer[0].RawData[0] ^= 1
	}
	if !slices.Equal(before, encode(t, whole)) {
		t.Error("the whole model has changed")
	}
}

// A subgraph uses values of the graph around it by name alone: what makes them stays.
func TestExtractKeepsWhatSubgraphsUse(t *testing.T) {
	model := tinyModel(t)
	graph := model.Proto.Graph
	branch := &onnxpb.GraphProto{Name: proto.String("branch"),
		Node:   []*onnxpb.NodeProto{nodeOf("Neg", []string{"relu1.output"}, []string{"z"})},
		Output: []*onnxpb.ValueInfoProto{{Name: proto.String("z")}}}
	choice := nodeOf("If", []string{"image"}, []string{"chosen"})
	for _, name := range []string{"then_branch", "else_branch"} {
		choice.Attribute = append(choice.Attribute, &onnxpb.AttributeProto{Name: proto.String(name),
			Type: onnxpb.AttributeProto_GRAPH.Enum(), G: branch})
	}
	graph.Node = append(graph.Node, choice)
	part, err := onnx.Extract(model, []string{"chosen"})
	if err != nil {
		t.Fatal(err)
	}
	if err := part.Check(); err != nil || len(part.Proto.Graph.Node) != 3 {
		t.Errorf("%d nodes, %v", len(part.Proto.Graph.Node), err)
	}
}

func TestExtractRefuses(t *testing.T) {
	bad := tinyModel(t)
	bad.Proto.Graph.Node[0].Input[0] = "ghost"
	for _, test := range []struct {
		model   *onnx.Model
		outputs []string
		want    string
	}{
		{nil, []string{"logits"}, "there is no model"},
		{tinyModel(t), nil, "no value is asked for"},
		{tinyModel(t), []string{"ghost"}, `no node makes a value "ghost"`},
		{tinyModel(t), []string{"logits", "logits"}, "twice"},
		{bad, []string{"logits"}, `"ghost" is made by no node`},
	} {
		if _, err := onnx.Extract(test.model, test.outputs); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want one with %q", test.outputs, err, test.want)
		}
	}
}
