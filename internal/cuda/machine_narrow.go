//go:build gpu && linux && amd64

package cuda

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// mostNarrow is the kernels' NARROW, the most outputs of a dense layer that our kernels compute
// with what is beside it. mostSummed is the most values that one thread adds up.
const mostNarrow, mostSummed = 16, 512

// productOfLogits reports whether the launch of the loss computes the dense layer that the logits
// come from.
func (f fusion) productOfLogits(logits *gorgonia.Node) bool {
	if !f.biasOfLogits(logits) {
		return false
	}
	x, w := ops.Operands(logits)[0].Shape(), ops.Operands(logits)[1].Shape()
	return w[0] <= mostNarrow && x[1] <= mostSummed
}

// narrow is a dense layer of few outputs behind a rectifier, or behind dropout of that: the
// gradients of its outputs, its weights, and the node of their gradient.
type narrow struct{ dy, weights, gradient *gorgonia.Node }

// narrowBehind returns the dense layer whose gradients the launch of the rectifier's gradient
// computes, where it is the only reader of what comes out of the rectifier.
func (f fusion) narrowBehind(gradient *gorgonia.Node) (narrow, bool) {
	dx, x := ops.Operands(gradient)[0], ops.Operands(gradient)[1]
	reader := gradient
	if behind := f.behindRectifier(x); behind != nil {
		reader, dx, x = dx, ops.Operands(dx)[0], behind
	}
	if kindOf(dx) != ops.DenseInputGradient || f.onlyReader(dx) != reader {
		return narrow{}, false
	}
	n := narrow{dy: ops.Operands(dx)[0], weights: ops.Operands(dx)[1]}
	for _, other := range f.readers[n.dy] {
		if kindOf(other) == ops.DenseWeightGradient && ops.Operands(other)[1] == x {
			n.gradient = other
		}
	}
	// Nothing may need the gradient of the weights before it is there.
	late := n.gradient != nil && f.place[n.gradient] > f.place[gradient]
	if !late || n.weights.Shape()[0] > mostNarrow {
		return narrow{}, false
	}
	return n, true
}

// readByNarrow reports whether nothing reads what comes out of a rectifier but the launches that
// compute the dense layer behind it, which can rectify what they read.
func (f fusion) readByNarrow(relu *gorgonia.Node) bool {
	logits, weights := false, f.readerOf(relu, ops.DenseWeightGradient)
	for _, reader := range f.readers[relu] {
		switch kindOf(reader) {
		case ops.DenseForward:
			if logits || !f.productOfLogits(reader) {
				return false
			}
			logits = true
		case ops.DenseWeightGradient: // the launch of ReLUGradient computes it
		case ops.ReLUGradient:
			if n, ok := f.narrowBehind(reader); !ok || weights != n.gradient {
				return false
			}
		default:
			return false
		}
	}
	computed := weights == nil || f.readerOf(relu, ops.ReLUGradient) != nil
	return logits && computed && !f.asked[relu]
}

// inputOfNarrow returns the values that a dense layer reads, and the bias that is added to them
// before they are rectified, nil if they are what it reads.
func (m *Machine) inputOfNarrow(x *gorgonia.Node) (values, bias *buffer) {
	if !m.fusion.hidden[x] {
		return m.values[x], nil
	}
	before := ops.Operands(x)[0]
	return m.values[before], m.biasBehind(before)
}

// planNarrow has the launch of a rectifier's gradient compute those of the layer behind it.
func (f fusion) planNarrow(gradient *gorgonia.Node) {
	n, ok := f.narrowBehind(gradient)
	if !ok {
		return
	}
	dx := ops.Operands(gradient)[0]
	if f.behindRectifier(ops.Operands(gradient)[1]) != nil { // dropout is between them
		dx = ops.Operands(dx)[0]
	}
	f.hidden[dx], f.elsewhere[n.gradient] = true, true
}

// addNarrowGradient appends the gradient of a rectifier whose values, behind dropout if there is
// any, are x, with all gradients of the dense layer behind it.
func (m *Machine) addNarrowGradient(o operation, n narrow, x *gorgonia.Node, factor float32) error {
	values, inputBias := m.inputOfNarrow(x)
	dweight, err := m.output(n.gradient)
	if err != nil {
		return err
	}
	var dbias *buffer
	if bias := m.fusion.biasGradientOf(o.node); bias != nil {
		if dbias, err = m.output(bias); err != nil {
			return err
		}
	}
	s := channelsOf(o.node.Shape())
	if err := s.check(); err != nil {
		return err
	}
	weights, err := m.weightsOf(n.weights)
	if err != nil {
		return err
	}
	outputs := n.weights.Shape()[0]
	return m.launch("narrow_gradient", s.threads(), 1, m.values[n.dy], weights, values,
		inputBias, o.output, dweight, dbias, factor,
		word(s.runs), word(s.count), word(outputs), word(s.lanes()))
}
