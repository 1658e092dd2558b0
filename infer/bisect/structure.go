package bisect

import "fmt"

// maxAligned bounds the table of the alignment: 16 million entries for 4000 nodes
// on each side. Larger graphs are matched by position alone.
const maxAligned = 4000

// A StructureDifference is a place where the two graphs are not made of the same
// nodes in the same connections.
type StructureDifference struct {
	// Kind is "inserted" (in B alone), "removed" (in A alone), "operator" or "wiring".
	Kind string
	// NodeA and NodeB are positions in the files, -1 where there is none.
	NodeA, NodeB int
	// Text says it for a reader.
	Text string
}

// pair are the positions of two nodes that match.
type pair struct{ a, b int }

// align matches the nodes of two graphs in order, so that as many as possible are
// of the same operator, and among those as many as possible have the same name.
func align(a, b *graph) (pairs []pair, differences []StructureDifference) {
	if len(a.nodes) > maxAligned || len(b.nodes) > maxAligned {
		for i := range min(len(a.nodes), len(b.nodes)) {
			pairs = append(pairs, pair{i, i})
		}
	} else {
		pairs = longestCommon(a, b)
	}
	nextA, nextB := 0, 0
	gap := func(endA, endB int) {
		for nextA < endA && nextB < endB {
			differences = append(differences, StructureDifference{"operator", nextA, nextB,
				fmt.Sprintf("%s is in A where %s is in B", describe(a, nextA), describe(b, nextB))})
			nextA, nextB = nextA+1, nextB+1
		}
		for ; nextA < endA; nextA++ {
			differences = append(differences, StructureDifference{"removed", nextA, -1, describe(a, nextA) + " is in A alone"})
		}
		for ; nextB < endB; nextB++ {
			differences = append(differences, StructureDifference{"inserted", -1, nextB, describe(b, nextB) + " is in B alone"})
		}
	}
	for _, p := range pairs {
		gap(p.a, p.b)
		nextA, nextB = p.a+1, p.b+1
	}
	gap(len(a.nodes), len(b.nodes))
	return pairs, append(differences, wiring(a, b, pairs)...)
}

// longestCommon is the longest common subsequence by dynamic programming, a pair
// of the same operator counting 2 and one of the same name, too, 3.
func longestCommon(a, b *graph) []pair {
	score := func(i, j int) int32 {
		switch {
		case operatorOf(a.nodes[i]) != operatorOf(b.nodes[j]):
			return 0
		case a.nodes[i].GetName() == b.nodes[j].GetName():
			return 3
		}
		return 2
	}
	n, m := len(a.nodes), len(b.nodes)
	best := make([]int32, (n+1)*(m+1)) // of the nodes from i and from j on
	at := func(i, j int) int { return i*(m+1) + j }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			best[at(i, j)] = max(best[at(i+1, j)], best[at(i, j+1)])
			if s := score(i, j); s > 0 {
				best[at(i, j)] = max(best[at(i, j)], s+best[at(i+1, j+1)])
			}
		}
	}
	var pairs []pair
	for i, j := 0, 0; i < n && j < m; {
		switch s := score(i, j); {
		case s > 0 && best[at(i, j)] == s+best[at(i+1, j+1)]:
			pairs = append(pairs, pair{i, j})
			i, j = i+1, j+1
		case best[at(i, j)] == best[at(i+1, j)]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// wiring lists the matched nodes that take their inputs from nodes that do not
// match, or from other outputs of them.
func wiring(a, b *graph, pairs []pair) (differences []StructureDifference) {
	partner := make(map[int]int, len(pairs))
	matchedB := make(map[int]bool, len(pairs))
	for _, p := range pairs {
		partner[p.a], matchedB[p.b] = p.b, true
	}
	for _, p := range pairs {
		inputsA, inputsB := a.nodes[p.a].GetInput(), b.nodes[p.b].GetInput()
		if len(inputsA) != len(inputsB) {
			differences = append(differences, StructureDifference{"wiring", p.a, p.b,
				fmt.Sprintf("%s has %d inputs in A and %d in B", describe(a, p.a), len(inputsA), len(inputsB))})
			continue
		}
		for i := range inputsA {
			fromA, madeA := a.maker[inputsA[i]]
			fromB, madeB := b.maker[inputsB[i]]
			matchA, matched := partner[fromA.node]
			switch {
			case madeA && madeB && matched && (place{matchA, fromA.output}) == fromB:
				continue
			case madeA && madeB && (!matched || !matchedB[fromB.node]):
				continue // said already: one of the two is in one graph alone
			case !madeA && !madeB && (inputsA[i] == "") == (inputsB[i] == "") && (a.constant(inputsA[i]) == nil) == (b.constant(inputsB[i]) == nil):
				continue
			case madeA != madeB && a.constant(inputsA[i]) != nil && b.constant(inputsB[i]) != nil:
				continue // a Constant node here, an initializer there
			case madeA != madeB && (madeA && !matched || madeB && !matchedB[fromB.node]):
				continue
			}
			differences = append(differences, StructureDifference{"wiring", p.a, p.b,
				fmt.Sprintf("%s takes its input %d from %s in A and from %s in B", describe(a, p.a), i, source(a, inputsA[i]), source(b, inputsB[i]))})
		}
	}
	return differences
}

// source names where a value comes from.
func source(g *graph, name string) string {
	at, made := g.maker[name]
	switch {
	case name == "":
		return "nothing"
	case made:
		return describe(g, at.node)
	case g.initializers[name] != nil:
		return fmt.Sprintf("the initializer %q", name)
	}
	return fmt.Sprintf("the graph's input %q", name)
}

func describe(g *graph, node int) string {
	n := g.nodes[node]
	if n.GetName() == "" {
		return fmt.Sprintf("node %d (%s)", node, operatorOf(n))
	}
	return fmt.Sprintf("node %d (%s %q)", node, operatorOf(n), n.GetName())
}
