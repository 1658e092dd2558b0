package ops

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// Differentiate adds the gradients of a cost with respect to the nodes wrt to the graph: dCost is
// the gradient of the cost itself, 1 where the cost is what is minimised. The operators of this
// package are asked for their gradients one after another, from the cost to the leaves; where a
// value is used more than once, the gradients of its uses are added up, in the order of the uses.
// kernels add them, or plain loops if it is nil. A node on which the cost does not depend is an
// error.
//
// (gorgonia.Backpropagate adds up with its stock Add, which writes over its first operand. That may
// be the memory of a value that is still needed: an operator that gives a view of its input has no
// memory of its own, and the TapeMachine judges by node.)
func Differentiate(cost, dCost *gorgonia.Node, wrt gorgonia.Nodes,
	kernels *kernel.Engine) (gorgonia.Nodes, error) {
	order := dependencies(cost)
	wanted := make(map[*gorgonia.Node]bool, len(order))
	for _, node := range wrt {
		wanted[node] = true
	}
	for _, node := range order {
		if op, ours := node.Op().(*operator); ours && !wanted[node] {
			wanted[node] = slices.Contains(op.wanted(wanted), true)
		}
	}
	terms := map[*gorgonia.Node]gorgonia.Nodes{cost: {dCost}}
	for i := len(order) - 1; i >= 0; i-- {
		node := order[i]
		if !wanted[node] || len(terms[node]) == 0 {
			continue
		}
		gradient, err := addUp(terms[node], kernels)
		if err != nil {
			return nil, err
		}
		terms[node] = gorgonia.Nodes{gradient}
		op, ours := node.Op().(*operator)
		if !ours {
			continue // a leaf
		}
		of := op.wanted(wanted)
		gradients, err := op.gradient(op.nodes, node, gradient, of)
		if err != nil {
			return nil, fmt.Errorf("gradient of %s: %w", op.name, err)
		}
		for i, input := range op.nodes {
			if of[i] && gradients[i] != nil {
				terms[input] = append(terms[input], gradients[i])
			}
		}
	}
	result := make(gorgonia.Nodes, len(wrt))
	for i, node := range wrt {
		if len(terms[node]) != 1 {
			return nil, fmt.Errorf("the cost does not depend on %s", node.Name())
		}
		result[i] = terms[node][0]
	}
	return result, nil
}

// wanted says of each of the operator's inputs whether to compute its gradient: where it has one,
// and its node is among those wanted.
func (op *operator) wanted(nodes map[*gorgonia.Node]bool) []bool {
	of := make([]bool, len(op.nodes))
	for i, input := range op.nodes {
		of[i] = i < len(op.differentiable) && op.differentiable[i] && nodes[input]
	}
	return of
}

// dependencies returns the node and all that it is computed from by operators of this package,
// each behind what it is computed from.
func dependencies(node *gorgonia.Node) gorgonia.Nodes {
	var order gorgonia.Nodes
	seen := make(map[*gorgonia.Node]bool)
	type visit struct {
		node *gorgonia.Node
		next int
	}
	stack := []visit{{node: node}}
	seen[node] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		op, ours := top.node.Op().(*operator)
		if !ours || top.next == len(op.nodes) {
			order = append(order, top.node)
			stack = stack[:len(stack)-1]
			continue
		}
		input := op.nodes[top.next]
		top.next++
		if !seen[input] {
			seen[input] = true
			stack = append(stack, visit{node: input})
		}
	}
	return order
}

// addUp returns the sum of gradients of one value.
func addUp(terms gorgonia.Nodes, kernels *kernel.Engine) (*gorgonia.Node, error) {
	if len(terms) == 1 {
		return terms[0], nil
	}
	if terms[0].Dims() == 0 {
		return SumScalars(terms...)
	}
	return Sum(kernels, terms...)
}
