package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// sizes is a tensor of int64 that holds sizes.
func sizes(name string, values ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), Int64Data: values,
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{int64(len(values))}}
}

func scales(name string, values ...float32) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), FloatData: values,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Dims: []int64{int64(len(values))}}
}

// Nodes that fill as much as a node may, 2^28 elements, are taken, and refused for one
// element more. The first input of those that have one is the logits, N×3; "" stands for no
// input.
func TestTheLimitsOfWhatANodeFills(t *testing.T) {
	const most = 1 << 28
	logits := proto.String("logits")
	input := &onnxpb.TensorProto{Name: logits}
	none := &onnxpb.TensorProto{}
	ones := slices.Repeat([]int64{1}, 127)
	for _, test := range []struct {
		name, operator string
		opset          int64
		inputs         []*onnxpb.TensorProto
		want           string // how much it fills by the error, empty where it is taken
	}{
		{"as many", "ConstantOfShape", 13, []*onnxpb.TensorProto{sizes("s", most)}, ""},
		{"one more", "ConstantOfShape", 13, []*onnxpb.TensorProto{sizes("s", most+1)},
			"it fills 268435457 "},
		{"nothing", "ConstantOfShape", 13, []*onnxpb.TensorProto{sizes("s", 1<<40, 0)}, ""},
		{"as many sizes as are read", "ConstantOfShape", 13,
			[]*onnxpb.TensorProto{sizes("s", append(ones, most+1)...)}, "it fills 268435457 "},
		{"a range", "Range", 13,
			[]*onnxpb.TensorProto{sizes("a", 5), sizes("b", most+5), sizes("c", 1)}, ""},
		{"a range, one more", "Range", 13,
			[]*onnxpb.TensorProto{sizes("a", 5), sizes("b", most+6), sizes("c", 1)}, "it fills 268435457 "},
		{"a range from nowhere", "Range", 13,
			[]*onnxpb.TensorProto{sizes("a"), sizes("b", most+6), sizes("c", 1)}, ""},
		{"pads at both ends", "Pad", 13,
			[]*onnxpb.TensorProto{input, sizes("p", 0, most/2, 0, most/2-3)}, ""},
		{"pads, one more", "Pad", 13,
			[]*onnxpb.TensorProto{input, sizes("p", 0, most/2, 0, most/2-2)}, "it fills 268435457 "},
		{"pads of more dimensions", "Pad", 13,
			[]*onnxpb.TensorProto{input, sizes("p", 0, 0, 0, 1, 1, 1)}, ""},
		{"pads of some axes", "Pad", 18,
			[]*onnxpb.TensorProto{input, sizes("p", most/2, most/2), none, sizes("axes", 0)}, ""},
		{"an expansion", "Expand", 13, []*onnxpb.TensorProto{input, sizes("e", 1<<26, 1)}, ""},
		{"an expansion, more", "Expand", 13,
			[]*onnxpb.TensorProto{input, sizes("e", 1<<27, 1)}, "it fills 402653184 "},
		{"tiles of more dimensions", "Tile", 13, []*onnxpb.TensorProto{input, sizes("r", 1, 2, 3)}, ""},
		{"sizes that are empty beside scales", "Resize", 13,
			[]*onnxpb.TensorProto{input, none, scales("f", 1, 1<<28), sizes("e")}, "it fills 805306368 "},
		{"scales that are empty behind scales", "Resize", 10,
			[]*onnxpb.TensorProto{input, scales("f", 1, 1<<28), scales("e")}, "it fills 805306368 "},
		{"scales of an attribute", "Upsample", 7, []*onnxpb.TensorProto{input}, "it fills 805306368 "},
	} {
		model := tinyModel(t)
		graph := model.Proto.Graph
		model.Proto.OpsetImport[0].Version = proto.Int64(test.opset)
		node := nodeOf(test.operator, nil, []string{"filled"})
		for _, tensor := range test.inputs {
			node.Input = append(node.Input, tensor.GetName())
			if tensor.DataType != nil {
				graph.Initializer = append(graph.Initializer, tensor)
			}
		}
		if test.operator == "Upsample" {
			node.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("scales"),
				Type: onnxpb.AttributeProto_FLOATS.Enum(), Floats: []float32{1, 1 << 28}}}
		}
		graph.Node = append(graph.Node, node)
		requireFilled(t, test.name, model, test.want)
	}
}

// What depends on no input counts together.
func TestNodesTogetherFillAsMuchAsOneMay(t *testing.T) {
	for more, want := range map[int64]string{0: "", 1: "the nodes before it fill 268435457 elements"} {
		model := tinyModel(t)
		graph := model.Proto.Graph
		graph.Initializer = append(graph.Initializer, sizes("half", 1<<27), sizes("more", 1<<27+more))
		for _, shape := range []string{"half", "more"} {
			graph.Node = append(graph.Node,
				nodeOf("ConstantOfShape", []string{shape}, []string{"of " + shape}))
		}
		requireFilled(t, fmt.Sprint(more), model, want)
	}
}

func requireFilled(t *testing.T, name string, model *onnx.Model, want string) {
	t.Helper()
	err := model.Check()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

// A size that another node computes is not known, and what another domain's operators fill is
// not either.
func TestWhatIsNotKnownToFill(t *testing.T) {
	large := &onnxpb.AttributeProto{Name: proto.String("value_ints"),
		Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{1 << 29}}
	foreign := func(operator string, inputs ...string) *onnxpb.NodeProto {
		node := nodeOf(operator, inputs, []string{"of " + operator})
		node.Domain = proto.String("com.acme")
		return node
	}
	constant := foreign("Constant")
	constant.Attribute = []*onnxpb.AttributeProto{large}
	repeated := nodeOf("ConstantOfShape", []string{"one"}, []string{"repeated"})
	repeated.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"),
		Type: onnxpb.AttributeProto_TENSOR.Enum(), T: sizes("", 1<<29)}}
	for name, nodes := range map[string][]*onnxpb.NodeProto{
		"a Constant of another domain": {constant, nodeOf("ConstantOfShape", []string{"of Constant"},
			[]string{"filled"})},
		"a size that is computed": {repeated, nodeOf("ConstantOfShape", []string{"repeated"},
			[]string{"filled"})},
		"a filling of another domain": {foreign("ConstantOfShape", "large")},
	} {
		model := tinyModel(t)
		importDomain(model.Proto, "com.acme")
		graph := model.Proto.Graph
		graph.Initializer = append(graph.Initializer, sizes("one", 1), sizes("large", 1<<29))
		graph.Node = append(graph.Node, nodes...)
		requireFilled(t, name, model, "")
	}
}
