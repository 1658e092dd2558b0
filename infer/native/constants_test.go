package native

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// byConstants returns the model with its weights made by nodes in place of initializers.
func byConstants(model *onnx.Model, nodes func(weight *onnxpb.TensorProto) []*onnxpb.NodeProto,
) *onnx.Model {
	other := &onnx.Model{Proto: proto.Clone(model.Proto).(*onnxpb.ModelProto)}
	graph := other.Proto.Graph
	weights := graph.Initializer
	graph.Initializer = nil
	var made []*onnxpb.NodeProto
	for _, weight := range weights {
		made = append(made, nodes(weight)...)
		if len(made) > 0 && made[len(made)-1].GetOpType() == "Identity" {
			kept := proto.Clone(weight).(*onnxpb.TensorProto)
			kept.Name = proto.String(made[len(made)-1].Input[0])
			graph.Initializer = append(graph.Initializer, kept)
		}
	}
	graph.Node = append(made, graph.Node...)
	return other
}

// TestWeightsByNodes: weights that Constant nodes make, or Identity nodes hand on, are joined with
// what follows as initializers are.
func TestWeightsByNodes(t *testing.T) {
	g := graphmaker.New(graphmaker.Free, 3, 9, 9).Weight("w", -1, 1, 8, 3, 3, 3)
	g.Weight("s", 0.5, 1.5, 8).Weight("t", -1, 1, 8).Weight("m", -1, 1, 8).Weight("v", 0.5, 1.5, 8)
	g.Weight("low", 0, 0).Weight("high", 6, 6).Node("c = Conv x w")
	g.Node("n = BatchNormalization c s t m v").Node("y = Clip n low high")
	model := g.Model()
	x := pixels(2, 3, 9, 9)
	want := answer(t, opened(t, model), x)
	for name, nodes := range map[string]func(weight *onnxpb.TensorProto) []*onnxpb.NodeProto{
		"Constant": func(weight *onnxpb.TensorProto) []*onnxpb.NodeProto {
			return []*onnxpb.NodeProto{{OpType: proto.String("Constant"), Output: []string{weight.GetName()},
				Attribute: []*onnxpb.AttributeProto{{Name: proto.String("value"), T: weight,
					Type: onnxpb.AttributeProto_TENSOR.Enum()}}}}
		},
		"Identity": func(weight *onnxpb.TensorProto) []*onnxpb.NodeProto {
			return []*onnxpb.NodeProto{{OpType: proto.String("Identity"), Output: []string{weight.GetName()},
				Input: []string{weight.GetName() + "'"}}}
		},
	} {
		e := opened(t, byConstants(model, nodes))
		if n := len(e.program.steps); n != 1 {
			t.Errorf("%s: %d steps", name, n)
		}
		if !slices.Equal(answer(t, e, x), want) {
			t.Errorf("%s: not the bits that initializers give", name)
		}
	}
}
