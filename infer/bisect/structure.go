package bisect

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
)

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
// of the same operator, and among those as many as possible hold the same constants
// and have the same name. What is left between two such pairs is matched where a
// node was exchanged for one of another operator.
func align(a, b *graph) (pairs []pair, differences []StructureDifference) {
	if len(a.nodes) > maxAligned || len(b.nodes) > maxAligned {
		for i := range min(len(a.nodes), len(b.nodes)) {
			pairs = append(pairs, pair{i, i})
		}
	} else {
		pairs = exchangedBetween(a, b, sameOperators(a, b))
	}
	nextA, nextB := 0, 0
	gap := func(endA, endB int) {
		for ; nextA < endA; nextA++ {
			differences = append(differences,
				StructureDifference{"removed", nextA, -1, describe(a, nextA) + " is in A alone"})
		}
		for ; nextB < endB; nextB++ {
			differences = append(differences, StructureDifference{"inserted", -1, nextB,
				describe(b, nextB) + " is in B alone"})
		}
	}
	for _, p := range pairs {
		gap(p.a, p.b)
		if exchanged(a, b, p) {
			differences = append(differences, StructureDifference{"operator", p.a, p.b,
				fmt.Sprintf("%s is in A where %s is in B", describe(a, p.a), describe(b, p.b))})
		}
		nextA, nextB = p.a+1, p.b+1
	}
	gap(len(a.nodes), len(b.nodes))
	return pairs, append(differences, wiring(a, b, pairs)...)
}

// exchanged reports whether the nodes of a pair are of different operators.
func exchanged(a, b *graph, p pair) bool {
	return operatorOf(a.nodes[p.a]) != operatorOf(b.nodes[p.b])
}

// sameOperators pairs nodes of one operator. Another pair counts more than all that
// two have in common beside it, so that equal names do not cost a match.
func sameOperators(a, b *graph) []pair {
	constantsA, constantsB := constantSums(a), constantSums(b)
	return longestCommon(len(a.nodes), len(b.nodes), func(i, j int) int32 {
		if operatorOf(a.nodes[i]) != operatorOf(b.nodes[j]) {
			return 0
		}
		score := int32(8)
		if a.nodes[i].GetName() == b.nodes[j].GetName() {
			score++
		}
		if constantsA[i] != "" && constantsA[i] == constantsB[j] {
			score += 2
		}
		return score
	})
}

// constantSums has for each node a hash of the constants among its inputs, "" where
// there is none.
func constantSums(g *graph) []string {
	sums := make([]string, len(g.nodes))
	for i, node := range g.nodes {
		hash := sha256.New()
		found := false
		for position, input := range node.GetInput() {
			if tensor := g.constant(input); tensor != nil {
				found = true
				encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(withoutName(tensor))
				fmt.Fprintf(hash, "%d %d ", position, len(encoded))
				hash.Write(encoded)
			}
		}
		if found {
			sums[i] = string(hash.Sum(nil))
		}
	}
	return sums
}

// exchangedBetween adds to pairs of the same operator, which are in order, those
// between them that stand for each other though their operators differ: by their
// name or their output's, by what they take, or because each is the only one.
func exchangedBetween(a, b *graph, pairs []pair) []pair {
	partner := make(map[int]int, len(pairs))
	for _, p := range pairs {
		partner[p.a] = p.b
	}
	var all []pair
	last := pair{-1, -1}
	for _, next := range append(slices.Clone(pairs), pair{len(a.nodes), len(b.nodes)}) {
		firstA, firstB := last.a+1, last.b+1
		countA, countB := next.a-firstA, next.b-firstB
		if countA > 0 && countB > 0 {
			between := longestCommon(countA, countB, func(i, j int) int32 {
				return likeness(a, b, pair{firstA + i, firstB + j}, partner, countA == countB && i == j)
			})
			for _, p := range between {
				all = append(all, pair{firstA + p.a, firstB + p.b})
			}
		}
		if next.a < len(a.nodes) {
			all = append(all, next)
		}
		last = next
	}
	return all
}

// likeness says how much two nodes of different operators stand for each other, 0 for not.
func likeness(a, b *graph, p pair, partner map[int]int, samePlace bool) (score int32) {
	nodeA, nodeB := a.nodes[p.a], b.nodes[p.b]
	if operatorOf(nodeA) == "Constant" || operatorOf(nodeB) == "Constant" {
		return 0
	}
	if name := nodeA.GetName(); name != "" && name == nodeB.GetName() {
		score += 4
	}
	if output := at(nodeA.GetOutput(), 0); output != "" && output == at(nodeB.GetOutput(), 0) {
		score += 4
	}
	fromA, madeA := a.maker[at(nodeA.GetInput(), 0)]
	fromB, madeB := b.maker[at(nodeB.GetInput(), 0)]
	match, matched := partner[fromA.node]
	if madeA && madeB && matched && fromB == (place{match, fromA.output}) || !madeA && !madeB {
		score += 2
	}
	if samePlace {
		score++
	}
	return score
}

// longestCommon is the common subsequence of n and m nodes of the largest score, by dynamic
// programming; a score of 0 is no match.
func longestCommon(n, m int, score func(i, j int) int32) []pair {
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
		if len(inputsA) != len(inputsB) && exchanged(a, b, p) {
			continue // said already, and other operators take other inputs
		}
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
			case !madeA && !madeB && (inputsA[i] == "") == (inputsB[i] == "") &&
				(a.constant(inputsA[i]) == nil) == (b.constant(inputsB[i]) == nil):
				continue
			case madeA != madeB && a.constant(inputsA[i]) != nil && b.constant(inputsB[i]) != nil:
				continue // a Constant node here, an initializer there
			case madeA != madeB && (madeA && !matched || madeB && !matchedB[fromB.node]):
				continue
			}
			differences = append(differences, StructureDifference{"wiring", p.a, p.b,
				fmt.Sprintf("%s takes its input %d from %s in A and from %s in B", describe(a, p.a), i,
					source(a, inputsA[i]), source(b, inputsB[i]))})
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
