//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// A machine whose products are in bf16 keeps its maps, which are the images, what goes from layer
// to layer and the gradients of that, as bfloat16. Kernels that treat maps have a form for these,
// which reads them as float32 and rounds what it writes. All else is float32 or float64 as ever:
// parameters and their gradients, statistics, losses, and the logits where a dense layer makes
// them. A convolution's or a dense layer's weights are multiplied as a copy that is rounded.

// halves is what such a machine has beside the others.
type halves struct {
	maps         map[*gorgonia.Node]bool // nil where maps are float32
	weights      map[*gorgonia.Node]*buffer
	convolutions []*halfConvolution
}

// inBF16 reports whether maps are bfloat16.
func (m *Machine) inBF16() bool { return m.options.Products == bf16 }

// findMaps notes which nodes are maps.
func (m *Machine) findMaps(order gorgonia.Nodes) {
	if !m.inBF16() {
		return
	}
	m.halves.maps = make(map[*gorgonia.Node]bool)
	m.halves.weights = make(map[*gorgonia.Node]*buffer)
	for _, node := range order {
		m.halves.maps[node] = m.isMap(node)
	}
}

// isMap reports whether a node, whose operands were looked at, is a map.
func (m *Machine) isMap(node *gorgonia.Node) bool {
	if node.Op() == nil {
		return node == m.options.Images
	}
	d, described := ops.Describe(node.Op())
	switch d.Kind {
	case ops.View, ops.Addition:
		return m.halves.maps[ops.Operands(node)[0]]
	case ops.CrossEntropyForward, ops.SoftmaxLossForward, ops.BinaryLossForward,
		ops.ParameterPenaltyForward, ops.ActivationPenaltyForward:
		return false
	case ops.Conv2DWeightGradient, ops.Conv2DBiasGradient, ops.DenseWeightGradient,
		ops.DenseBiasGradient, ops.PenalisedGradient:
		return false
	case ops.DenseForward:
		return !m.fusion.onlyLosses(node)
	case ops.HandedOn:
		return d.Of == 0 || !ofParameters(kindOf(ops.Operands(node)[0]))
	}
	return described && (d.Of == 0 || !ofParameters(d.Kind))
}

// ofParameters reports whether a gradient of several values is that of a layer of one map, whose
// other inputs are parameters.
func ofParameters(kind ops.Kind) bool {
	switch kind {
	case ops.BatchNormGradient, ops.SetNormGradient, ops.PReLUGradient, ops.ScaleGradient:
		return true
	}
	return false
}

// onlyLosses reports whether losses alone read a value, and their gradients: logits.
func (f fusion) onlyLosses(node *gorgonia.Node) bool {
	for _, reader := range f.readers[node] {
		switch kindOf(reader) {
		case ops.CrossEntropyForward, ops.CrossEntropyGradient, ops.SoftmaxLossForward,
			ops.SoftmaxLossGradient, ops.BinaryLossForward:
		default:
			return false
		}
	}
	return len(f.readers[node]) > 0
}

// valueBytes is what each of a node's values takes.
func (m *Machine) valueBytes(node *gorgonia.Node) int64 {
	if m.halves.maps[node] {
		return 2
	}
	return 4
}

// allocateMap returns memory for n values of a map.
func (m *Machine) allocateMap(what string, n int) (*buffer, error) {
	if m.inBF16() {
		return m.memory.allocate(what, 2*int64(n))
	}
	return m.memory.allocateFloats(what, n)
}

// mapPart is a map from one of its values on.
func (m *Machine) mapPart(b *buffer, first int) *buffer {
	if m.inBF16() {
		return b.from(2 * first)
	}
	return b.from(4 * first)
}

// weightsOf returns the memory of weights as they are multiplied: a copy in bf16 that the caller
// has or that a launch of this machine makes.
func (m *Machine) weightsOf(node *gorgonia.Node) (*buffer, error) {
	if !m.inBF16() {
		return m.values[node], nil
	}
	for kindOf(node) == ops.View {
		node = ops.Operands(node)[0]
	}
	if b := m.options.Rounded[node]; b != nil {
		return b, nil
	}
	if b := m.halves.weights[node]; b != nil {
		return b, nil
	}
	n := node.Shape().TotalSize()
	b, err := m.allocateMap("weights in bf16", n)
	if err != nil {
		return nil, err
	}
	m.halves.weights[node] = b
	return b, m.launch("narrow", n, 1, m.values[node], b, n)
}

// multiplied returns what a convolution or a dense layer reads, its weights as they are multiplied:
// those of weights are the second of what is read, but by the weights' own gradient.
func (m *Machine) multiplied(o operation) ([]*buffer, error) {
	if !m.inBF16() || o.Kind == ops.Conv2DWeightGradient || o.Kind == ops.DenseWeightGradient {
		return o.inputs, nil
	}
	weights, err := m.weightsOf(o.nodes[1])
	inputs := slices.Clone(o.inputs)
	inputs[1] = weights
	return inputs, err
}

// logitsOf returns the memory of logits, which losses read as float32.
func (m *Machine) logitsOf(logits *gorgonia.Node) (*buffer, error) {
	if !m.halves.maps[logits] {
		return m.values[logits], nil
	}
	n := logits.Shape().TotalSize()
	wide, err := m.memory.allocateFloats("the logits", n)
	if err != nil {
		return nil, err
	}
	return wide, m.launch("widen", n, 1, m.values[logits], wide, n)
}

// convolveHalves is convolve of maps in bf16. cuDNN writes the gradient of the weights as bfloat16,
// too, added up in float32.
func (m *Machine) convolveHalves(x, w, y tensor.Shape, inputs []*buffer, output *buffer,
	d ops.Description) error {
	c, err := newHalfConvolution(m.gpu.dnn, x, w, y, d)
	m.halves.convolutions = append(m.halves.convolutions, c)
	if err != nil {
		return fmt.Errorf("a convolution in %v: %w; train with -precision tf32", bf16, err)
	}
	var xs, ws, ys *buffer
	switch d.Kind {
	case ops.Conv2DForward:
		xs, ws, ys = inputs[0], inputs[1], output
	case ops.Conv2DWeightGradient:
		if ws, err = m.allocateMap("a gradient in bf16", w.TotalSize()); err != nil {
			return err
		}
		xs, ys = inputs[1], inputs[0]
	default:
		xs, ws, ys = output, inputs[1], inputs[0]
	}
	m.appendConvolution(c.call(), c.workspaceBytes(), func(on *lane, workspace *buffer) error {
		return c.run(on, xs, ws, ys, workspace)
	})
	switch {
	case d.Kind == ops.Conv2DWeightGradient:
		return m.launch("widen", w.TotalSize(), 1, ws, output, w.TotalSize())
	case d.Kind == ops.Conv2DForward && len(inputs) > 2:
		return m.addBias(y, inputs[2], output)
	}
	return nil
}

// addBias appends the addition of a bias to a map in bf16.
func (m *Machine) addBias(y tensor.Shape, bias, output *buffer) error {
	n, s := y.TotalSize(), channelsOf(y)
	return m.launch("add_bias", n, 1, output, bias, s.area, s.count, n)
}

// addHalfBiasGradient appends the sums of dy, in bf16, over all but its channels.
func (m *Machine) addHalfBiasGradient(dy tensor.Shape, input, output *buffer) error {
	s := channelsOf(dy)
	sums, err := m.sumsOf(s, output)
	if err != nil {
		return err
	}
	return m.launch("bias_gradient", s.threads(), s.shares(), input, sums.output, sums.partials,
		sums.tickets, word(s.runs), word(s.count), word(s.area), word(s.lanes()))
}

// uploadMap brings the values of an input to the device.
func (m *Machine) uploadMap(node *gorgonia.Node, values []float32) error {
	if m.halves.maps[node] {
		return upload(m.gpu, m.values[node], narrowed(values))
	}
	return upload(m.gpu, m.values[node], values)
}

// downloadMap returns n of a node's values.
func (m *Machine) downloadMap(node *gorgonia.Node, n int) ([]float32, error) {
	if m.halves.maps[node] {
		values := make([]bfloat16, n)
		err := download(m.gpu, values, m.values[node])
		return widened(values), err
	}
	values := make([]float32, n)
	return values, download(m.gpu, values, m.values[node])
}

// closeHalves frees the descriptors.
func (m *Machine) closeHalves() (all []error) {
	for _, c := range m.halves.convolutions {
		all = append(all, c.close())
	}
	m.halves.convolutions = nil
	return all
}

// checkBF16 refuses what has no form in bf16.
func (m *Machine) checkBF16(kind ops.Kind) error {
	if m.inBF16() && (kind == ops.ActivationPenaltyForward || kind == ops.ActivationPenaltyGradient) {
		return fmt.Errorf("a penalty on activations has no form in %v; train with -precision tf32",
			bf16)
	}
	return nil
}
