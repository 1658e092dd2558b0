package bisect

import (
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// graph is a model's main graph with what makes each of its values.
type graph struct {
	model   *onnx.Model
	nodes   []*onnxpb.NodeProto
	reports []onnx.NodeReport
	// maker has, by value name, the node that makes it and which of its outputs it is.
	maker        map[string]place
	initializers map[string]*onnxpb.TensorProto
}

type place struct{ node, output int }

func newGraph(model *onnx.Model) *graph {
	g := &graph{
		model: model, nodes: model.Proto.GetGraph().GetNode(), reports: onnx.Inspect(model).Nodes,
		maker: make(map[string]place), initializers: make(map[string]*onnxpb.TensorProto),
	}
	for i, node := range g.nodes {
		for j, output := range node.GetOutput() {
			if output != "" {
				g.maker[output] = place{i, j}
			}
		}
	}
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		g.initializers[tensor.GetName()] = tensor
	}
	return g
}

// constant returns the tensor behind a name: an initializer, or the value of a
// Constant node.
func (g *graph) constant(name string) *onnxpb.TensorProto {
	if tensor := g.initializers[name]; tensor != nil {
		return tensor
	}
	at, made := g.maker[name]
	if !made || g.nodes[at.node].GetOpType() != "Constant" {
		return nil
	}
	for _, attribute := range g.nodes[at.node].GetAttribute() {
		if attribute.GetName() == "value" {
			return attribute.GetT()
		}
	}
	return nil
}

// traceable returns the first output of a node whose values can be compared: of
// float, or of a type that inference does not know.
func (g *graph) traceable(node int) (name string, ok bool) {
	outputs := g.reports[node].Outputs
	if len(outputs) == 0 || outputs[0].Name == "" {
		return "", false
	}
	switch outputs[0].Type {
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_UNDEFINED:
		return outputs[0].Name, true
	}
	return "", false
}

// dependsOn reports whether node takes, directly or by way of others, what ancestor makes.
func (g *graph) dependsOn(node, ancestor int) bool {
	if node == ancestor {
		return true
	}
	reached := make(map[int]bool)
	var visit func(int) bool
	visit = func(i int) bool {
		if i == ancestor {
			return true
		}
		if i < ancestor || reached[i] {
			return false // what comes before the ancestor cannot depend on it
		}
		reached[i] = true
		for _, input := range g.nodes[i].GetInput() {
			if at, made := g.maker[input]; made && visit(at.node) {
				return true
			}
		}
		return false
	}
	return visit(node)
}

func operatorOf(node *onnxpb.NodeProto) string {
	if domain := node.GetDomain(); domain != "" && domain != "ai.onnx" {
		return domain + "." + node.GetOpType()
	}
	return node.GetOpType()
}
