package bisect

import (
	"fmt"
	"math"
	"slices"

	"slipway/infer"
	"slipway/onnx/onnxpb"
)

// judgement is the work of Run: the aligned graphs with the values of both sides.
type judgement struct {
	a, b  *graph
	pairs []pair
	// partner has the node of B for one of A, matchedB the other way round, nodeOf the
	// finding's node of a node of A.
	partner, matchedB map[int]int
	nodeOf            map[int]*Node
	valuesA, valuesB  *values
	tolerance         float64
	fedEqually        bool
	finding           *Finding
}

func (j *judgement) note(format string, arguments ...any) {
	j.finding.Notes = append(j.finding.Notes, fmt.Sprintf(format, arguments...))
}

// A use is a value where it is used, on both sides: an input of a matched pair, or
// the graph's output.
type use struct{ a, b string }

// corresponds reports whether both are the same output of nodes that match.
func (j *judgement) corresponds(u use) bool {
	fromA, madeA := j.a.maker[u.a]
	fromB, madeB := j.b.maker[u.b]
	partner, matched := j.partner[fromA.node]
	return madeA && madeB && matched && fromB == (place{partner, fromA.output})
}

// uses are the inputs of a pair that are not constant on both sides, by their place.
func (j *judgement) uses(p pair) map[int]use {
	inputsA, inputsB := j.a.nodes[p.a].GetInput(), j.b.nodes[p.b].GetInput()
	found := make(map[int]use)
	for i := range max(len(inputsA), len(inputsB)) {
		u := use{at(inputsA, i), at(inputsB, i)}
		if u.a == "" && u.b == "" {
			continue
		}
		constantA := u.a == "" || j.a.constant(u.a) != nil
		constantB := u.b == "" || j.b.constant(u.b) != nil
		if !constantA || !constantB {
			found[i] = u
		}
	}
	return found
}

func at(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return ""
}

// wanted lists the values to trace on both sides.
func (j *judgement) wanted(outputA, outputB string) (namesA, namesB []string) {
	setA, setB := make(map[string]bool), make(map[string]bool)
	for _, p := range j.pairs {
		for i, name := range j.a.nodes[p.a].GetOutput() {
			if other := at(j.b.nodes[p.b].GetOutput(), i); name != "" && other != "" {
				setA[name], setB[other] = true, true
			}
		}
		for _, u := range j.uses(p) {
			j.wantUse(u, setA, setB)
		}
	}
	j.wantUse(use{outputA, outputB}, setA, setB)
	return j.a.made(setA), j.b.made(setB)
}

// wantUse adds the values of a use that does not correspond, and of the nodes in
// one graph alone that it goes back to.
func (j *judgement) wantUse(u use, setA, setB map[string]bool) {
	if j.corresponds(u) {
		return
	}
	setA[u.a], setB[u.b] = true, true
	for _, node := range j.a.alone(u.a, j.partner) {
		setA[at(j.a.nodes[node].GetOutput(), 0)] = true
	}
	for _, node := range j.b.alone(u.b, j.matchedB) {
		setB[at(j.b.nodes[node].GetOutput(), 0)] = true
	}
}

// weigh compares the values of a use.
func (j *judgement) weigh(u use) delta {
	_, madeA := j.a.maker[u.a]
	_, madeB := j.b.maker[u.b]
	fedA := !madeA && u.a != "" && j.a.constant(u.a) == nil
	fedB := !madeB && u.b != "" && j.b.constant(u.b) == nil
	switch {
	case u.a == "":
		return delta{missing: "it is in B alone"}
	case u.b == "":
		return delta{missing: "it is in A alone"}
	case fedA && fedB && j.fedEqually:
		return delta{} // in whatever layout
	case fedA && fedB:
		return delta{absolute: math.Inf(1), relative: math.Inf(1)}
	}
	return setAgainst(j.valuesA.of(u.a), j.valuesB.of(u.b))
}

// compareNodes makes the finding's nodes.
func (j *judgement) compareNodes() {
	j.finding.Nodes = make([]Node, 0, len(j.pairs))
	for _, p := range j.pairs {
		node := newNode(j.a, j.b, p)
		node.Contents = append(j.connections(p), node.Contents...)
		outputsB := j.b.nodes[p.b].GetOutput()
		for i, name := range j.a.nodes[p.a].GetOutput() {
			if other := at(outputsB, i); name != "" && other != "" {
				node.compare(name, j.valuesA.of(name), j.valuesB.of(other))
			}
		}
		if !node.Compared && node.Missing == "" {
			node.Missing = "it has no output in both graphs"
		}
		if node.Compared {
			node.Missing = ""
		}
		uses := j.uses(p)
		for _, i := range sortedKeys(uses) {
			u := uses[i]
			name := u.a
			if name == "" {
				name = u.b
			}
			node.take(fmt.Sprintf("input %d %q", i, name), j.weigh(u), j.tolerance)
		}
		if len(uses) == 0 { // it takes constants alone, which the contents compare
			node.InputsAgree, node.InputsEqual = true, true
		}
		j.finding.Nodes = append(j.finding.Nodes, node)
	}
	for i := range j.finding.Nodes {
		j.nodeOf[j.finding.Nodes[i].IndexA] = &j.finding.Nodes[i]
	}
}

// connections says as contents of a pair that its operator is another one, and
// which inputs come from another matched node.
func (j *judgement) connections(p pair) (differences []ContentDifference) {
	if exchanged(j.a, j.b, p) {
		differences = append(differences, ContentDifference{Kind: "operator", Name: "operator",
			A: operatorOf(j.a.nodes[p.a]), B: operatorOf(j.b.nodes[p.b])})
	}
	uses := j.uses(p)
	for _, i := range sortedKeys(uses) {
		u := uses[i]
		if u.a == "" || u.b == "" || !j.corresponds(u) && !j.reachesAlone(u) && !j.bothFed(u) {
			differences = append(differences,
				ContentDifference{Kind: "wiring", Name: fmt.Sprintf("input %d", i),
					A: source(j.a, u.a), B: source(j.b, u.b)})
		}
	}
	return differences
}

func (j *judgement) bothFed(u use) bool {
	_, madeA := j.a.maker[u.a]
	_, madeB := j.b.maker[u.b]
	return !madeA && !madeB
}

// reachesAlone reports whether a value of the use is made by a node in one graph alone.
func (j *judgement) reachesAlone(u use) bool {
	return len(j.a.alone(u.a, j.partner)) > 0 || len(j.b.alone(u.b, j.matchedB)) > 0
}

// judge finds the first node beyond the tolerance and the one at fault.
func (j *judgement) judge(outputA, outputB string, oneRuntime bool) {
	f := j.finding
	end := use{outputA, outputB}
	if f.First = j.first(end, j.alive(end)); f.First == nil {
		f.First = j.first(end, nil)
	}
	if f.First == nil {
		j.note("no node's output differs by more than the tolerance when the graph runs node by node: " +
			"the difference comes of how the runtime merges nodes, or of what could not be compared")
		if hidden := j.notCompared(nil); hidden > 0 {
			j.note("%d of %d nodes could not be compared", hidden, len(f.Nodes))
		}
		return
	}
	if hidden := j.notCompared(f.First); hidden > 0 {
		j.note("%d nodes before it could not be compared: it may be one of them", hidden)
	}
	f.Culprit = f.First
	if !oneRuntime {
		j.passRoundedSteps()
		return
	}
	if len(f.First.Contents) > 0 || f.First.IndexA < 0 || f.First.IndexB < 0 {
		return
	}
	for i := range f.Nodes {
		node := &f.Nodes[i]
		if node == f.First {
			return
		}
		if node.MaxAbsDiff > 0 && len(node.Contents) > 0 && j.a.dependsOn(f.First.IndexA, node.IndexA) {
			f.Culprit = node
			j.note("the node differs by less than the tolerance, the nodes after it enlarge that")
			return
		}
	}
}

// first is the first node in order whose output differs by more than the tolerance,
// of those that count: all where counts is nil. Before a pair that takes a value
// of a node in one graph alone comes that node.
func (j *judgement) first(end use, counts map[*Node]bool) *Node {
	for _, p := range j.pairs {
		node := j.nodeOf[p.a]
		if !node.differs(j.tolerance) || counts != nil && !counts[node] {
			continue
		}
		uses := j.uses(p)
		for _, i := range sortedKeys(uses) {
			if lonely := j.lonely(uses[i]); lonely != nil {
				return lonely
			}
		}
		return node
	}
	return j.lonely(end)
}

// alive are the pairs whose difference goes on through differing values to the
// graph's output: two forms of one computation may differ inside and meet again.
func (j *judgement) alive(end use) map[*Node]bool {
	found := make(map[*Node]bool)
	mark := func(u use) {
		if d := j.weigh(u); d.missing == "" && d.relative <= j.tolerance {
			return
		}
		for _, node := range j.a.matchedBefore(u.a, j.partner) {
			found[j.nodeOf[node]] = true
		}
		for _, node := range j.b.matchedBefore(u.b, j.matchedB) {
			found[j.nodeOf[j.matchedB[node]]] = true
		}
	}
	mark(end)
	for _, p := range slices.Backward(j.pairs) {
		node := j.nodeOf[p.a]
		if found[node] && (node.differs(j.tolerance) || !node.Compared) {
			for _, u := range j.uses(p) {
				mark(u)
			}
		}
	}
	return found
}

// lonely is the node in one graph alone that makes the values of a use differ, nil
// where they do not, or where no such node makes them.
func (j *judgement) lonely(u use) *Node {
	d := j.weigh(u)
	if j.corresponds(u) || d.missing != "" || d.relative <= j.tolerance {
		return nil
	}
	if chain := j.b.alone(u.b, j.matchedB); len(chain) > 0 {
		i, against := j.blamed(j.b, chain, j.valuesB, j.valuesA.of(u.a))
		node := j.aloneNode(j.b, i, j.matchedB, against)
		node.IndexB, node.Against = i, u.a
		node.ShapeA, node.ShapeB = j.valuesA.of(u.a).Shape, j.valuesB.of(node.Output).Shape
		node.Contents = []ContentDifference{{Kind: "inserted", Name: "node", A: absent, B: node.Operator}}
		return node
	}
	if chain := j.a.alone(u.a, j.partner); len(chain) > 0 {
		i, against := j.blamed(j.a, chain, j.valuesA, j.valuesB.of(u.b))
		// A's node is the first of the two here, as in all comparisons.
		against.valueA, against.valueB = against.valueB, against.valueA
		node := j.aloneNode(j.a, i, j.partner, against)
		node.IndexA, node.Against = i, u.b
		node.ShapeA, node.ShapeB = j.valuesA.of(node.Output).Shape, j.valuesB.of(u.b).Shape
		node.Contents = []ContentDifference{{Kind: "removed", Name: "node", A: node.Operator, B: absent}}
		return node
	}
	return nil
}

// blamed chooses, of nodes in one graph alone, the first whose output is as large as
// the other graph's value at their place and differs from it; or else the last.
func (j *judgement) blamed(g *graph, chain []int, own *values, other infer.Tensor) (int, delta) {
	for _, i := range chain {
		output := own.of(at(g.nodes[i].GetOutput(), 0))
		if output.Missing == nil && other.Missing == nil && len(output.Values) == len(other.Values) {
			if d := setAgainst(other, output); d.relative > j.tolerance {
				return i, d
			}
		}
	}
	last := chain[len(chain)-1]
	return last, setAgainst(other, own.of(at(g.nodes[last].GetOutput(), 0)))
}

// aloneNode describes a node in one graph alone, set against the other's value.
func (j *judgement) aloneNode(g *graph, i int, matched map[int]int, d delta) *Node {
	node := &Node{
		IndexA: -1, IndexB: -1, Name: g.nodes[i].GetName(), Operator: operatorOf(g.nodes[i]),
		Output:   at(g.nodes[i].GetOutput(), 0),
		Compared: d.missing == "", Missing: d.missing, MaxAbsDiff: d.absolute, MaxRelDiff: d.relative,
		Index: d.index, ValueA: d.valueA, ValueB: d.valueB,
	}
	for k, name := range g.nodes[i].GetInput() {
		if name == "" || g.constant(name) != nil {
			continue
		}
		from, made := g.maker[name]
		other, isMatched := matched[from.node]
		text := fmt.Sprintf("input %d %q", k, name)
		switch {
		case !made && j.fedEqually:
			node.take(text, delta{}, j.tolerance)
		case !made:
			node.take(text, delta{absolute: math.Inf(1), relative: math.Inf(1)}, j.tolerance)
		case !isMatched:
			node.take(text, delta{missing: "what makes it is in one graph alone, too"}, j.tolerance)
		case g == j.a:
			node.take(text, j.weigh(use{name, at(j.b.nodes[other].GetOutput(), from.output)}), j.tolerance)
		default:
			node.take(text, j.weigh(use{at(j.a.nodes[other].GetOutput(), from.output), name}), j.tolerance)
		}
	}
	return node
}

// notCompared counts the nodes whose outputs could not be compared and that come
// before one, which is nil for the end.
func (j *judgement) notCompared(last *Node) int {
	count := 0
	for i := range j.finding.Nodes {
		node := &j.finding.Nodes[i]
		switch {
		case node == last:
			return count
		case node.Compared:
		case last == nil, last.IndexA >= 0 && j.a.dependsOn(last.IndexA, node.IndexA),
			last.IndexA < 0 && j.b.dependsOn(last.IndexB, node.IndexB):
			count++
		}
	}
	return count
}

// passRoundedSteps says of a first node that rounds to integers that one step is
// what rounding makes of equal values, and looks behind it for a node that differs
// in itself.
func (j *judgement) passRoundedSteps() {
	f := j.finding
	if !j.oneStep(f.First) || len(f.First.Contents) > 0 {
		return
	}
	j.note("%s %q gives integers, which differ by one step: values that rounding moves over a step's edge",
		f.First.Operator, f.First.Name)
	for i := range f.Nodes {
		node := &f.Nodes[i]
		if node.differs(j.tolerance) && len(node.Contents) > 0 && !j.oneStep(node) {
			f.Culprit = node
			j.note("the nodes between it and %q differ in nothing but their values", node.Name)
			return
		}
	}
}

// oneStep reports whether a pair's outputs are integers of 8 or 16 bits and differ by one at most.
func (j *judgement) oneStep(n *Node) bool {
	if n.IndexA < 0 || n.IndexB < 0 || n.MaxAbsDiff != 1 {
		return false
	}
	switch j.a.typeOf(n.Output) {
	case onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8, onnxpb.TensorProto_INT16,
		onnxpb.TensorProto_UINT16:
		return true
	}
	return false
}
