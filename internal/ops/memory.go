package ops

import (
	"cmp"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
)

// PlanMemory lets the operators of a graph share memory: what an operator writes may lie where
// something lay that nobody reads any more. It counts real memory, so that a view keeps what it looks at, in
// the order in which the TapeMachine runs the nodes. The values of the nodes in keep stay until
// the next run. Call it before the graph's
// first run, once no operator will be added.
//
// The places are found as by Pisarchyk and Lee (Efficient Memory Management for Deep Neural Net
// Inference, 2020, greedy by size): the largest first, each in the smallest gap that is free for
// as long as it lives.
func PlanMemory(g *gorgonia.ExprGraph, keep gorgonia.Nodes) (*Memory, error) {
	order, err := gorgonia.Sort(g)
	if err != nil {
		return nil, fmt.Errorf("plan memory: %w", err)
	}
	slices.Reverse(order) // it sorts what is computed first to the end
	last := len(order)
	lives := make(map[*buffer]*life)
	roots := make(map[*gorgonia.Node]*buffer)
	var all []*life
	for at, node := range order {
		op, ours := node.Op().(*operator)
		for _, child := range operands(node) {
			if l := lives[roots[child]]; l != nil {
				l.end = at
			}
		}
		if !ours {
			continue
		}
		switch {
		case op.inside >= 0:
			roots[node] = roots[operands(node)[op.inside]]
		case op.result != nil:
			roots[node] = op.result
		}
		for _, b := range append([]*buffer{op.result}, op.others...) {
			if b != nil && lives[b] == nil && b.values == nil {
				lives[b] = &life{buffer: b, begin: at, end: at}
				all = append(all, lives[b])
			}
		}
	}
	for _, node := range keep {
		if l := lives[roots[node]]; l != nil {
			l.end = last
		}
	}
	elements := place(all)
	arena := make([]float32, elements)
	for _, l := range all {
		n := l.buffer.elements()
		l.buffer.place(arena[l.offset : l.offset+n : l.offset+n])
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

// operands are a node's inputs, in order.
func operands(node *gorgonia.Node) gorgonia.Nodes {
	var all gorgonia.Nodes
	for it := node.Graph().From(node.ID()); it != nil && it.Next(); {
		all = append(all, it.Node().(*gorgonia.Node))
	}
	return all
}

// life is how long a buffer is needed: from the node that writes it to the last that reads it,
// by place in the order of execution.
type life struct {
	buffer     *buffer
	begin, end int
	offset     int // in elements
}

// lineElements is what buffers' places are multiples of: a cache line.
const lineElements = 16

// place gives each life an offset, such that none overlaps another in both time and memory, and
// returns the number of elements of all.
func place(all []*life) (elements int) {
	bySize := slices.Clone(all)
	slices.SortStableFunc(bySize, func(a, b *life) int { return cmp.Compare(b.buffer.elements(), a.buffer.elements()) })
	size := func(l *life) int { return (l.buffer.elements() + lineElements - 1) / lineElements * lineElements }
	var placed []*life // by offset
	for _, l := range bySize {
		best, bestGap, end := -1, 0, 0
		for _, other := range placed {
			if other.end < l.begin || l.end < other.begin {
				continue
			}
			if gap := other.offset - end; gap >= size(l) && (best < 0 || gap < bestGap) {
				best, bestGap = end, gap
			}
			end = max(end, other.offset+size(other))
		}
		if best < 0 {
			best = end
		}
		l.offset = best
		elements = max(elements, best+size(l))
		at, _ := slices.BinarySearchFunc(placed, l, func(a, b *life) int { return cmp.Compare(a.offset, b.offset) })
		placed = slices.Insert(placed, at, l)
	}
	return elements
}
