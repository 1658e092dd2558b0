package onnx_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// chain is functions of which each calls the next that many times, and the last is a Relu.
func chain(length, times int) []*onnxpb.FunctionProto {
	var functions []*onnxpb.FunctionProto
	for i := range length - 1 {
		var nodes []*onnxpb.NodeProto
		for call := range times {
			output := fmt.Sprintf("y%d", call)
			if call == times-1 {
				output = "y"
			}
			nodes = append(nodes, local(fmt.Sprintf("F%d", i+1), "x", output))
		}
		functions = append(functions, functionOf(fmt.Sprintf("F%d", i), nodes...))
	}
	relu := nodeOf("Relu", []string{"x"}, []string{"y"})
	return append(functions, functionOf(fmt.Sprintf("F%d", length-1), relu))
}

// Functions may call each other 100 deep, and make 2^20 nodes of the model, those of subgraphs
// and the model's own included.
func TestTheLimitsOfFunctions(t *testing.T) {
	const own = 5 // nodes of tinyModel
	// A condition, and an If of two graphs that call F0.
	branches := func(g *onnxpb.GraphProto) {
		g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: proto.String("yes"),
			DataType: proto.Int32(int32(onnxpb.TensorProto_BOOL)), Int32Data: []int32{1}})
		node := nodeOf("If", []string{"yes"}, []string{"chosen"})
		for _, name := range []string{"then_branch", "else_branch"} {
			node.Attribute = append(node.Attribute, &onnxpb.AttributeProto{
				Name: proto.String(name), Type: onnxpb.AttributeProto_GRAPH.Enum(),
				G: &onnxpb.GraphProto{Name: proto.String(name),
					Node:   []*onnxpb.NodeProto{local("F0", "image", "of "+name)},
					Output: []*onnxpb.ValueInfoProto{{Name: proto.String("of " + name)}}}})
		}
		g.Node = append(g.Node, node)
	}
	// Calls that are so many nodes: F0 has 2^19, F1 half as many, and so on.
	calls := func(nodes int) func(g *onnxpb.GraphProto) {
		return func(g *onnxpb.GraphProto) {
			for i := range 20 {
				if nodes>>(19-i)&1 == 1 {
					name := fmt.Sprintf("F%d", i)
					g.Node = append(g.Node, local(name, "image", "of "+name))
				}
			}
		}
	}
	for name, test := range map[string]struct {
		functions []*onnxpb.FunctionProto
		change    func(g *onnxpb.GraphProto)
		want      string
	}{
		"100 deep": {chain(100, 1), nil, ""},
		"101 deep": {chain(101, 1), nil,
			"functions call each other more than 100 deep"},
		"2^20 nodes":                 {chain(21, 2), nil, ""},
		"2^21 nodes":                 {chain(22, 2), nil, "more than 1048576 nodes"},
		"with the model's own":       {chain(20, 2), calls(1<<20 - own), ""},
		"one more than may":          {chain(20, 2), calls(1<<20 - own + 1), "more than 1048576 nodes"},
		"two calls in branches":      {chain(19, 2), branches, ""},
		"more in branches than may":  {chain(20, 2), branches, "more than 1048576 nodes"},
		"called, though none is big": {chain(21, 2), calls(1 << 19), "more than 1048576 nodes"},
	} {
		model := tinyModel(t)
		importDomain(model.Proto, "local")
		model.Proto.Functions = test.functions
		if test.change != nil {
			test.change(model.Proto.Graph)
		}
		err := model.Check()
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// The defaults that a function gives its attributes are checked as attributes are.
func TestDefaultsOfFunctions(t *testing.T) {
	for name, test := range map[string]struct {
		attribute *onnxpb.AttributeProto
		want      string
	}{
		"sound": {&onnxpb.AttributeProto{Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{1, 2}},
			""},
		"none": {&onnxpb.AttributeProto{Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{0, 2}},
			`the default of the attribute "outer": strides holds 0`},
		"contradictory": {&onnxpb.AttributeProto{Type: onnxpb.AttributeProto_INTS.Enum(),
			F: proto.Float32(1)},
			`the default of the attribute "outer": `},
	} {
		model := tinyModel(t)
		importDomain(model.Proto, "local")
		pool := nodeOf("MaxPool", []string{"x"}, []string{"y"})
		pool.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("strides"),
			Type: onnxpb.AttributeProto_INTS.Enum(), RefAttrName: proto.String("outer")}}
		setInts(pool, "kernel_shape", 2, 2)
		test.attribute.Name = proto.String("outer")
		function := functionOf("Pool", pool)
		function.AttributeProto = []*onnxpb.AttributeProto{test.attribute}
		model.Proto.Functions = []*onnxpb.FunctionProto{function}
		err := model.Check()
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
