package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

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
func Differentiate(cost, dCost *gorgonia.Node, wrt gorgonia.Nodes, kernels *kernel.Engine) (gorgonia.Nodes, error) {
	order := dependencies(cost)
	wanted := make(map[*gorgonia.Node]bool, len(order))
	for _, node := range wrt {
		wanted[node] = true
	}
	for _, node := range order {
		if op, ours := node.Op().(*operator); ours && !wanted[node] {
			for i, input := range op.nodes {
				if i < len(op.differentiable) && op.differentiable[i] && wanted[input] {
					wanted[node] = true
				}
			}
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
		of := make([]bool, len(op.nodes))
		for i, input := range op.nodes {
			of[i] = i < len(op.differentiable) && op.differentiable[i] && wanted[input]
		}
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

// Sum applies y = x₁ + x₂ + …, tensors of one shape, added in this order. Its gradient is that of
// the output for each input. It computes with the kernels, or with a plain loop if there are none.
func Sum(kernels *kernel.Engine, terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	return sum(kernels, false, terms)
}

// NativeSumReLU applies y = max(x₁ + x₂ + …, 0). Its gradient is, for each input, that of the output where it
// is above 0, computed once.
func NativeSumReLU(kernels kernel.Engine, terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	return sum(&kernels, true, terms)
}

func sum(kernels *kernel.Engine, relu bool, terms gorgonia.Nodes) (*gorgonia.Node, error) {
	shape := terms[0].Shape().Clone()
	for _, term := range terms[1:] {
		if !term.Shape().Eq(shape) {
			return nil, fmt.Errorf("sum: tensors of %v and %v", shape, term.Shape())
		}
	}
	add := func(y, x, z []float32, _ float32) error {
		for i := range y {
			y[i] = x[i] + z[i]
		}
		return nil
	}
	var pass *kernel.Elementwise
	if kernels != nil {
		var err error
		if pass, err = kernel.NewElementwise(*kernels); err != nil {
			return nil, err
		}
		add = func(y, x, z []float32, low float32) error { return pass.AddClamped(y, x, z, low, nan) }
	}
	c := Computation{
		Name: "Sum", Output: shape, Description: Description{Kind: Addition},
		Forward: func(y []float32, in [][]float32) error {
			if len(in) == 1 {
				copy(y, in[0])
				return nil
			}
			for i, before := 1, in[0]; i < len(in); i, before = i+1, y {
				low := nan
				if relu && i == len(in)-1 {
					low = 0
				}
				if err := add(y, before, in[i], low); err != nil {
					return err
				}
			}
			return nil
		},
	}
	if relu {
		c.Name, c.Description = "SumReLU", Description{}
	}
	y, err := Apply(c, terms...)
	if err != nil {
		return nil, err
	}
	op := y.Op().(*operator)
	op.differentiable = allTrue(len(terms))
	// No values move: each input's gradient is the output's.
	op.gradient = func(inputs gorgonia.Nodes, output, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
		if relu {
			var err error
			if grad, err = Apply(Computation{
				Name: "SumReLUGradient", Output: shape,
				Forward: func(d []float32, in [][]float32) error { return pass.ReLUGradient(d, in[0], in[1]) },
			}, grad, output); err != nil {
				return nil, err
			}
		}
		gradients := make(gorgonia.Nodes, len(inputs))
		for i := range gradients {
			gradients[i] = grad
		}
		return gradients, nil
	}
	return y, nil
}

// SumScalars applies the sum of float32 scalars. Its gradient is that of the output for each.
func SumScalars(terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	value := gorgonia.NewF32(0)
	op := &operator{
		name: "SumScalars", description: Description{Kind: Addition}, output: tensorType(0), shape: tensor.ScalarShape(), inside: -1,
		differentiable: allTrue(len(terms)),
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var sum float32
			for i := range inputs {
				x, err := scalar(inputs[i])
				if err != nil {
					return nil, err
				}
				sum += x
			}
			*value = gorgonia.F32(sum)
			return value, nil
		},
		gradient: func(inputs gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(inputs))
			for i := range gradients {
				gradients[i] = grad
			}
			return gradients, nil
		},
	}
	return op.apply(terms...)
}
