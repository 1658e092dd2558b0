package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// Computation is a differentiable function of float32 tensors that lie in memory in order. It
// may keep state from one call of Forward to those of the gradients' Run after it.
type Computation struct {
	// Name says what is computed, for messages and drawings.
	Name string
	// Output is the shape of the result, batch included.
	Output tensor.Shape
	// Forward writes every value of the result y from the inputs' values.
	Forward func(y []float32, in [][]float32) error
	// Gradients compute the gradients, each of some inputs; an input of none has no gradient.
	Gradients []Gradient
	// Description says what Forward computes to other executors.
	Description Description

	scratch []*rearrangement // what Forward works in; nil ones are none
	// deferred, if not nil, is computed by who reads the result: y is nil, and the node's value is the
	// first input's.
	deferred *kernel.BatchNorm
	// takesDeferred says that the inputs may be deferred; together, unless nil, is asked for what
	// stands in for Gradients where the first input is, or the gradient of the output, by the
	// normalisation that is given, or nil.
	takesDeferred bool
	together      func(behind *kernel.BatchNorm) (Gradient, error)
	// dense, unless nil, can leave the gradient of its weights, input 1, to a tree.
	dense *kernel.Dense
	// measure, unless nil, lets Forward take the sums of its result for a normalisation of it.
	measure func(*kernel.BatchNorm) error
}

// Gradient computes the gradients with respect to some inputs of a Computation, given that with
// respect to its output.
type Gradient struct {
	// Of are the places of these inputs. The gradient runs if one of them is wanted.
	Of []int
	// ReadsOutput and Reads say whether Run reads the output's values, and those of which inputs.
	// The memory of what nobody reads any more is used for other things.
	ReadsOutput bool
	Reads       []int
	// Run writes every value of the gradients d, by input: nil where none is wanted. dy is the
	// gradient of the output; y and in are nil where they are not read.
	Run func(d [][]float32, dy, y []float32, in [][]float32) error
	// Description says what Run computes to other executors, whose operands are dy, the output and
	// the inputs that are read, in this order.
	Description Description

	scratch []*rearrangement // what Run works in
	// shards, unless nil, says that Run sums over the shards of a batch.
	shards *Shards
	// deferred, if not nil, computes the gradient of the first input for who reads it, from dy and
	// that input: its d is nil.
	deferred *kernel.BatchNorm
}

// buffersOf are those of scratch memory.
func buffersOf(scratch []*rearrangement) []*buffer {
	var all []*buffer
	for _, r := range scratch {
		if r != nil {
			all = append(all, &r.buffer)
		}
	}
	return all
}

// Apply adds the computation to the graph of its inputs.
func Apply(c Computation, inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	y := newBuffer(c.Output...)
	values := make([][]float32, len(inputs))
	op := &operator{
		name: c.Name, output: tensorType(c.Output.Dims()), shape: y.shape, result: y, inside: -1,
		differentiable: make([]bool, len(inputs)), description: c.Description,
		others:   buffersOf(c.scratch),
		deferred: c.deferred, takesDeferred: c.takesDeferred, measure: c.measure,
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			if err := allFloat32s(values, inputs); err != nil {
				return nil, err
			}
			if c.deferred != nil {
				return inputs[0], c.Forward(nil, values)
			}
			if err := c.Forward(y.data(), values); err != nil {
				return nil, err
			}
			return y.value(), nil
		},
	}
	if c.deferred != nil {
		op.result, op.inside = nil, 0
	}
	for _, gradient := range c.Gradients {
		for _, of := range gradient.Of {
			op.differentiable[of] = true
		}
	}
	if len(c.Gradients) > 0 {
		op.gradient = func(inputs gorgonia.Nodes, output, grad *gorgonia.Node,
			wanted []bool) (gorgonia.Nodes, error) {
			gradients, all := make(gorgonia.Nodes, len(inputs)), c.Gradients
			if n := deferredBy(grad); c.together != nil && (n != nil || deferredBy(inputs[0]) != nil) {
				together, err := c.together(n)
				if err != nil {
					return nil, err
				}
				all = []Gradient{together}
			}
			for _, gradient := range all {
				if err := gradient.apply(&c, gradients, inputs, output, grad, wanted); err != nil {
					return nil, err
				}
			}
			return gradients, nil
		}
	}
	return op.apply(inputs...)
}

// apply adds the gradient's node, and one for each further gradient that it computes, to those by
// input.
func (g Gradient) apply(c *Computation, gradients, inputs gorgonia.Nodes, output,
	grad *gorgonia.Node, wanted []bool) error {
	name := c.Name
	results := make([]*buffer, len(inputs))
	first := -1
	for _, of := range g.Of {
		if !wanted[of] {
			continue
		}
		results[of] = newBuffer(inputs[of].Shape()...)
		if first < 0 {
			first = of
		}
	}
	if first < 0 {
		return nil
	}
	description := func(kind Kind, of int) Description {
		if g.Description.Kind == 0 {
			return Description{}
		}
		d := g.Description
		d.Kind, d.Of = kind, of
		return d
	}
	operands := gorgonia.Nodes{grad}
	if g.ReadsOutput {
		operands = append(operands, output)
	}
	for _, read := range g.Reads {
		operands = append(operands, inputs[read])
	}
	deferred := g.deferred != nil && first == 0
	values := make([][]float32, len(operands))
	d, in := make([][]float32, len(inputs)), make([][]float32, len(inputs))
	op := &operator{
		name: gradientName(name, g.Of, len(inputs)), output: tensorType(inputs[first].Dims()),
		shape:  results[first].shape,
		result: results[first], inside: -1, description: description(g.Description.Kind, first),
		others: buffersOf(g.scratch), takesDeferred: c.takesDeferred,
		run: func(operands []gorgonia.Value) (gorgonia.Value, error) {
			if err := allFloat32s(values, operands); err != nil {
				return nil, err
			}
			dy, rest := values[0], values[1:]
			var y []float32
			if g.ReadsOutput {
				y, rest = rest[0], rest[1:]
			}
			for i, read := range g.Reads {
				in[read] = rest[i]
			}
			for i, result := range results {
				if result != nil && !(deferred && i == first) {
					d[i] = result.data()
				}
			}
			if err := g.Run(d, dy, y, in); err != nil {
				return nil, err
			}
			if deferred {
				return operands[0], nil
			}
			return results[first].value(), nil
		},
	}
	if deferred {
		op.result, op.inside, op.deferred = nil, 0, g.deferred
	}
	if first == 1 {
		op.dense = c.dense
	}
	if op.shards = g.shards; op.shards != nil {
		op.dense = nil // the shards have it
	}
	for i, result := range results {
		if result != nil && i != first {
			op.others = append(op.others, result)
		}
	}
	node, err := op.apply(operands...)
	if err != nil {
		return err
	}
	gradients[first] = node
	for i, result := range results {
		if result == nil || i == first {
			continue
		}
		// It hands on what the node before has computed.
		other := &operator{
			name: gradientName(name, []int{i}, len(inputs)), output: tensorType(result.shape.Dims()),
			shape:  result.shape,
			result: result, inside: -1, takesDeferred: true, description: description(HandedOn, i),
			run: func([]gorgonia.Value) (gorgonia.Value, error) { return result.value(), nil },
		}
		other.shards = g.shards
		if gradients[i], err = other.apply(node); err != nil {
			return err
		}
	}
	return nil
}

// deferredBy returns the normalisation that who reads the node's values has to compute, nil if
// there is none.
func deferredBy(node *gorgonia.Node) *kernel.BatchNorm {
	if op, ours := node.Op().(*operator); ours {
		return op.deferred
	}
	return nil
}

// gradientName names what computes gradients of some of an operator's inputs.
func gradientName(name string, of []int, inputs int) string {
	if inputs == 1 {
		return name + "Gradient"
	}
	return fmt.Sprintf("%sGradient%v", name, of)
}
