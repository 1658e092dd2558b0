package builder

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// CheckDevice says which layers an executor for a device has no form of, since EnginePlain computes
// them by operators that ops.Describe does not describe. It is nil if there are none.
func (n *Network) CheckDevice() error {
	engine := &Engine{name: EnginePlain}
	variables, err := NewVariables(n, engine, n.InitialWeights(0))
	if err != nil {
		return err
	}
	l := newLowering(n, variables, LowerOptions{Batch: 1, Training: true}, nil)
	if err := l.lower(); err != nil {
		return fmt.Errorf("network %s, engine %s: %w", n.name, EnginePlain, err)
	}
	first, more := "", 0
	var kinds []string
	for i, node := range n.nodes {
		kind := node.Layer.Kind()
		// A loss takes what Softmax takes: it is never computed there.
		if kind == softmaxKind || l.described(i) {
			continue
		}
		if first == "" {
			first = fmt.Sprintf("layer %s (%s)", node.Name, kind)
			continue
		}
		more++
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	switch {
	case first == "":
		return nil
	case more == 0:
		return fmt.Errorf("%s has no GPU form; train this network with -device cpu", first)
	}
	return fmt.Errorf(
		"%s has no GPU form, as %d more layers (%s); train this network with -device cpu",
		first, more, strings.Join(kinds, ", "))
}

// described reports whether all operators between a node's inputs and its output have a
// description.
func (l *lowering) described(i int) bool {
	seen := map[*gorgonia.Node]bool{l.graph.Input: true}
	for _, input := range l.network.nodes[i].Inputs {
		seen[l.value(input)] = true
	}
	var visit func(node *gorgonia.Node) bool
	visit = func(node *gorgonia.Node) bool {
		if node == nil || seen[node] || node.Op() == nil {
			return true
		}
		seen[node] = true
		if _, ok := ops.Describe(node.Op()); !ok {
			return false
		}
		return !slices.ContainsFunc(ops.Operands(node), func(operand *gorgonia.Node) bool {
			return !visit(operand)
		})
	}
	return visit(l.values[i])
}
