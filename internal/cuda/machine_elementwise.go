//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// addElementwise appends what treats each value alone, but for the sums of its parameters'
// gradients.
func (m *Machine) addElementwise(o operation) error {
	n := o.values()
	switch o.Kind {
	case ops.ActivationForward:
		return m.launch("activation_forward", n, 1, o.inputs[0], o.output, int32(o.Function), float32(o.Alpha), n)
	case ops.ActivationGradient:
		dy, x := o.inputs[0], o.inputs[2]
		return m.launch("activation_gradient", n, 1, dy, x, o.output, int32(o.Function), float32(o.Alpha), n)
	case ops.PReLUForward:
		return m.addPReLU(nil, o.inputs[0], o.inputs[1], o.output, o.nodes[0], o.nodes[1])
	case ops.PReLUGradient:
		return m.addPReLUGradient(o)
	case ops.GlobalAvgPoolForward:
		s := mapsOf(o.nodes[0].Shape().TotalSize(), o.nodes[0].Shape()[2]*o.nodes[0].Shape()[3])
		if err := s.check(); err != nil {
			return err
		}
		return m.launch("set_means", s.threads(), 1, o.inputs[0], o.output, word(s.count), word(s.area), word(s.lanes()))
	case ops.GlobalAvgPoolGradient:
		area := o.node.Shape()[2] * o.node.Shape()[3]
		return m.launch("spread", n, 1, o.inputs[0], o.output, area, n)
	case ops.ProductForward:
		return m.addProduct(o)
	case ops.ProductGradient:
		return m.addProductGradient(o)
	case ops.ScaleForward:
		channels := channelsOf(o.node.Shape())
		return m.launch(m.scaleOfChannels(), n, 1, o.inputs[0], o.inputs[1], o.output, channels.area, channels.count, n)
	case ops.ScaleGradient:
		return m.addScaleGradient(o)
	case ops.DropSetsForward, ops.DropSetsGradient:
		threshold, keep := ops.Threshold(o.P)
		m.masks = o.Masks
		return m.launch("drop_sets", n, 1, o.inputs[0], o.output, m.ledger, o.Masks.Key(), threshold, keep, o.Each,
			imageValues(o.node)/o.Each, n)
	}
	return fmt.Errorf("an operator of kind %d has no GPU form; train this network with -device cpu", o.Kind)
}

// addPReLU appends PReLU of x, or with dy its gradient.
func (m *Machine) addPReLU(dy, x, slopes, y *buffer, of, slopesOf *gorgonia.Node) error {
	n, channels := of.Shape().TotalSize(), channelsOf(of.Shape())
	return m.launch("prelu", n, 1, x, dy, slopes, y, channels.area, slopesOf.Shape().TotalSize(), n)
}

func (m *Machine) addPReLUGradient(o operation) error {
	dy, x, slopes := o.inputs[0], o.inputs[2], o.inputs[3]
	gradients, err := m.gradientsOf(o)
	if err != nil {
		return err
	}
	behind := len(m.launches)
	if gradients[0] != nil {
		if err := m.addPReLU(dy, x, slopes, gradients[0], o.nodes[2], o.nodes[3]); err != nil {
			return err
		}
	}
	shape := o.nodes[2].Shape()
	s := channelsOf(shape)
	if o.nodes[3].Shape().TotalSize() == 1 {
		s = mapsOf(shape.TotalSize(), shape.TotalSize())
	}
	return m.addSums(dy, x, s, true, gradients[1], behind)
}

// addSums appends Σ dy·x of each set, with negative only where x is not above 0; nothing if
// nobody asks for it. They are gradients of parameters, and dy is there behind so many launches.
func (m *Machine) addSums(dy, x *buffer, s sets, negative bool, output *buffer, behind int) error {
	if output == nil {
		return nil
	}
	from := len(m.launches)
	partials, err := m.addProducts(incoming{dy: dy}, x, s, standard{}, negative)
	if err != nil {
		return err
	}
	if err := m.addFinish(partials, s, sumOfProducts, output); err != nil {
		return err
	}
	m.forParameters(from, behind)
	return nil
}

// addSumsOfMaps is addSums where what comes out is a map, too, of a value each.
func (m *Machine) addSumsOfMaps(dy, x *buffer, s sets, output *buffer) error {
	partials, err := m.addProducts(incoming{dy: dy}, x, s, standard{}, false)
	if err != nil {
		return err
	}
	return m.launch("finish_sums", s.count, 1, partials, s.shares(), sumKinds, sumOfProducts, output,
		s.count)
}

// scaleOfChannels is the kernel that multiplies channels by parameters, which are float32 beside any
// maps.
func (m *Machine) scaleOfChannels() string {
	if m.inBF16() {
		return "scale_channels"
	}
	return "scale"
}

func (m *Machine) addScaleGradient(o operation) error {
	dy, x, s := o.inputs[0], o.inputs[2], o.inputs[3]
	channels := channelsOf(o.nodes[2].Shape())
	gradients, err := m.gradientsOf(o)
	if err != nil {
		return err
	}
	behind := len(m.launches)
	if gradients[0] != nil {
		n := o.nodes[2].Shape().TotalSize()
		if err := m.launch(m.scaleOfChannels(), n, 1, dy, s, gradients[0], channels.area, channels.count, n); err != nil {
			return err
		}
	}
	return m.addSums(dy, x, channels, false, gradients[1], behind)
}

// addProduct appends a∘b, of which one may have a number for each map of the other.
func (m *Machine) addProduct(o operation) error {
	n := o.values()
	large, small := 0, 1
	if o.nodes[0].Shape().TotalSize() < n {
		large, small = 1, 0
	}
	period := o.nodes[small].Shape().TotalSize()
	return m.launch("scale", n, 1, o.inputs[large], o.inputs[small], o.output, n/period, period, n)
}

func (m *Machine) addProductGradient(o operation) error {
	dy, n := o.inputs[0], o.nodes[0].Shape().TotalSize()
	gradients, err := m.gradientsOf(o)
	if err != nil {
		return err
	}
	for i, gradient := range gradients {
		own, other := o.nodes[2+i].Shape().TotalSize(), o.nodes[3-i].Shape().TotalSize()
		switch {
		case gradient == nil:
		case own == n:
			if err := m.launch("scale", n, 1, dy, o.inputs[3-i], gradient, n/other, other, n); err != nil {
				return err
			}
		default:
			if err := m.addSumsOfMaps(dy, o.inputs[3-i], mapsOf(n, n/own), gradient); err != nil {
				return err
			}
		}
	}
	return nil
}

// addConcat appends the joining of channels: each input has a share of every image's values.
func (m *Machine) addConcat(o operation) error {
	batch, at := o.node.Shape()[0], 0
	row := o.values() / batch
	for i, input := range o.inputs {
		n := o.nodes[i].Shape().TotalSize()
		length := n / batch
		if err := m.launch("copy_rows", n, 1, input, m.mapPart(o.output, at), length, length, row, n); err != nil {
			return err
		}
		at += length
	}
	return nil
}

func (m *Machine) addConcatGradient(o operation) error {
	gradients, err := m.gradientsOf(o)
	if err != nil {
		return err
	}
	batch, at := o.nodes[0].Shape()[0], 0
	row := o.nodes[0].Shape().TotalSize() / batch
	for i, gradient := range gradients {
		n := o.nodes[2+i].Shape().TotalSize()
		length := n / batch
		if gradient != nil {
			if err := m.launch("copy_rows", n, 1, m.mapPart(o.inputs[0], at), gradient, length, row, length, n); err != nil {
				return err
			}
		}
		at += length
	}
	return nil
}
