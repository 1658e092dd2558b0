//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// addEpilogue has cuBLASLt compute a dense layer with its bias, and with the ReLU behind it, and
// reports whether it does. Where it does not, cuBLAS computes the product and a launch of its own
// what comes behind, and why is noted.
func (m *Machine) addEpilogue(o operation) (bool, error) {
	relu := m.fusion.rectifierBehind(o.node)
	if !hasBias(o.node) || m.fusion.biasOfLogits(o.node) || m.fusion.hidden[o.node] && relu == nil {
		return false, nil
	}
	batch, in, out := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1], o.nodes[1].Shape()[0]
	written, behind := o.node, biased
	if relu != nil {
		written, behind = relu, rectified
	}
	return m.addLight(o, written, lightProduct{ // yᵀ = w·xᵀ
		a: factor{transposed, o.inputs[1], in, out}, b: factor{plain, o.inputs[0], in, batch},
		rows: out, columns: batch, epilogue: behind, bias: o.inputs[2],
	})
}

// addLight has cuBLASLt compute an operator with what its epilogue computes beside, whose product
// is the value of a node, and reports whether it does.
func (m *Machine) addLight(o operation, written *gorgonia.Node, p lightProduct) (bool, error) {
	if why := m.unlit(); why != nil {
		m.unplanned[o.node] = why.Error()
		return false, nil
	}
	before := len(m.written)
	var err error
	if p.d, err = m.output(written); err != nil {
		return false, err
	}
	plan, why, err := m.gpu.light.newPlan(p)
	if err != nil {
		return false, err
	}
	if why != nil {
		m.unplanned[o.node] = why.Error()
		m.written = m.written[:before] // by another launch
		return false, nil
	}
	m.lights = append(m.lights, plan)
	m.planned[written] = true
	m.launches = append(m.launches, launch{name: "cublasLtMatmul",
		how: fmt.Sprintf("cuBLASLt's algorithm %d", plan.number), run: plan.run})
	return true, nil
}

// unlit reports why the machine has no plans of cuBLASLt's.
func (m *Machine) unlit() error {
	if m.options.Products != float32s {
		return fmt.Errorf("cuBLASLt is not asked for products in %v", m.options.Products)
	}
	return m.gpu.unlit
}

// closeLights frees the plans.
func (m *Machine) closeLights() (all []error) {
	for _, plan := range m.lights {
		all = append(all, plan.close())
	}
	m.lights = nil
	return all
}
