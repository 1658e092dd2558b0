//go:build gpu && linux && amd64

package cuda

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// In the backward pass the gradients of a layer's parameters are needed by nothing that comes
// before the end of the pass, while the gradient of its input is what all layers before it wait
// for. So the launches that make those alone go to the second stream, as soon as what they read is
// there.
//
// What is left when no gradient goes on any more, such as the gradients of the first layer's
// weights, stays in the stream of the steps: there is nothing to be beside, but for the gradients
// that are in the second stream still.

// compiled notes of the launches from a place on, which a node appended, whose they are, and of
// what these have written that it is there.
func (m *Machine) compiled(node *gorgonia.Node, before int) {
	name, reads := nodeName(node), readsGradients(node)
	for i := before; i < len(m.launches); i++ {
		m.launches[i].of, m.launches[i].reads = name, reads
	}
	if isParametersAlone(kindOf(node)) {
		behind := 0
		for _, operand := range ops.Operands(node) {
			behind = max(behind, m.thereAt(operand))
		}
		m.forParameters(before, min(behind, before))
	}
	for _, written := range m.written {
		m.there[written] = len(m.launches)
	}
	m.written = m.written[:0]
}

// thereAt is the number of launches behind which a node's value is there.
func (m *Machine) thereAt(node *gorgonia.Node) int {
	for {
		if at, ok := m.there[node]; ok {
			return at
		}
		if node.Op() == nil {
			return 0
		}
		if kindOf(node) != ops.View {
			return len(m.launches)
		}
		node = ops.Operands(node)[0]
	}
}

// isParametersAlone reports whether all that is launched for a node of that kind makes gradients of
// parameters.
func isParametersAlone(kind ops.Kind) bool {
	switch kind {
	case ops.Conv2DWeightGradient, ops.Conv2DBiasGradient, ops.DenseWeightGradient,
		ops.DenseBiasGradient:
		return true
	}
	return false
}

// isOfParameter reports whether a node is the gradient of a parameter.
func isOfParameter(node *gorgonia.Node) bool {
	d, _ := ops.Describe(node.Op())
	switch {
	case d.Kind == ops.HandedOn:
		return d.Of > 0 && ofParameters(kindOf(ops.Operands(node)[0]))
	case d.Kind == ops.View:
		return isOfParameter(ops.Operands(node)[0])
	}
	return isParametersAlone(d.Kind) || d.Of > 0 && ofParameters(d.Kind)
}

// readsGradients reports whether what is launched for a node reads gradients of parameters.
func readsGradients(node *gorgonia.Node) bool {
	for _, operand := range ops.Operands(node) {
		if isOfParameter(operand) {
			return true
		}
	}
	return false
}

// forParameters notes that the launches from a place on make gradients of parameters alone, of what
// is there behind so many launches. Those that can be put into one stream only leave all in that.
func (m *Machine) forParameters(from, behind int) {
	own := m.launches[from:]
	for _, l := range own {
		if l.fixed {
			return
		}
	}
	for i := range own {
		own[i].gradient, own[i].behind = true, behind
	}
}

// arrange puts the launches that make gradients of parameters beside the others: each behind the
// last one that writes what it reads. Without a second stream they stay as they are.
func (m *Machine) arrange() error {
	if m.options.OneStream {
		return nil
	}
	last := -1 // of those for which the layers before wait
	for i, l := range m.launches {
		if !l.gradient && !l.reads {
			last = i
		}
	}
	aside := make(map[int][]launch) // by the launch that they come before
	for _, l := range m.launches {
		if l.goesBeside(last) {
			l.place = beside
			aside[l.behind] = append(aside[l.behind], l)
		}
	}
	if len(aside) == 0 {
		return nil
	}
	all := make([]launch, 0, len(m.launches))
	for i, l := range m.launches {
		all = append(all, aside[i]...)
		if l.goesBeside(last) {
			continue
		}
		if !l.reads {
			l.place = past
		}
		all = append(all, l)
	}
	m.launches = all
	return m.gpu.openSecond()
}

// goesBeside reports whether a launch has something to be beside, where that is the last launch for
// which the layers before wait.
func (l launch) goesBeside(last int) bool { return l.gradient && l.behind <= last }

// appendOn appends a library's call that works in either stream.
func (m *Machine) appendOn(name string, run func(on *lane) error) {
	m.launches = append(m.launches, launch{name: name, run: run})
}

// appendConvolution appends a convolution of cuDNN's that works in either stream, with so many
// bytes of the workspace that it shares with the others there.
func (m *Machine) appendConvolution(name string, bytes int64,
	run func(on *lane, workspace *buffer) error) {
	m.launches = append(m.launches, launch{name: name, workspace: bytes,
		run: func(on *lane) error { return run(on, m.workspaceIn(on)) }})
}

// allocateWorkspaces gives cuDNN's calls of each stream memory that they share.
func (m *Machine) allocateWorkspaces() error {
	var bytes [len(m.workspaces)]int64
	for _, l := range m.launches {
		number := 0
		if l.place == beside {
			number = 1
		}
		bytes[number] = max(bytes[number], l.workspace)
	}
	for number, n := range bytes {
		if n == 0 {
			continue
		}
		b, err := m.memory.allocate("cuDNN's workspace", n)
		if err != nil {
			return err
		}
		m.workspaces[number] = *b
	}
	return nil
}

// workspaceIn is the workspace that all of cuDNN's calls in a stream share, which run one after
// another.
func (m *Machine) workspaceIn(on *lane) *buffer { return &m.workspaces[on.number] }
