//go:build gpu && linux && amd64

package cuda

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// planRectifier has a ReLU's launch compute what comes before it, and that of a max pooling or
// of dropout behind it compute the ReLU.
func (f fusion) planRectifier(relu *gorgonia.Node) {
	x := ops.Operands(relu)[0]
	if f.onlyReader(x) == relu {
		switch {
		case computesReLU(x):
			f.hidden[x] = true
			return
		case hasBias(x):
			f.hidden[x] = true
			if f.readByNarrow(relu) {
				f.hidden[relu] = true
				return
			}
		}
	}
	if f.behindRectifier(relu) != nil {
		f.hidden[relu] = true
	}
}

// hasBias reports whether the node is a convolution by cuDNN or a dense layer, with a bias.
func hasBias(node *gorgonia.Node) bool {
	operands := ops.Operands(node)
	if len(operands) < 3 {
		return false
	}
	d, _ := ops.Describe(node.Op())
	switch d.Kind {
	case ops.Conv2DForward:
		return !isDepthwise(d, operands[1].Shape())
	case ops.DenseForward:
		return true
	}
	return false
}

// computesReLU reports whether the launch of such a node can compute the ReLU behind it as well.
func computesReLU(node *gorgonia.Node) bool {
	return kindOf(node) == ops.BatchNormForward || isSumOfTwo(node)
}

// isSumOfTwo reports whether the node is the sum of two tensors.
func isSumOfTwo(node *gorgonia.Node) bool {
	return kindOf(node) == ops.Addition && len(ops.Operands(node)) == 2 && node.Shape().Dims() > 0
}

// behindRectifier returns the max pooling or the dropout whose launch computes the ReLU as well:
// nothing else reads it, but for its gradient, which is known from what that launch writes.
func (f fusion) behindRectifier(relu *gorgonia.Node) *gorgonia.Node {
	if x := ops.Operands(relu)[0]; f.onlyReader(x) == relu && computesReLU(x) {
		return nil // that has a launch already
	}
	var behind, gradient *gorgonia.Node
	for _, reader := range f.readers[relu] {
		switch kind := kindOf(reader); {
		case behind == nil && (isMaxPool(kind) || kind == ops.DropoutForward):
			behind = reader
		case gradient == nil && kind == ops.ReLUGradient:
			gradient = reader
		default:
			return nil
		}
	}
	if behind == nil || f.asked[relu] {
		return nil
	}
	if gradient != nil {
		dy := ops.Operands(gradient)[0]
		want := ops.DropoutGradient
		switch kindOf(behind) {
		case ops.MaxPoolForward:
			want = ops.MaxPoolGradient
		case ops.WindowMaxForward:
			want = ops.WindowMaxGradient
		}
		if kindOf(dy) != want || ops.Operands(dy)[1] != behind || f.onlyReader(dy) != gradient {
			return nil
		}
	}
	return behind
}

// planRectifierGradient has the launch of a ReLU's gradient add up what comes in, and compute the
// gradient of a bias; or that of the normalisation before the ReLU compute it all.
func (f fusion) planRectifierGradient(gradient *gorgonia.Node) {
	dy, y := ops.Operands(gradient)[0], ops.Operands(gradient)[1]
	if f.hidden[y] || isSumOfTwo(dy) && f.onlyReader(dy) == gradient {
		f.hidden[dy] = true
	}
	if f.normBefore(gradient) != nil {
		f.elsewhere[gradient] = true
		return
	}
	f.planBiasGradient(gradient)
	f.planNarrow(gradient)
}

// normBefore returns the gradient of a batch normalisation whose launches compute that of the
// ReLU behind it, since nothing else needs it earlier.
func (f fusion) normBefore(gradient *gorgonia.Node) *gorgonia.Node {
	readers := f.readers[gradient]
	if len(readers) == 0 || f.hidden[ops.Operands(gradient)[1]] {
		return nil
	}
	first := readers[0]
	if kindOf(first) != ops.BatchNormGradient || ops.Operands(first)[0] != gradient {
		return nil
	}
	return first
}

// planBiasGradient has the launch of a gradient compute that of the bias before it as well.
func (f fusion) planBiasGradient(gradient *gorgonia.Node) {
	if bias := f.biasGradientOf(gradient); bias != nil {
		f.elsewhere[bias] = true
	}
}

func (f fusion) biasGradientOf(gradient *gorgonia.Node) *gorgonia.Node {
	if bias := f.readerOf(gradient, ops.Conv2DBiasGradient); bias != nil {
		return bias
	}
	return f.readerOf(gradient, ops.DenseBiasGradient)
}

// biasBehind returns the memory of a bias that the product or the convolution before a launch
// leaves to it, nil if there is none.
func (m *Machine) biasBehind(x *gorgonia.Node) *buffer {
	if m.fusion.hidden[x] && hasBias(x) {
		return m.values[ops.Operands(x)[2]]
	}
	return nil
}

// addReLU appends the rectifier, with what comes before it.
func (m *Machine) addReLU(o operation) error {
	x := o.nodes[0]
	if m.fusion.hidden[x] && !hasBias(x) {
		before := m.operationOf(x, o.output)
		if before.Kind == ops.BatchNormForward {
			return m.addBatchNorm(before, nil, true)
		}
		return m.addSum(before, true)
	}
	return m.addRectified(x, o.output, dropped{})
}

// dropped is the dropout behind a rectifier; none if the ledger is nil.
type dropped struct {
	ledger         *buffer
	key, threshold uint64
	keep           float32
}

func (m *Machine) addRectified(x *gorgonia.Node, output *buffer, d dropped) error {
	n, area, channels := max(x.Shape().TotalSize(), 1), 1, 1
	bias := m.biasBehind(x)
	if bias != nil {
		s := channelsOf(x.Shape())
		area, channels = s.area, s.count
	}
	quads := (n + 3) / 4
	if d.ledger != nil {
		quads = m.quads(n)
	}
	return m.launch("bias_relu", quads, 1, m.values[x], bias, output, area, channels,
		d.ledger, d.key, d.threshold, d.keep, imageValues(x), n)
}

// addDropout appends dropout, with the rectifier before it, or dropout's gradient.
func (m *Machine) addDropout(o operation) error {
	threshold, keep := ops.Threshold(o.P)
	m.masks = o.Masks
	if relu := o.nodes[0]; o.Kind == ops.DropoutForward && m.fusion.hidden[relu] {
		d := dropped{m.ledger, o.Masks.Key(), threshold, keep}
		return m.addRectified(ops.Operands(relu)[0], o.output, d)
	}
	n := o.values()
	return m.launch("dropout", m.quads(n), 1, o.inputs[0], o.output, m.ledger, o.Masks.Key(),
		threshold, keep, imageValues(o.node), n)
}

// quads is how many threads draw the masks of n values, four of a quad each. A batch that is one
// of several of a step may begin within a quad.
func (m *Machine) quads(n int) int {
	if m.options.Several {
		return (n + 6) / 4
	}
	return (n + 3) / 4
}

// imageValues is how many values a node has of each image.
func imageValues(node *gorgonia.Node) int { return node.Shape().TotalSize() / node.Shape()[0] }

// addSum appends the sum of tensors, in their order, of which one may be a normalisation that is
// still to be computed; with a rectifier, of two.
func (m *Machine) addSum(o operation, rectifier bool) error {
	if norm := m.fusion.normOfSum(o.node); norm != nil {
		other := o.nodes[0]
		if other == norm {
			other = o.nodes[1]
		}
		return m.addBatchNorm(m.operationOf(norm, o.output), m.values[other], rectifier)
	}
	n := o.values()
	if len(o.inputs) == 1 {
		m.append("cuMemcpyDtoDAsync", func() error {
			return copyAsync(o.output.address, o.inputs[0].address, int64(n)*m.valueBytes(o.node), m.gpu.stream)
		})
		return nil
	}
	add := m.launch
	if !m.halves.maps[o.node] {
		add = m.launchFloats // of losses
	}
	sum := o.inputs[0]
	for _, term := range o.inputs[1:] {
		if err := add("add", n, 1, sum, term, o.output, flag(rectifier), n); err != nil {
			return err
		}
		sum = o.output
	}
	return nil
}

// planSum has the launch of a normalisation compute the sum that alone reads it.
func (f fusion) planSum(sum *gorgonia.Node) {
	if norm := f.normOfSum(sum); norm != nil {
		f.hidden[norm] = true
	}
}

// normOfSum returns the last term of a sum of two that is a batch normalisation which nothing else
// reads.
func (f fusion) normOfSum(sum *gorgonia.Node) *gorgonia.Node {
	if !isSumOfTwo(sum) {
		return nil
	}
	terms := ops.Operands(sum)
	for i := len(terms) - 1; i >= 0; i-- {
		if kindOf(terms[i]) == ops.BatchNormForward && f.onlyReader(terms[i]) == sum {
			return terms[i]
		}
	}
	return nil
}

// incoming is the gradient of what a layer writes: dy, or with other their sum; with y 0 where
// that is not above 0. kept is where it goes, nil if dy is what it is.
type incoming struct{ dy, other, y, kept *buffer }

// incomingOf returns the gradient that is computed as that node.
func (m *Machine) incomingOf(node *gorgonia.Node) (incoming, error) {
	if kindOf(node) != ops.ReLUGradient || !m.fusion.elsewhere[node] {
		return incoming{dy: m.values[node]}, nil
	}
	kept, err := m.output(node)
	dy, other := m.termsOf(ops.Operands(node)[0])
	return incoming{dy, other, m.values[ops.Operands(node)[1]], kept}, err
}

// termsOf returns a value, or the two whose sum it is.
func (m *Machine) termsOf(node *gorgonia.Node) (value, other *buffer) {
	if !m.fusion.hidden[node] {
		return m.values[node], nil
	}
	terms := ops.Operands(node)
	return m.values[terms[0]], m.values[terms[1]]
}

// addReLUGradient appends the rectifier's gradient, and that of a bias before it.
func (m *Machine) addReLUGradient(o operation) error {
	dy, y := o.nodes[0], o.nodes[1]
	dense, isNarrow := m.fusion.narrowBehind(o.node)
	behind := m.fusion.behindRectifier(y)
	if isNarrow && behind == nil {
		return m.addNarrowGradient(o, dense, y, 1)
	}
	if !m.fusion.hidden[y] {
		value, other := m.termsOf(dy)
		return m.addMasked(o, incoming{dy: value, other: other, y: m.values[y]}, 1)
	}
	if kindOf(behind) != ops.DropoutForward {
		return m.addMaxGradient(o, m.operationOf(dy, o.output), m.values[behind])
	}
	d, _ := ops.Describe(behind.Op())
	_, keep := ops.Threshold(d.P)
	if isNarrow {
		return m.addNarrowGradient(o, dense, behind, keep)
	}
	return m.addMasked(o, incoming{dy: m.values[ops.Operands(dy)[0]], y: m.values[behind]}, keep)
}

func (m *Machine) addMasked(o operation, g incoming, factor float32) error {
	s := channelsOf(o.node.Shape())
	sums, err := m.biasSums(o.node, s)
	if err != nil {
		return err
	}
	return m.launch("relu_gradient", s.threads(), s.shares(), g.dy, g.other, g.y, o.output, factor,
		sums.output, sums.partials, sums.tickets,
		word(s.runs), word(s.count), word(s.area), word(s.lanes()))
}

// channelSums is where sums by channel go, and what the kernels' set_sum needs beside them; all
// nil if nobody asks.
type channelSums struct{ output, partials, tickets *buffer }

// biasSums returns the memory of the bias's gradient that the launch of this gradient computes.
func (m *Machine) biasSums(gradient *gorgonia.Node, s sets) (sums channelSums, err error) {
	if err := s.check(); err != nil {
		return sums, err
	}
	bias := m.fusion.biasGradientOf(gradient)
	if bias == nil {
		return sums, nil
	}
	output, err := m.output(bias)
	if err != nil {
		return sums, err
	}
	return m.sumsOf(s, output)
}

// sumsOf returns the memory of sums by channel that go to the output.
func (m *Machine) sumsOf(s sets, output *buffer) (sums channelSums, err error) {
	if err := s.check(); err != nil {
		return sums, err
	}
	if sums.output = output; s.shares() == 1 {
		return sums, nil
	}
	bytes := int64(8 * s.count * s.shares())
	if sums.partials, err = m.memory.allocate("partial sums", bytes); err != nil {
		return sums, err
	}
	sums.tickets, err = m.tickets(s.threads() / threadsPerBlock)
	return sums, err
}
