package bisect

import (
	"fmt"
	"maps"
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// graph is a model's main graph with what makes each of its values.
type graph struct {
	model   *onnx.Model
	nodes   []*onnxpb.NodeProto
	reports []onnx.NodeReport
	inputs  []onnx.Value
	// maker has, by value name, the node that makes it and which of its outputs it is.
	maker        map[string]place
	initializers map[string]*onnxpb.TensorProto
}

type place struct{ node, output int }

func newGraph(model *onnx.Model) *graph {
	report := onnx.Inspect(model)
	g := &graph{
		model: model, nodes: model.Proto.GetGraph().GetNode(), reports: report.Nodes,
		inputs: report.Inputs,
		maker:  make(map[string]place), initializers: make(map[string]*onnxpb.TensorProto),
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

// typeOf is the element type of a value that a node makes, UNDEFINED where inference
// does not know it.
func (g *graph) typeOf(name string) onnxpb.TensorProto_DataType {
	at, made := g.maker[name]
	if !made {
		return onnxpb.TensorProto_UNDEFINED
	}
	for _, output := range g.reports[at.node].Outputs {
		if output.Name == name {
			return output.Type
		}
	}
	return onnxpb.TensorProto_UNDEFINED
}

// hidden says why a value cannot be compared, nil if it may be: of numbers that a
// Tensor shows, or of a type that inference does not know.
func (g *graph) hidden(name string) error {
	switch g.typeOf(name) {
	case onnxpb.TensorProto_STRING, onnxpb.TensorProto_COMPLEX64, onnxpb.TensorProto_COMPLEX128,
		onnxpb.TensorProto_DOUBLE:
		return fmt.Errorf("values of type %v are not compared", g.typeOf(name))
	}
	return nil
}

// made returns, of the names, those that nodes make, in the nodes' order.
func (g *graph) made(names map[string]bool) []string {
	var found []string
	for _, node := range g.nodes {
		for _, output := range node.GetOutput() {
			if output != "" && names[output] {
				found = append(found, output)
			}
		}
	}
	return found
}

// scores is the name of the output that is compared.
func (g *graph) scores(name string) string {
	outputs := g.model.Proto.GetGraph().GetOutput()
	if name != "" || len(outputs) == 0 {
		return name
	}
	return outputs[0].GetName()
}

// alone lists the unmatched nodes that a value is made by, back to matched ones, in
// order; none where a matched node makes it. Constant nodes, which make nothing of
// what the graph is fed, do not count.
func (g *graph) alone(name string, matched map[int]int) []int {
	found := make(map[int]bool)
	g.walkAlone(name, matched, found, make(map[int]bool))
	return sortedKeys(found)
}

// matchedBefore lists the matched nodes that a value comes from, directly or
// through unmatched ones.
func (g *graph) matchedBefore(name string, matched map[int]int) []int {
	found := make(map[int]bool)
	g.walkAlone(name, matched, make(map[int]bool), found)
	return sortedKeys(found)
}

func (g *graph) walkAlone(name string, matched map[int]int, alone, ends map[int]bool) {
	open := []string{name}
	for len(open) > 0 {
		last := open[len(open)-1]
		open = open[:len(open)-1]
		from, made := g.maker[last]
		if _, ok := matched[from.node]; made && ok {
			ends[from.node] = true
			continue
		}
		if !made || alone[from.node] || g.nodes[from.node].GetOpType() == "Constant" {
			continue
		}
		alone[from.node] = true
		open = append(open, g.nodes[from.node].GetInput()...)
	}
}

func sortedKeys[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }

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
	if domain := onnxgraph.Domain(node.GetDomain()); domain != "" {
		return domain + "." + node.GetOpType()
	}
	return node.GetOpType()
}
