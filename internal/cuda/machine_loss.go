//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// mostOfLastBlock is how many gradients of logits the last block of the loss adds up by class: of
// more, another launch does.
const mostOfLastBlock = 1 << 14

// planLoss has a loss's launch compute its gradient, and the gradient of the bias before it.
func (f fusion) planLoss(loss *gorgonia.Node) {
	gradient := f.gradientOfLoss(loss)
	if gradient == nil {
		return
	}
	f.elsewhere[gradient] = true
	if bias := f.biasGradientOfLoss(gradient); bias != nil {
		f.elsewhere[bias] = true
	}
}

// gradientOfLoss returns the node of the gradient by the logits, nil if nobody asks for it.
func (f fusion) gradientOfLoss(loss *gorgonia.Node) *gorgonia.Node {
	logits := ops.Operands(loss)[0]
	switch kindOf(loss) {
	case ops.BinaryLossForward:
		return f.readerOf(loss, ops.BinaryLossGradient)
	case ops.SoftmaxLossForward:
		return f.readerOf(logits, ops.SoftmaxLossGradient)
	}
	return f.readerOf(logits, ops.CrossEntropyGradient)
}

// biasGradientOfLoss returns the node of the gradient by the logits' bias, where the launch of the
// loss computes it. That of the binary one does not.
func (f fusion) biasGradientOfLoss(gradient *gorgonia.Node) *gorgonia.Node {
	if gradient == nil || kindOf(gradient) == ops.BinaryLossGradient ||
		gradient.Shape().TotalSize() > mostOfLastBlock {
		return nil
	}
	return f.readerOf(gradient, ops.DenseBiasGradient)
}

// biasOfLogits reports whether the bias of a dense layer's product is added by the launch of the
// loss, behind which nothing else reads it.
func (f fusion) biasOfLogits(logits *gorgonia.Node) bool {
	for _, reader := range f.readers[logits] {
		switch kindOf(reader) {
		case ops.CrossEntropyForward, ops.CrossEntropyGradient:
		case ops.SoftmaxLossForward, ops.SoftmaxLossGradient:
		default:
			return false
		}
	}
	return kindOf(logits) == ops.DenseForward && len(f.readers[logits]) > 0
}

// addLoss appends a loss of softmax(logits), with what planLoss has it compute, and how many
// images are classified right.
func (m *Machine) addLoss(o operation) (err error) {
	logits, rows, classes := o.nodes[0], o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	var inputs, inputBias, weight, bias, dbias *buffer
	size, parts := 0, ops.Operands(logits)
	if m.fusion.productOfLogits(logits) {
		inputs, inputBias = m.inputOfNarrow(parts[0])
		if weight, err = m.weightsOf(parts[1]); err != nil {
			return err
		}
		size = parts[0].Shape()[1]
	}
	if m.fusion.biasOfLogits(logits) && len(parts) > 2 {
		bias = m.values[parts[2]]
	}
	values, err := m.logitsOf(logits)
	if err != nil {
		return err
	}
	shared, err := m.sharedOfLoss(o)
	if err != nil {
		return err
	}
	gradient := m.fusion.gradientOfLoss(o.node)
	if node := m.fusion.biasGradientOfLoss(gradient); node != nil {
		if dbias, err = m.output(node); err != nil {
			return err
		}
	}
	return m.launch("softmax_loss", shared.threads, 1, inputs, inputBias, weight, word(size),
		values, bias, o.inputs[1], shared.others, shared.shares, shared.weights, shared.outer, shared.dx, dbias,
		shared.perRow, shared.ticket, o.output, m.correct, word(rows), int32(classes),
		word(shared.lanes), o.Loss.Smoothing, o.Loss.Gamma)
}

// addBinaryLoss appends the binary loss and its gradient, and how many images are classified right.
// What is before and behind has launches of its own.
func (m *Machine) addBinaryLoss(o operation) error {
	rows, classes := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	shared, err := m.sharedOfLoss(o)
	if err != nil {
		return err
	}
	logits, err := m.logitsOf(o.nodes[0])
	if err != nil {
		return err
	}
	combinations := m.options.Combinations
	if combinations == nil {
		combinations = o.Targets.Combinations
	}
	table, err := m.tableOfCombinations(combinations, classes)
	if err != nil {
		return err
	}
	return m.launch("binary_loss", shared.threads, 1, logits, o.inputs[1], shared.others,
		shared.shares, table, shared.weights, shared.outer, shared.dx, shared.perRow, shared.ticket,
		o.output, m.correct, word(rows), int32(classes), word(shared.lanes), o.Loss.Smoothing)
}

// lossMemory is what the launches of all losses have, and how many threads add up a row, of all.
type lossMemory struct {
	others, shares *buffer // nil where an image has one label
	weights        *buffer // nil where all classes count alike
	outer, dx      *buffer // nil where nobody asks for the gradient
	perRow, ticket *buffer
	threads, lanes int
}

// sharedOfLoss gives a loss that memory.
func (m *Machine) sharedOfLoss(o operation) (l lossMemory, err error) {
	rows, classes := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	if gradient := m.fusion.gradientOfLoss(o.node); gradient != nil {
		if l.outer, err = m.factorOfLoss(gradient); err != nil {
			return l, err
		}
		if l.dx, err = m.output(gradient); err != nil {
			return l, err
		}
	}
	if l.others, l.shares, err = m.otherLabels(o.Targets, rows); err != nil {
		return l, err
	}
	if l.weights, err = m.weightsOfClasses(o.Loss.Weights); err != nil {
		return l, err
	}
	if l.perRow, err = m.memory.allocate("the rows' losses and answers", int64(rows)*16); err != nil {
		return l, err
	}
	if m.correct, err = m.memory.allocate("the right answers", 8); err != nil {
		return l, err
	}
	if l.ticket, err = m.tickets(1); err != nil {
		return l, err
	}
	l.lanes = 1
	for l.lanes < min(classes, threadsPerBlock) {
		l.lanes *= 2
	}
	perBlock := threadsPerBlock / l.lanes
	l.threads = (rows + perBlock - 1) / perBlock * threadsPerBlock
	return l, nil
}

// otherLabels returns the memory of the images' second labels and of their first ones' shares, nil
// where they have one label.
func (m *Machine) otherLabels(targets *ops.Targets, rows int) (others, shares *buffer, err error) {
	if targets == nil || targets.Others == nil {
		return nil, nil, nil
	}
	if m.options.Others != nil {
		return m.options.Others, m.options.Shares, nil
	}
	m.mixed.targets = targets
	if m.mixed.others, err = m.memory.allocateFloats("the other labels", rows); err != nil {
		return nil, nil, err
	}
	m.mixed.shares, err = m.memory.allocateFloats("the labels' shares", rows)
	return m.mixed.others, m.mixed.shares, err
}

// tableOfCombinations brings combinations to the device, a bit for each class of each; nil where
// there are none.
func (m *Machine) tableOfCombinations(combinations [][]int32, classes int) (*buffer, error) {
	if len(combinations) == 0 {
		return nil, nil
	}
	words := (classes + 31) / 32
	bits := make([]uint32, len(combinations)*words)
	for i, labels := range combinations {
		for _, label := range labels {
			if label < 0 || int(label) >= classes {
				return nil, fmt.Errorf("combination %d has the label %d, outside 0…%d", i, label, classes-1)
			}
			bits[i*words+int(label)/32] |= 1 << (label % 32)
		}
	}
	b, err := m.memory.allocate("the combinations of labels", 4*int64(len(bits)))
	if err != nil {
		return nil, err
	}
	return b, upload(m.gpu, b, bits)
}

// factorOfLoss returns the memory of dL/dL, by which a loss's gradient is multiplied.
func (m *Machine) factorOfLoss(gradient *gorgonia.Node) (*buffer, error) {
	place := 2
	if kindOf(gradient) == ops.BinaryLossGradient {
		place = 0
	}
	factor := ops.Operands(gradient)[place]
	if factor.Op() != nil {
		return nil, fmt.Errorf("its gradient is multiplied by %s, which is no input", nodeName(factor))
	}
	err := m.add(factor)
	return m.values[factor], err
}

// weightsOfClasses brings them to the device; nil where all are 1.
func (m *Machine) weightsOfClasses(weights []float64) (*buffer, error) {
	if weights == nil {
		return nil, nil
	}
	b, err := m.memory.allocate("the classes' weights", int64(len(weights))*8)
	if err != nil {
		return nil, err
	}
	return b, upload(m.gpu, b, weights)
}
