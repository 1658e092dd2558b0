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
	kind := ops.CrossEntropyGradient
	if kindOf(loss) == ops.SoftmaxLossForward {
		kind = ops.SoftmaxLossGradient
	}
	return f.readerOf(ops.Operands(loss)[0], kind)
}

// biasGradientOfLoss returns the node of the gradient by the logits' bias, where the launch of the
// loss computes it.
func (f fusion) biasGradientOfLoss(gradient *gorgonia.Node) *gorgonia.Node {
	if gradient == nil || gradient.Shape().TotalSize() > mostOfLastBlock {
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
func (m *Machine) addLoss(o operation) error {
	logits, rows, classes := o.nodes[0], o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	var inputs, inputBias, weight, bias, outer, dx, dbias *buffer
	size, parts := 0, ops.Operands(logits)
	if m.fusion.productOfLogits(logits) {
		inputs, inputBias = m.inputOfNarrow(parts[0])
		weight, size = m.values[parts[1]], parts[0].Shape()[1]
	}
	if m.fusion.biasOfLogits(logits) && len(parts) > 2 {
		bias = m.values[parts[2]]
	}
	gradient := m.fusion.gradientOfLoss(o.node)
	if gradient != nil {
		var err error
		if outer, err = m.factorOfLoss(gradient); err != nil {
			return err
		}
		if dx, err = m.output(gradient); err != nil {
			return err
		}
	}
	if node := m.fusion.biasGradientOfLoss(gradient); node != nil {
		var err error
		if dbias, err = m.output(node); err != nil {
			return err
		}
	}
	weights, err := m.weightsOfClasses(o.Loss.Weights)
	if err != nil {
		return err
	}
	perRow, err := m.memory.allocate("the rows' losses and answers", int64(rows)*16)
	if err != nil {
		return err
	}
	if m.correct, err = m.memory.allocate("the right answers", 8); err != nil {
		return err
	}
	ticket, err := m.tickets(1)
	if err != nil {
		return err
	}
	lanes := 1
	for lanes < min(classes, threadsPerBlock) {
		lanes *= 2
	}
	perBlock := threadsPerBlock / lanes
	threads := (rows + perBlock - 1) / perBlock * threadsPerBlock
	return m.launch("softmax_loss", threads, 1, inputs, inputBias, weight, word(size), o.inputs[0], bias,
		o.inputs[1], weights, outer, dx, dbias, perRow, ticket, o.output, m.correct,
		word(rows), int32(classes), word(lanes), o.Loss.Smoothing, o.Loss.Gamma)
}

// factorOfLoss returns the memory of dL/dL, by which a loss's gradient is multiplied.
func (m *Machine) factorOfLoss(gradient *gorgonia.Node) (*buffer, error) {
	factor := ops.Operands(gradient)[2]
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
