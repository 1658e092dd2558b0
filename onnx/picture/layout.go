package picture

import (
	"cmp"
	"fmt"
	"slices"
)

// place is a vertex, or a point that a line over several layers passes.
type place struct {
	box           int // -1 for a point of a line
	layer         int
	width, height float64
	x, y          float64 // of the middle
	above, below  []int   // places in the layers next to this one
	spine         bool    // whether it stands in the column
}

// route is an edge with the places that it passes, its ends among them.
type route struct {
	edge
	through []int
}

type layout struct {
	*graph
	places        []place
	layers        [][]int // places, from left to right
	routes        []route
	width, height float64
}

const (
	gapX, gapY = 28, 44 // between the boxes of a layer; between layers
	margin     = 24
	sweeps     = 8
)

func (g *graph) layout() (*layout, error) {
	l := &layout{graph: g}
	layers := g.assignLayers()
	for i, b := range g.boxes {
		l.add(place{box: i, layer: layers[i], width: b.width, height: b.height})
	}
	for _, e := range g.edges {
		if layers[e.to] <= layers[e.from] {
			continue // only in a model that Check refuses
		}
		r := route{edge: e, through: []int{e.from}}
		for layer := layers[e.from] + 1; layer < layers[e.to]; layer++ {
			if len(l.places) > maxPlaces {
				return nil, fmt.Errorf(
					"the graph's lines are too long and too many to be drawn (%d nodes, %d edges)", len(g.boxes),
					len(g.edges))
			}
			r.through = append(r.through, l.add(place{box: -1, layer: layer, width: 8}))
		}
		r.through = append(r.through, e.to)
		for i, at := range r.through[1:] {
			before := r.through[i]
			l.places[before].below = append(l.places[before].below, at)
			l.places[at].above = append(l.places[at].above, before)
		}
		l.routes = append(l.routes, r)
	}
	l.findSpine()
	l.order()
	l.positionY()
	l.positionX()
	return l, nil
}

func (l *layout) add(p place) int {
	for len(l.layers) <= p.layer {
		l.layers = append(l.layers, nil)
	}
	l.layers[p.layer] = append(l.layers[p.layer], len(l.places))
	l.places = append(l.places, p)
	return len(l.places) - 1
}

// assignLayers gives each vertex the length of the longest way to it. A vertex
// that nothing leads to stands just above the first that it leads to.
func (g *graph) assignLayers() []int {
	layers := make([]int, len(g.boxes))
	fed := make([]bool, len(g.boxes))
	incoming := make([][]int, len(g.boxes))
	for _, e := range g.edges {
		if e.from < e.to {
			incoming[e.to] = append(incoming[e.to], e.from)
			fed[e.to] = true
		}
	}
	for to := range g.boxes {
		for _, from := range incoming[to] {
			layers[to] = max(layers[to], layers[from]+1)
		}
	}
	for i := range g.boxes {
		if fed[i] {
			continue
		}
		first := -1
		for _, e := range g.edges {
			if e.from == i && (first < 0 || layers[e.to] < first) {
				first = layers[e.to]
			}
		}
		layers[i] = max(0, first-1)
	}
	return layers
}

// order sorts each layer by the mean place of the neighbours above, then below,
// several times: a heuristic for few crossings.
func (l *layout) order() {
	at := make([]float64, len(l.places))
	number := func(layer []int) {
		for i, p := range layer {
			at[p] = float64(i)
		}
	}
	for _, layer := range l.layers {
		number(layer)
	}
	sortBy := func(layer []int, neighbours func(place) []int) {
		key := make(map[int]float64, len(layer))
		for _, p := range layer {
			key[p] = at[p]
			if others := neighbours(l.places[p]); len(others) > 0 {
				key[p] = mean(others, at)
			}
		}
		slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(key[a], key[b]) })
		number(layer)
	}
	for range sweeps {
		for _, layer := range l.layers {
			sortBy(layer, func(p place) []int { return p.above })
		}
		for i := len(l.layers) - 1; i >= 0; i-- {
			sortBy(l.layers[i], func(p place) []int { return p.below })
		}
	}
}

func mean(of []int, values []float64) float64 {
	sum := 0.0
	for _, i := range of {
		sum += values[i]
	}
	return sum / float64(len(of))
}

func (l *layout) positionY() {
	y := float64(margin)
	for _, layer := range l.layers {
		height := 0.0
		for _, p := range layer {
			height = max(height, l.places[p].height)
		}
		for _, p := range layer {
			l.places[p].y = y + height/2
			if l.places[p].box < 0 {
				l.places[p].height = height // a line passes the whole layer upright
			}
		}
		y += height + gapY
	}
	l.height = y - gapY + margin
}

// positionX moves each place towards its neighbours, downwards and upwards in
// turn, as far as the boxes beside it let it. The spine stays where it is.
func (l *layout) positionX() {
	x := make([]float64, len(l.places))
	for range sweeps {
		for _, layer := range l.layers {
			l.spreadAround(layer, x, func(p place) []int { return p.above })
		}
		for i := len(l.layers) - 1; i >= 0; i-- {
			l.spreadAround(l.layers[i], x, func(p place) []int { return p.below })
		}
	}
	l.straighten(x)
	left, right := 0.0, 0.0
	for i, p := range l.places {
		left, right = min(left, x[i]-p.width/2), max(right, x[i]+p.width/2)
	}
	for i := range l.places {
		l.places[i].x = x[i] - left + margin
	}
	l.width = right - left + 2*margin
}

// spread gives the places of a layer, in their order and with gaps, the x that
// are nearest in squares to the means of their neighbours: isotonic regression by
// pooling adjacent violators (Ayer et al., Annals of Mathematical Statistics
// 26(4), 1955), of x less the room that those to the left take.
func (l *layout) spread(layer []int, x []float64, neighbours func(place) []int) {
	type pool struct{ sum, count float64 }
	var pools []pool
	room := make([]float64, len(layer))
	for i, p := range layer {
		if i > 0 {
			room[i] = room[i-1] + (l.places[layer[i-1]].width+l.places[p].width)/2 + gapX
		}
		wanted := x[p]
		if others := neighbours(l.places[p]); len(others) > 0 {
			wanted = mean(others, x)
		}
		pools = append(pools, pool{wanted - room[i], 1})
		for n := len(pools); n > 1 &&
			pools[n-2].sum*pools[n-1].count > pools[n-1].sum*pools[n-2].count; n = len(pools) {
			pools[n-2] = pool{pools[n-2].sum + pools[n-1].sum, pools[n-2].count + pools[n-1].count}
			pools = pools[:n-1]
		}
	}
	i := 0
	for _, p := range pools {
		for range int(p.count) {
			x[layer[i]] = p.sum/p.count + room[i]
			i++
		}
	}
}
