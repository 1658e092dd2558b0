//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// operation is a node that is being compiled, with what it reads and writes.
type operation struct {
	ops.Description
	node   *gorgonia.Node
	nodes  gorgonia.Nodes // what it reads
	inputs []*buffer      // their memory
	output *buffer
}

// operationOf returns the operation of a node that the launch of another computes, which writes
// there.
func (m *Machine) operationOf(node *gorgonia.Node, output *buffer) operation {
	d, _ := ops.Describe(node.Op())
	o := operation{Description: d, node: node, nodes: ops.Operands(node), output: output}
	for _, operand := range o.nodes {
		o.inputs = append(o.inputs, m.values[operand])
	}
	return o
}

// values is the number of values of the node.
func (o operation) values() int { return max(o.node.Shape().TotalSize(), 1) }

// addLayer appends a layer's own computation, or its gradient.
func (m *Machine) addLayer(o operation) error {
	switch o.Kind {
	case ops.BatchNormForward:
		return m.addBatchNorm(o, nil, false)
	case ops.BatchNormGradient:
		return m.addBatchNormGradient(o)
	case ops.SetNormForward:
		return m.addSetNorm(o)
	case ops.SetNormGradient:
		return m.addSetNormGradient(o)
	case ops.MaxPoolForward, ops.WindowMaxForward:
		return m.addMaxPool(o)
	case ops.MaxPoolGradient, ops.WindowMaxGradient:
		return m.addMaxGradient(o, o, nil)
	case ops.WindowMeanForward, ops.WindowMeanGradient:
		return m.addWindowMean(o)
	case ops.PadForward:
		return m.addPadding(padded(o.Padding, o.nodes[0].Shape()), o.inputs[0], o.output, o.values())
	case ops.PadGradient:
		return m.addPaddingGradient(padded(o.Padding, o.node.Shape()), o.inputs[0], o.output, o.values())
	case ops.ConcatForward:
		return m.addConcat(o)
	case ops.ConcatGradient:
		return m.addConcatGradient(o)
	}
	return m.addElementwise(o)
}

// gradientsOf returns the memory of what a gradient of several values computes, by the place of
// the input
// of the layer that each is of; nil where nobody asks for it.
func (m *Machine) gradientsOf(o operation) ([]*buffer, error) {
	all := make([]*buffer, len(o.nodes)-2) // behind dy and y
	all[o.Of] = o.output
	for _, handed := range m.handed[o.node] {
		d, _ := ops.Describe(handed.Op())
		b, err := m.output(handed)
		if err != nil {
			return nil, err
		}
		all[d.Of] = b
	}
	return all, nil
}

// findHanded notes which nodes hand on what others compute.
func (m *Machine) findHanded(order gorgonia.Nodes) {
	for _, node := range order {
		if d, ok := ops.Describe(node.Op()); ok && d.Kind == ops.HandedOn {
			of := ops.Operands(node)[0]
			m.handed[of] = append(m.handed[of], node)
		}
	}
}

// sets says how values that are added up lie: count sets, such as the channels, of runs runs of
// area neighbours. The
// kernels' set_value has the same words.
type sets struct{ count, runs, area int }

// channelsOf are the sets of a batch's channels: N×C×H×W, or N×C.
func channelsOf(shape tensor.Shape) sets {
	return sets{count: shape[1], runs: shape[0], area: shape.TotalSize() / (shape[0] * shape[1])}
}

// mapsOf are those of so many neighbouring values each.
func mapsOf(values, area int) sets { return sets{count: values / area, runs: 1, area: area} }

func (s sets) values() int { return s.runs * s.area }

// check refuses what the kernels' 32-bit counts do not hold.
func (s sets) check() error {
	if s.values() > math.MaxInt32/2 || s.count > math.MaxInt32/2 {
		return fmt.Errorf("sums of %d times %d values are more than the kernels take", s.count, s.values())
	}
	return nil
}

// lanes is how many threads add up a set, or a share of it: a power of two, so few that each has
// some values.
func (s sets) lanes() int {
	lanes := 1
	for lanes < threadsPerBlock && lanes*8 <= s.values() {
		lanes *= 2
	}
	return lanes
}

// shares is into how many blocks a large set's values are divided. It depends on the shapes
// alone, as the
// order of a sum does.
func (s sets) shares() int {
	const enoughValues, enoughBlocks = 8 * threadsPerBlock, 1024
	return min(max(1, s.values()/enoughValues), max(1, enoughBlocks/s.count), threadsPerBlock)
}

// threads is the number of threads of a launch on all sets.
func (s sets) threads() int {
	perBlock := threadsPerBlock / s.lanes()
	return (s.count + perBlock - 1) / perBlock * threadsPerBlock
}

// chunks is how many blocks write the values of each set.
func (s sets) chunks() int {
	const enoughValues, enoughBlocks = 4 * threadsPerBlock, 8192
	return max(1, min((s.values()+enoughValues-1)/enoughValues, max(1, enoughBlocks/s.count), 65535))
}

// word is a number of the kernels' 32-bit unsigned type.
func word(n int) int32 { return int32(n) }

// save allocates memory for what a node's gradient needs beside the graph's values.
func (m *Machine) save(node *gorgonia.Node, what string, bytes int) (*buffer, error) {
	b, err := m.memory.allocate(what, int64(bytes))
	m.saved[node] = b
	return b, err
}

// savedBy returns that memory.
func (m *Machine) savedBy(node *gorgonia.Node) (*buffer, error) {
	if b := m.saved[node]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("its operator, %s, has saved nothing", nodeName(node))
}
