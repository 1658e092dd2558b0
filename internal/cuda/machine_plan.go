//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// PlansVariable is the environment variable that turns cuDNN's graph API off when it is "0":
// convolutions are then made by its legacy calls.
const PlansVariable = "SLIPWAY_CUDNN_PLANS"

// boundPlan is a plan, with what it computes with.
type boundPlan struct {
	*convolutionPlan
	inputs []*buffer
	output *buffer
}

// rectifierBehind returns the ReLU that a convolution leaves its bias to, nil if the launch of
// another node adds the bias, or none.
func (f fusion) rectifierBehind(convolution *gorgonia.Node) *gorgonia.Node {
	if !f.hidden[convolution] {
		return nil
	}
	reader := f.readers[convolution][0]
	if kindOf(reader) != ops.ReLUForward || f.hidden[reader] {
		return nil
	}
	return reader
}

// addPlanned has one call of a library compute what would be several launches, and reports whether
// it does.
func (m *Machine) addPlanned(o operation) (bool, error) {
	switch o.Kind {
	case ops.Conv2DForward:
		return m.addPlannedConvolution(o)
	case ops.DenseForward:
		return m.addEpilogue(o)
	case ops.DenseWeightGradient:
		return m.addGradientEpilogue(o)
	}
	return false, nil
}

// addPlannedConvolution has cuDNN's graph API compute a convolution with its bias, and with the
// ReLU behind it, and reports whether it does. Where it does not, the legacy calls do, and why is
// noted.
func (m *Machine) addPlannedConvolution(o operation) (bool, error) {
	relu := m.fusion.rectifierBehind(o.node)
	if !hasBias(o.node) || m.fusion.hidden[o.node] && relu == nil {
		return false, nil
	}
	if !m.gpu.plans {
		m.unplanned[o.node] = PlansVariable + " is 0"
		return false, nil
	}
	if m.inBF16() {
		m.unplanned[o.node] = "the graph API is not asked for engines in bf16"
		return false, nil
	}
	even, err := m.evenly(o, o.nodes[0])
	if err != nil {
		return false, err
	}
	plan, err := newConvolutionPlan(planTarget{handle: dnnHandle(m.gpu.dnn)}, fusedConvolution{
		x: even.shape, w: o.nodes[1].Shape(), y: o.node.Shape(), window: even.Window,
		dilationHeight: o.DilationHeight, dilationWidth: o.DilationWidth, rectifier: relu != nil,
		products: m.options.Products,
	})
	if err != nil {
		m.unplanned[o.node] = err.Error()
		return false, nil
	}
	written := o.node
	if relu != nil {
		written = relu
	}
	b := boundPlan{convolutionPlan: plan, inputs: even.inputs}
	m.plans = append(m.plans, &b)
	if b.output, err = m.output(written); err != nil {
		return false, err
	}
	m.planned[written] = true
	m.launches = append(m.launches, launch{
		name: "cudnnBackendExecute", how: fmt.Sprintf("cuDNN's engine %d", plan.engine),
		run: func(*lane) error { return plan.run() }, fixed: true, workspace: plan.workspace,
	})
	return true, nil
}

// bindPlans tells the plans where their tensors are, when all memory is there.
func (m *Machine) bindPlans() error {
	for _, b := range m.plans {
		if err := b.bind(b.inputs[0], b.inputs[1], b.inputs[2], b.output, m.workspaceIn(&m.gpu.lane)); err != nil {
			return err
		}
	}
	return nil
}
