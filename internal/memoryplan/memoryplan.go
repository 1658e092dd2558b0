// Package memoryplan places values that are needed for a time each in memory that they share.
package memoryplan

import (
	"cmp"
	"slices"
)

// Life is how long a value is needed: from the moment that it is written to the last that it is
// read, both included.
type Life struct {
	Elements   int
	Begin, End int
	// Offset is where Place puts it, in elements.
	Offset int
}

// lineElements is what offsets are multiples of: a cache line of float32.
const lineElements = 16

func (l *Life) size() int { return (l.Elements + lineElements - 1) / lineElements * lineElements }

// Place gives each life an offset, such that none overlaps another in both time and memory, and
// returns the number of elements of all.
//
// The places are found as by Pisarchyk and Lee (Efficient Memory Management for Deep Neural Net
// Inference, 2020, greedy by size): the largest first, each in the smallest gap that is free for
// as long as it lives.
func Place(all []*Life) (elements int) {
	bySize := slices.Clone(all)
	slices.SortStableFunc(bySize, func(a, b *Life) int { return cmp.Compare(b.Elements, a.Elements) })
	var placed []*Life // by offset
	for _, l := range bySize {
		best, bestGap, end := -1, 0, 0
		for _, other := range placed {
			if other.End < l.Begin || l.End < other.Begin {
				continue
			}
			if gap := other.Offset - end; gap >= l.size() && (best < 0 || gap < bestGap) {
				best, bestGap = end, gap
			}
			end = max(end, other.Offset+other.size())
		}
		if best < 0 {
			best = end
		}
		l.Offset = best
		elements = max(elements, best+l.size())
		at, _ := slices.BinarySearchFunc(placed, l, func(a, b *Life) int {
			return cmp.Compare(a.Offset, b.Offset)
		})
		placed = slices.Insert(placed, at, l)
	}
	return elements
}
