// Package graphmaker writes small ONNX graphs by hand, for tests.
package graphmaker

import (
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Graph is a graph under way. Its methods return it.
type Graph struct {
	graph  *onnxpb.GraphProto
	source *rand.Rand
}

// opset is the one that a Graph is of.
const opset = 18

// Free is a batch dimension that is free.
const Free = 0

// New begins a graph that takes x, float32 of those dimensions.
func New(input ...int64) *Graph {
	g := &Graph{source: rand.New(rand.NewPCG(3, 4)),
		graph: &onnxpb.GraphProto{Name: proto.String("made")}}
	g.graph.Input = append(g.graph.Input, valueInfo("x", input...))
	return g
}

func valueInfo(name string, dims ...int64) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for i, dim := range dims {
		d := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: dim}}
		if i == 0 && dim == Free {
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}
		}
		shape.Dim = append(shape.Dim, d)
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
				Shape: shape}}}}
}

// Weight adds an initializer of values in low…high.
func (g *Graph) Weight(name string, low, high float64, dims ...int64) *Graph {
	elements := int64(1)
	for _, dim := range dims {
		elements *= dim
	}
	tensor := &onnxpb.TensorProto{Name: proto.String(name), Dims: dims,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}
	for range elements {
		tensor.FloatData = append(tensor.FloatData, float32(low+(high-low)*g.source.Float64()))
	}
	g.graph.Initializer = append(g.graph.Initializer, tensor)
	return g
}

// Integers adds an initializer of int64, a vector or, of one named with a dot, a
// number.
func (g *Graph) Integers(name string, values ...int64) *Graph {
	tensor := &onnxpb.TensorProto{Name: proto.String(name),
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Int64Data: values}
	if !strings.HasSuffix(name, ".") {
		tensor.Dims = []int64{int64(len(values))}
	}
	g.graph.Initializer = append(g.graph.Initializer, tensor)
	return g
}

// Tensor adds an initializer.
func (g *Graph) Tensor(tensor *onnxpb.TensorProto) *Graph {
	g.graph.Initializer = append(g.graph.Initializer, tensor)
	return g
}

// Node adds a node, written as "y = Conv x w b" and called the_y.
func (g *Graph) Node(text string, attributes ...*onnxpb.AttributeProto) *Graph {
	words := strings.Fields(text)
	outputs := strings.Split(words[0], ",")
	g.graph.Node = append(g.graph.Node, &onnxpb.NodeProto{
		Name: proto.String("the_" + outputs[0]), OpType: proto.String(words[2]), Input: words[3:],
		Output: outputs, Attribute: attributes,
	})
	return g
}

// Ints is an attribute of several integers.
func Ints(name string, values ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
		Ints: values}
}

// Int is an attribute of one integer.
func Int(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(value)}
}

// Float is an attribute of one number.
func Float(name string, value float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(),
		F: proto.Float32(value)}
}

// Text is an attribute of a text.
func Text(name, value string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_STRING.Enum(),
		S: []byte(value)}
}

// Model ends the graph in the last node's output.
func (g *Graph) Model() *onnx.Model {
	last := g.graph.Node[len(g.graph.Node)-1]
	g.graph.Output = append(g.graph.Output,
		&onnxpb.ValueInfoProto{Name: proto.String(last.GetOutput()[0]), Type: &onnxpb.TypeProto{
			Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(
				int32(onnxpb.TensorProto_FLOAT))}}}})
	return &onnx.Model{Proto: &onnxpb.ModelProto{
		IrVersion: proto.Int64(8), Graph: g.graph,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""),
			Version: proto.Int64(opset)}},
	}}
}

// Dense ends a graph in a Gemm to four scores.
func (g *Graph) Dense(input string, features int64) *Graph {
	return g.Weight("fc", -0.5, 0.5, 4, features).Weight("fc.b", -1, 1, 4).
		Node("y = Gemm "+input+" fc fc.b", Int("transB", 1))
}
