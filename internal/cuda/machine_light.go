//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
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
	return m.addLight(o, written, nil, lightProduct{ // yᵀ = w·xᵀ
		a: factor{transposed, o.inputs[1], in, out}, b: factor{plain, o.inputs[0], in, batch},
		rows: out, columns: batch, epilogue: behind, bias: o.inputs[2],
	})
}

// addGradientEpilogue has cuBLASLt compute the gradient of a dense layer's weights with that of
// its bias, and reports whether it does. Where it does not, each has a launch, and why is noted.
func (m *Machine) addGradientEpilogue(o operation) (bool, error) {
	bias := m.biasGradientBeside(o.nodes[0])
	if bias == nil {
		return false, nil
	}
	batch, out, in := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1], o.nodes[1].Shape()[1]
	return m.addLight(o, o.node, bias, lightProduct{ // dwᵀ = xᵀ·dy
		a: factor{plain, o.inputs[1], in, batch}, b: factor{transposed, o.inputs[0], out, batch},
		rows: in, columns: out, epilogue: summed,
	})
}

// biasGradientBeside returns the gradient of a dense layer's bias that is the sum of dy, batch×out,
// over the batch, and that no launch computes up to here: neither one of its own nor, on its way,
// that which computes dy. Where several layers have one dy, each of these gradients is the same.
func (m *Machine) biasGradientBeside(dy *gorgonia.Node) *gorgonia.Node {
	for _, reader := range m.fusion.readers[dy] {
		if _, there := m.there[reader]; kindOf(reader) == ops.DenseBiasGradient && !there {
			return reader
		}
	}
	return nil
}

// addLight has cuBLASLt compute an operator with what its epilogue computes beside, and reports
// whether it does. The product is the value of a node; sum, if it is not nil, is that which the
// epilogue writes.
func (m *Machine) addLight(o operation, written, sum *gorgonia.Node,
	p lightProduct) (bool, error) {
	if why := m.unlit(); why != nil {
		m.unplanned[o.node] = why.Error()
		return false, nil
	}
	before := len(m.written)
	var err error
	if p.d, err = m.output(written); err != nil {
		return false, err
	}
	if sum != nil {
		if p.bias, err = m.output(sum); err != nil {
			return false, err
		}
	}
	plan, why, err := m.gpu.light.newPlan(p)
	if err != nil {
		return false, err
	}
	if why != nil {
		m.unplanned[o.node] = why.Error()
		m.written = m.written[:before] // by other launches
		return false, nil
	}
	m.lights = append(m.lights, plan)
	for _, node := range m.written[before:] {
		m.planned[node] = true
	}
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
