//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// chunk mirrors the kernels' Chunk: neighbouring values of a tensor, and their gradients.
type chunk struct {
	values, gradient uint64
	length, tensor   uint32
}

// chunks mirrors the kernels' Chunks: those of a tensor.
type chunks struct{ first, count uint32 }

// appendChunks divides a tensor, and its gradient unless that is nil, into chunks that a block
// each treats.
func appendChunks(all []chunk, tensor, n int, values, gradient *buffer) ([]chunk, chunks) {
	const least, most = 16 * threadsPerBlock, 1024 // values of a chunk, and chunks of a tensor
	length := max(least, (n+most-1)/most)
	own := chunks{first: uint32(len(all))}
	for at := 0; at < n; at += length {
		offset := 4 * uint64(at)
		c := chunk{
			values: uint64(values.address) + offset, length: uint32(min(length, n-at)), tensor: uint32(tensor),
		}
		if gradient != nil {
			c.gradient = uint64(gradient.address) + offset
		}
		all = append(all, c)
		own.count++
	}
	return all, own
}

// table brings values that a launch reads to the device.
func table[T any](m *Machine, what string, bytes int, values []T) (*buffer, error) {
	b, err := m.memory.allocate(what, int64(bytes*len(values)))
	if err != nil {
		return nil, err
	}
	return b, upload(m.gpu, b, values)
}

// planPenalty has a penalty's launch add it to the loss as well, where the sum is of these two.
func (f fusion) planPenalty(penalty *gorgonia.Node) {
	if sum := f.sumWithPenalty(penalty); sum != nil {
		f.elsewhere[sum] = true
	}
}

// sumWithPenalty returns the node of the sum of what comes before a penalty and the penalty, nil
// if there is none.
func (f fusion) sumWithPenalty(penalty *gorgonia.Node) *gorgonia.Node {
	sum := f.readerOf(penalty, ops.Addition)
	if sum == nil {
		return nil
	}
	terms := ops.Operands(sum)
	if len(terms) != 2 || terms[1] != penalty || f.place[terms[0]] > f.place[penalty] {
		return nil
	}
	return sum
}

// penaltyOf is what tells the penalties apart.
type penaltyOf struct {
	nodes   gorgonia.Nodes // the tensors
	inputs  []*buffer
	l1, l2  float64
	squared bool
	factors *buffer // λ2/‖p‖₂ by tensor; nil if nobody asks for it
}

// addPenalty appends a penalty, and the sum with what comes before it.
func (m *Machine) addPenalty(o operation, p penaltyOf) error {
	var all []chunk
	ofTensor := make([]chunks, len(p.nodes))
	for i, node := range p.nodes {
		all, ofTensor[i] = appendChunks(all, i, node.Shape().TotalSize(), p.inputs[i], nil)
	}
	var before, sum *buffer
	if node := m.fusion.sumWithPenalty(o.node); node != nil {
		var err error
		if sum, err = m.output(node); err != nil {
			return err
		}
		before = m.values[ops.Operands(node)[0]]
	}
	chunkTable, err := table(m, "the table of chunks", 24, all)
	if err != nil {
		return err
	}
	tensorTable, err := table(m, "the table of tensors", 8, ofTensor)
	if err != nil {
		return err
	}
	partials, err := m.memory.allocate("partial sums", int64(16*len(all)))
	if err != nil {
		return err
	}
	ticket, err := m.tickets(1)
	if err != nil {
		return err
	}
	return m.launch("penalty", len(all)*threadsPerBlock, 1, chunkTable, tensorTable, partials, ticket,
		word(len(p.nodes)), p.l1, p.l2, flag(p.squared), p.factors, before, o.output, sum)
}

// addParameterPenalty appends λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂.
func (m *Machine) addParameterPenalty(o operation) error {
	factors, err := m.memory.allocateFloats("the penalty's factors", len(o.nodes))
	if err != nil {
		return err
	}
	m.penalties[o.node] = &penalised{factors: factors}
	return m.addPenalty(o, penaltyOf{
		nodes: o.nodes, inputs: o.inputs, l1: o.Penalty.L1, l2: o.Penalty.L2, factors: factors,
	})
}

// addActivationPenalty appends (λ1·Σ|a| + λ2·Σa²)/N.
func (m *Machine) addActivationPenalty(o operation) error {
	batch := float64(o.nodes[0].Shape()[0])
	return m.addPenalty(o, penaltyOf{
		nodes: o.nodes, inputs: o.inputs, l1: o.Penalty.L1 / batch, l2: o.Penalty.L2 / batch,
		squared: true,
	})
}

func (m *Machine) addActivationPenaltyGradient(o operation) error {
	n, batch := o.values(), float64(o.node.Shape()[0])
	return m.launch("activation_penalty_gradient", n, 1, o.inputs[0], o.inputs[1], o.output,
		float32(o.Penalty.L1/batch), float32(2*o.Penalty.L2/batch), n)
}

// penalised are the gradients to which a penalty's part is added, all in one launch.
type penalised struct {
	factors *buffer
	chunks  []chunk
	pending int // gradients that are not compiled yet
}

// addPenalisedGradient notes the penalty's part of a gradient, which is added in its memory: the
// last of them appends the launch for all. Nothing reads one before, since they are what the graph
// ends with.
func (m *Machine) addPenalisedGradient(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer,
	d ops.Description) error {
	m.values[node] = inputs[0]
	p := m.penalties[nodes[2]]
	if p == nil {
		return fmt.Errorf("its third input, %s, is no penalty of parameters", nodeName(nodes[2]))
	}
	if len(m.fusion.readers[node]) > 0 {
		return errors.New("is read by another node, which has no GPU form")
	}
	tensor := -1
	for i, parameter := range ops.Operands(nodes[2]) {
		if parameter == nodes[1] {
			tensor = i
		}
	}
	if tensor < 0 {
		return fmt.Errorf("%s is not one of the penalty's parameters", nodeName(nodes[1]))
	}
	p.chunks, _ = appendChunks(p.chunks, tensor, node.Shape().TotalSize(), inputs[1], inputs[0])
	if p.pending == 0 {
		for _, reader := range m.fusion.readers[nodes[2]] {
			if kindOf(reader) == ops.PenalisedGradient {
				p.pending++
			}
		}
	}
	if p.pending--; p.pending > 0 {
		return nil
	}
	gradients, err := table(m, "the table of gradients", 24, p.chunks)
	if err != nil {
		return err
	}
	return m.launch("penalise", len(p.chunks)*threadsPerBlock, 1, gradients, p.factors,
		float32(d.Penalty.L1))
}
