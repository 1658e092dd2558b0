package onnx

import (
	"errors"
	"fmt"
	"slices"

	"slipway/internal/display"
	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// nodes checks the nodes of a graph or of a function in their order.
func (c *checker) nodes(place string, nodes []*onnxpb.NodeProto, names *scope,
	declared map[string]Value) error {
	main := place == ""
	for i, node := range nodes {
		at := place + message.DescribeNode(i, node)
		for _, input := range node.GetInput() {
			if input == "" { // an optional input left out
				continue
			}
			if _, ok := names.value(input); !ok {
				return fmt.Errorf("%s: %w", at, undefinedInput(nodes, i, input))
			}
		}
		outputs, checked, err := c.node(at, node, names)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		if main && !checked {
			c.result.unchecked[i] = true
		}
		for j, name := range node.GetOutput() {
			if name == "" { // an optional output left out
				continue
			}
			value := Value{}
			if j < len(outputs) {
				value = outputs[j]
			}
			if value, err = merge(value, declared[name]); err != nil {
				return fmt.Errorf("%s, output %q: %w", at, message.Shorten(name), err)
			}
			value.Name = name
			if err := names.define(value, fmt.Sprintf("output %d", j)); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
		if node.GetOpType() == "Constant" && onnxgraph.Domain(node.GetDomain()) == "" &&
			len(node.GetOutput()) == 1 {
			if tensor := constantOf(node); tensor != nil {
				names.constants[node.GetOutput()[0]] = tensor
			}
		}
	}
	return nil
}

// undefinedInput tells why a name is not known: nothing makes it, a later node
// does, or the graph has a cycle.
func undefinedInput(nodes []*onnxpb.NodeProto, user int, name string) error {
	makers := makersOf(nodes)
	first, ok := makers[name]
	if !ok {
		return fmt.Errorf(
			"its input %q is made by no node and is no input or initializer; correct the name or add what makes it",
			message.Shorten(name))
	}
	switch ring := cycleOf(nodes, makers, user); {
	case slices.Contains(ring, user):
		return fmt.Errorf("its input %q depends on its own output: the graph has a cycle (%s)",
			message.Shorten(name), describeRing(nodes, ring))
	case ring != nil:
		return fmt.Errorf(
			"its input %q depends on nodes that depend on each other: the graph has a cycle (%s)",
			message.Shorten(name), describeRing(nodes, ring))
	}
	return fmt.Errorf(
		"its input %q is only made by %s, which comes later: sort the nodes topologically",
		message.Shorten(name), message.DescribeNode(first, nodes[first]))
}

// node checks one node and infers its outputs as far as its operator is known.
func (c *checker) node(place string, node *onnxpb.NodeProto, names *scope) (outputs []Value,
	checked bool, err error) {
	if node.GetOpType() == "" {
		return nil, false, errors.New("it names no operator")
	}
	domain := onnxgraph.Domain(node.GetDomain())
	opset, imported := c.opsets[domain]
	if !imported {
		return nil, false, fmt.Errorf(
			"opset_import does not name its domain %q; add the domain and its version",
			message.Shorten(domain))
	}
	refers, err := c.attributes(node)
	if err != nil {
		return nil, false, err
	}
	for _, attribute := range node.GetAttribute() {
		for _, graph := range onnxgraph.Graphs(attribute) {
			where := fmt.Sprintf("%s, %s, ", place, display.Printable(message.Shorten(attribute.GetName())))
			if err := c.graph(where, graph, names); err != nil {
				return nil, false, err
			}
		}
	}
	if function := c.functions.find(node); function != nil {
		return nil, true, function.checkCall(node)
	}
	if domain == "" && !refers {
		if err := c.fill(node, names); err != nil {
			return nil, false, err
		}
	}
	known, ok := c.operators[node.GetOpType()]
	if !ok || domain != "" || opset < minCheckedOpset || refers {
		return nil, false, nil
	}
	outputs, err = known.apply(node, opset, names)
	return outputs, true, err
}
