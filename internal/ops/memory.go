package ops

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/hugepages"
	"slipway/internal/memoryplan"
)

// PlanMemory lets the operators of a graph share memory: what an operator writes may lie where
// something lay that nobody reads any more. It counts real memory, so that a view keeps what it
// looks at, in the order in which the TapeMachine runs the nodes. The values of the nodes in keep
// stay until the next run. Call it before the graph's first run, once no operator will be added.
func PlanMemory(g *gorgonia.ExprGraph, keep gorgonia.Nodes) (*Memory, error) {
	order, err := gorgonia.Sort(g)
	if err != nil {
		return nil, fmt.Errorf("plan memory: %w", err)
	}
	slices.Reverse(order) // it sorts what is computed first to the end
	last := len(order)
	lives := make(map[*buffer]*memoryplan.Life)
	roots := make(map[*gorgonia.Node]*buffer)
	var all []*memoryplan.Life
	var buffers []*buffer
	for at, node := range order {
		op, ours := node.Op().(*operator)
		for _, child := range Operands(node) {
			if l := lives[roots[child]]; l != nil {
				l.End = at
			}
		}
		if !ours {
			continue
		}
		switch {
		case op.inside >= 0:
			roots[node] = roots[Operands(node)[op.inside]]
		case op.result != nil:
			roots[node] = op.result
		}
		for _, b := range append([]*buffer{op.result}, op.others...) {
			if b != nil && lives[b] == nil && b.values == nil {
				lives[b] = &memoryplan.Life{Elements: b.elements(), Begin: at, End: at}
				all, buffers = append(all, lives[b]), append(buffers, b)
			}
		}
	}
	for _, node := range keep {
		if l := lives[roots[node]]; l != nil {
			l.End = last
		}
	}
	arena := hugepages.Floats(memoryplan.Place(all))
	for i, l := range all {
		end := l.Offset + l.Elements
		buffers[i].place(arena[l.Offset:end:end])
	}
	return &Memory{arena}, nil
}

// Memory is what a graph's operators share.
type Memory struct{ arena []float32 }

// Bytes returns its size.
func (m *Memory) Bytes() int64 { return 4 * int64(len(m.arena)) }

// Fill writes x into all of it, so that a test sees values that nothing computes.
func (m *Memory) Fill(x float32) {
	for i := range m.arena {
		m.arena[i] = x
	}
}

// Operands are a node's inputs, in order.
func Operands(node *gorgonia.Node) gorgonia.Nodes {
	var all gorgonia.Nodes
	for it := node.Graph().From(node.ID()); it != nil && it.Next(); {
		all = append(all, it.Node().(*gorgonia.Node))
	}
	return all
}
