//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

const (
	// maxSums is the number of values that one thread adds up at the end of a
	// reduction.
	maxSums = 64
	// leastPartialSums and mostPartialSums bound the number of threads that a reduction begins with, for each
	// tensor.
	leastPartialSums, mostPartialSums = 1024, 16384
)

// partialSums is that number, by the largest tensor's length.
func partialSums(largest int) int {
	const valuesOfAThread = 512
	return min(max(largest/valuesOfAThread/threadsPerBlock*threadsPerBlock, leastPartialSums), mostPartialSums)
}

// addLoss appends the loss, a penalty, or the gradient of one.
func (m *Machine) addLoss(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, output *buffer, d ops.Description) error {
	switch d.Kind {
	case ops.CrossEntropyForward:
		return m.addCrossEntropy(nodes, inputs, output)
	case ops.CrossEntropyGradient:
		rows, classes := nodes[0].Shape()[0], nodes[0].Shape()[1]
		return m.launch("cross_entropy_gradient", rows, 1, inputs[0], inputs[1], inputs[2], output, rows, int32(classes))
	case ops.ParameterPenaltyForward:
		return m.addParameterPenalty(node, nodes, inputs, output, d.Penalty)
	case ops.ActivationPenaltyForward:
		sums, err := m.addNorms(nodes, inputs)
		if err != nil {
			return err
		}
		return m.launch("activation_penalty_value", 1, 1, sums, maxSums, d.Penalty.L1, d.Penalty.L2, float64(nodes[0].Shape()[0]), output)
	case ops.ActivationPenaltyGradient:
		n, batch := node.Shape().TotalSize(), float64(node.Shape()[0])
		return m.launch("activation_penalty_gradient", n, 1, inputs[0], inputs[1], output,
			float32(d.Penalty.L1/batch), float32(2*d.Penalty.L2/batch), n)
	}
	return fmt.Errorf("an operator of kind %d is no loss", d.Kind)
}

// addCrossEntropy appends the mean cross-entropy, and the sums of what is
// classified right.
func (m *Machine) addCrossEntropy(nodes gorgonia.Nodes, inputs []*buffer, output *buffer) error {
	rows, classes := nodes[0].Shape()[0], nodes[0].Shape()[1]
	losses, err := m.memory.allocate("the rows' losses", int64(rows)*8)
	if err != nil {
		return err
	}
	if m.correct, err = m.memory.allocate("the rows' answers", int64(rows)*8); err != nil {
		return err
	}
	if err := m.launch("cross_entropy_forward", rows, 1, inputs[0], inputs[1], losses, m.correct, rows, int32(classes)); err != nil {
		return err
	}
	lossSums, err := m.addRowSums(losses, rows)
	if err != nil {
		return err
	}
	if m.correctSums, err = m.addRowSums(m.correct, rows); err != nil {
		return err
	}
	m.sums = min(rows, maxSums)
	return m.launch("scaled_sum", 1, 1, lossSums, m.sums, 1/float64(rows), output)
}

// addRowSums returns the values of a batch's rows as at most maxSums sums.
func (m *Machine) addRowSums(values *buffer, rows int) (*buffer, error) {
	if rows <= maxSums {
		return values, nil
	}
	return m.addStridedSums(values, rows)
}

func (m *Machine) addStridedSums(values *buffer, n int) (*buffer, error) {
	sums, err := m.memory.allocate("sums", maxSums*8)
	if err != nil {
		return nil, err
	}
	return sums, m.launch("strided_sums", maxSums, 1, values, n, sums, maxSums)
}

// segment mirrors the kernels' Segment.
type segment struct {
	address uint64
	length  uint64
}

// addNorms appends Σ|x| and Σx² of each of the inputs, as maxSums sums each.
func (m *Machine) addNorms(nodes gorgonia.Nodes, inputs []*buffer) (sums *buffer, err error) {
	segments := make([]segment, len(inputs))
	largest := 0
	for i, input := range inputs {
		length := nodes[i].Shape().TotalSize()
		segments[i], largest = segment{uint64(input.address), uint64(length)}, max(largest, length)
	}
	begin := partialSums(largest)
	table, err := m.memory.allocate("the table of tensors", int64(len(segments))*16)
	if err != nil {
		return nil, err
	}
	if err := upload(m.gpu, table, segments); err != nil {
		return nil, err
	}
	rows := 2 * len(segments)
	partials, err := m.memory.allocate("partial sums", int64(rows)*int64(begin)*8)
	if err != nil {
		return nil, err
	}
	if sums, err = m.memory.allocate("sums", int64(rows)*maxSums*8); err != nil {
		return nil, err
	}
	if err := m.launch("norms", begin, len(segments), table, partials, begin); err != nil {
		return nil, err
	}
	return sums, m.launch("row_sums", maxSums, rows, partials, begin, sums, maxSums)
}

func (m *Machine) addParameterPenalty(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, output *buffer, penalty ops.Penalty) error {
	sums, err := m.addNorms(nodes, inputs)
	if err != nil {
		return err
	}
	factors, err := m.memory.allocateFloats("the penalty's factors", len(nodes))
	if err != nil {
		return err
	}
	m.factors[node] = factors
	return m.launch("penalty_value", threadsPerBlock, 1, sums, len(nodes), maxSums, penalty.L1, penalty.L2, factors, output)
}

// addPenalisedGradient appends the penalty's part of a gradient, in its memory.
func (m *Machine) addPenalisedGradient(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, d ops.Description) error {
	m.values[node] = inputs[0]
	factors, ok := m.factors[nodes[2]]
	if !ok {
		return fmt.Errorf("its third input, %s, is no penalty of parameters", nodeName(nodes[2]))
	}
	for i, parameter := range ops.Operands(nodes[2]) {
		if parameter == nodes[1] {
			n := node.Shape().TotalSize()
			return m.launch("penalise", n, 1, inputs[0], inputs[1], factors.part(int64(i)*4, 4), float32(d.Penalty.L1), n)
		}
	}
	return fmt.Errorf("%s is not one of the penalty's parameters", nodeName(nodes[1]))
}
