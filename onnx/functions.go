package onnx

import (
	"errors"
	"fmt"
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

const (
	// maxCallDepth bounds how deeply functions call each other: runtimes inline
	// them by recursion.
	maxCallDepth = 100
	// maxExpanded bounds the nodes of the model after inlining. Without it,
	// thirty functions that each call the next one twice make a billion nodes.
	maxExpanded = 1 << 20
)

// functionKey is what identifies a function of the model.
type functionKey struct{ domain, name, overload string }

// function is a model-local function and what was found out about it.
type function struct {
	proto *onnxpb.FunctionProto
	// lethal maps an attribute of the function to the attributes of minimumOf
	// that take its value.
	lethal map[string][]string
	// expanded is the number of nodes after inlining all calls.
	expanded int64
	state    visitState
}

type visitState int

const (
	unvisited visitState = iota
	visiting
	visited
)

type functionTable struct {
	byKey     map[functionKey]*function
	operators map[string]operator // to check the bodies with
}

func keyOf(node *onnxpb.NodeProto) functionKey {
	return functionKey{onnxgraph.Domain(node.GetDomain()), node.GetOpType(), node.GetOverload()}
}

func (t *functionTable) find(node *onnxpb.NodeProto) *function {
	return t.byKey[keyOf(node)]
}

// checkFunctions checks the model's functions: their bodies, and that no chain
// of calls leads back or grows without bound.
func checkFunctions(model *onnxpb.ModelProto, operators map[string]operator) (*functionTable,
	error) {
	table := &functionTable{byKey: make(map[functionKey]*function), operators: operators}
	label := func(proto *onnxpb.FunctionProto) string {
		return fmt.Sprintf("function %q", message.Shorten(proto.GetDomain()+"."+proto.GetName()))
	}
	for _, proto := range model.GetFunctions() {
		if proto.GetName() == "" {
			return nil, errors.New("a function has no name")
		}
		key := functionKey{onnxgraph.Domain(proto.GetDomain()), proto.GetName(),
			proto.GetOverload()}
		if table.byKey[key] != nil {
			return nil, fmt.Errorf("%s is given twice", label(proto))
		}
		table.byKey[key] = &function{proto: proto, lethal: make(map[string][]string)}
	}
	for _, proto := range model.GetFunctions() {
		f := table.byKey[functionKey{onnxgraph.Domain(proto.GetDomain()), proto.GetName(),
			proto.GetOverload()}]
		if err := table.visit(f, 1); err != nil {
			return nil, fmt.Errorf("%s: %w", label(proto), err)
		}
		if err := table.checkBody(f); err != nil {
			return nil, fmt.Errorf("%s: %w", label(proto), err)
		}
	}
	return table, nil
}

func (t *functionTable) checkBody(f *function) error {
	opsets, err := importsOf(f.proto.GetOpsetImport())
	if err != nil {
		return err
	}
	names := newScope(nil)
	for i, input := range f.proto.GetInput() {
		if err := names.define(Value{Name: input}, fmt.Sprintf("input %d", i)); err != nil {
			return err
		}
	}
	for _, attribute := range f.proto.GetAttributeProto() {
		if err := checkAttribute(attribute); err != nil {
			return fmt.Errorf("the default of the attribute %q: %w", message.Shorten(attribute.GetName()),
				err)
		}
		for _, use := range f.lethal[attribute.GetName()] {
			if err := checkLethal("", use, attribute); err != nil {
				return fmt.Errorf("the default of the attribute %q: %w", message.Shorten(attribute.GetName()),
					err)
			}
		}
	}
	c := &checker{
		opsets:     opsets,
		operators:  t.operators,
		functions:  t,
		result:     &analysis{values: make(map[string]Value), unchecked: make(map[int]bool)},
		inFunction: true,
	}
	if err := c.nodes("in its body, ", f.proto.GetNode(), names, nil); err != nil {
		return err
	}
	outputs := make(map[string]bool)
	for _, output := range f.proto.GetOutput() {
		if _, ok := names.value(output); !ok {
			return fmt.Errorf("its output %q is made by no node", message.Shorten(output))
		}
		if outputs[output] {
			return fmt.Errorf("its output %q is given twice", message.Shorten(output))
		}
		outputs[output] = true
	}
	return nil
}

// visit follows the calls from f in depth, to find cycles, to count the nodes
// after inlining, and to see which of f's attributes end as lethal ones.
func (t *functionTable) visit(f *function, depth int) error {
	switch f.state {
	case visited:
		return nil
	case visiting:
		return errors.New(
			"it calls itself, directly or through others; ONNX functions may not be recursive, and runtimes expand them until memory ends")
	}
	if depth > maxCallDepth {
		return fmt.Errorf("functions call each other more than %d deep", maxCallDepth)
	}
	f.state = visiting
	var err error
	f.expanded, err = t.expand(f.proto.GetNode(), func(node *onnxpb.NodeProto) (int64, error) {
		for _, attribute := range node.GetAttribute() {
			source := attribute.GetRefAttrName()
			if _, lethal := minimumOf(node.GetOpType(), attribute.GetName()); source != "" && lethal {
				f.lethal[source] = appendNew(f.lethal[source], []string{attribute.GetName()})
			}
		}
		callee := t.find(node)
		if callee == nil {
			return 1, nil
		}
		if err := t.visit(callee, depth+1); err != nil {
			return 0, err
		}
		for _, attribute := range node.GetAttribute() {
			if source := attribute.GetRefAttrName(); source != "" {
				f.lethal[source] = appendNew(f.lethal[source], callee.lethal[attribute.GetName()])
			}
		}
		return callee.expanded, nil
	})
	f.state = visited
	return err
}

func appendNew(uses, more []string) []string {
	for _, use := range more {
		if !slices.Contains(uses, use) {
			uses = append(uses, use)
		}
	}
	return uses
}

// expand adds up the cost of nodes, those of subgraphs too.
func (t *functionTable) expand(nodes []*onnxpb.NodeProto,
	cost func(*onnxpb.NodeProto) (int64, error)) (int64, error) {
	var total int64
	for _, node := range nodes {
		own, err := cost(node)
		if err != nil {
			return 0, err
		}
		total += own
		for _, graph := range onnxgraph.Subgraphs(node) {
			inner, err := t.expand(graph.GetNode(), cost)
			if err != nil {
				return 0, err
			}
			total += inner
		}
		if total > maxExpanded {
			return 0, fmt.Errorf("with its functions inlined the model has more than %d nodes", maxExpanded)
		}
	}
	return total, nil
}

// checkExpansion bounds the main graph after inlining.
func (t *functionTable) checkExpansion(graph *onnxpb.GraphProto) error {
	if len(t.byKey) == 0 {
		return nil
	}
	_, err := t.expand(graph.GetNode(), func(node *onnxpb.NodeProto) (int64, error) {
		if callee := t.find(node); callee != nil {
			return callee.expanded, nil
		}
		return 1, nil
	})
	return err
}

// checkCall checks a node that calls the function.
func (f *function) checkCall(node *onnxpb.NodeProto) error {
	if len(node.GetInput()) > len(f.proto.GetInput()) {
		return fmt.Errorf("it gives the function %d inputs, which takes %d", len(node.GetInput()),
			len(f.proto.GetInput()))
	}
	if len(node.GetOutput()) > len(f.proto.GetOutput()) {
		return fmt.Errorf("it takes %d outputs of the function, which has %d", len(node.GetOutput()),
			len(f.proto.GetOutput()))
	}
	for _, attribute := range node.GetAttribute() {
		for _, use := range f.lethal[attribute.GetName()] {
			if err := checkLethal("", use, attribute); err != nil {
				return fmt.Errorf("the attribute %q: %w", message.Shorten(attribute.GetName()), err)
			}
		}
	}
	return nil
}
