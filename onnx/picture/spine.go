package picture

import "slices"

// The spine is what every longest way through the graph passes: its boxes stand in one column, so
// that a chain with branches, such as a residual network, does not drift aside. What leads around
// stands beside it, and lines over several layers, and boxes of a branch, stand upright.

// findSpine marks the places that are alone in their layer in lying on a longest way.
func (l *layout) findSpine() {
	height := make([]int, len(l.places)) // layers of the longest way down
	for i := len(l.layers) - 1; i >= 0; i-- {
		for _, p := range l.layers[i] {
			for _, below := range l.places[p].below {
				if l.places[below].box >= 0 {
					height[p] = max(height[p], height[below]+1)
				}
			}
		}
	}
	for i, layer := range l.layers {
		var longest []int
		for _, p := range layer {
			if l.places[p].box >= 0 && i+height[p] == len(l.layers)-1 && l.fromTop(p) {
				longest = append(longest, p)
			}
		}
		if len(longest) == 1 {
			l.places[longest[0]].spine = true
		}
	}
}

// fromTop reports whether a way from box to box leads from the first layer to the place: a vertex
// that nothing leads to stands lower.
func (l *layout) fromTop(p int) bool {
	isBox := func(above int) bool { return l.places[above].box >= 0 }
	return l.places[p].layer == 0 || slices.ContainsFunc(l.places[p].above, isBox)
}

// spineOf returns where in a layer the spine is, -1 if it has none.
func (l *layout) spineOf(layer []int) int {
	return slices.IndexFunc(layer, func(p int) bool { return l.places[p].spine })
}

// room is how far apart the middles of two neighbours are at least.
func (l *layout) room(a, b int) float64 { return (l.places[a].width+l.places[b].width)/2 + gapX }

// spreadAround spreads a layer, each side of its spine for itself. To bound a monotone regression
// is to cut off what it gives.
func (l *layout) spreadAround(layer []int, x []float64, neighbours func(place) []int) {
	at := l.spineOf(layer)
	if at < 0 {
		l.spread(layer, x, neighbours)
		return
	}
	l.spread(layer[:at], x, neighbours)
	l.spread(layer[at+1:], x, neighbours)
	x[layer[at]] = 0
	l.pushRight(layer[at:], x)
	l.pushLeft(layer[:at+1], x)
}

// pushRight moves places to the right as far as those to the left of them need.
func (l *layout) pushRight(layer []int, x []float64) {
	for i := 1; i < len(layer); i++ {
		x[layer[i]] = max(x[layer[i]], x[layer[i-1]]+l.room(layer[i-1], layer[i]))
	}
}

func (l *layout) pushLeft(layer []int, x []float64) {
	for i := len(layer) - 2; i >= 0; i-- {
		x[layer[i]] = min(x[layer[i]], x[layer[i+1]]-l.room(layer[i], layer[i+1]))
	}
}

// straighten stands each branch upright, as far from the spine as the farthest of its places is.
func (l *layout) straighten(x []float64) {
	right, left := l.branches()
	for range sweeps {
		moved := false
		align := func(branch []int, farthest func(...float64) float64) {
			to := x[branch[0]]
			for _, p := range branch {
				to = farthest(to, x[p])
			}
			for _, p := range branch {
				moved = moved || x[p] != to
				x[p] = to
			}
		}
		for _, branch := range right {
			align(branch, func(v ...float64) float64 { return slices.Max(v) })
		}
		for _, branch := range left {
			align(branch, func(v ...float64) float64 { return slices.Min(v) })
		}
		for _, layer := range l.layers {
			if at := l.spineOf(layer); at >= 0 {
				l.pushRight(layer[at:], x)
				l.pushLeft(layer[:at+1], x)
			}
		}
		if !moved {
			return
		}
	}
}

// branches are the chains of places beside the spine, to the right of it and to the left. A chain
// that changes sides, or has a place where there is no spine, is none of them.
func (l *layout) branches() (right, left [][]int) {
	const none, onRight, onLeft = 0, 1, 2
	side := make([]int, len(l.places))
	for _, layer := range l.layers {
		if at := l.spineOf(layer); at >= 0 {
			for i, p := range layer {
				switch {
				case i > at:
					side[p] = onRight
				case i < at:
					side[p] = onLeft
				}
			}
		}
	}
	next := func(p int) int {
		below := l.places[p].below
		if len(below) != 1 || len(l.places[below[0]].above) != 1 || side[below[0]] != side[p] {
			return -1
		}
		return below[0]
	}
	begun := make([]bool, len(l.places))
	for _, layer := range l.layers {
		for _, p := range layer {
			if begun[p] || side[p] == none {
				continue
			}
			var branch []int
			for at := p; at >= 0 && !begun[at]; at = next(at) {
				begun[at] = true
				branch = append(branch, at)
			}
			if side[p] == onRight {
				right = append(right, branch)
			} else {
				left = append(left, branch)
			}
		}
	}
	return right, left
}
