package onnx

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// sortNodes brings the nodes of every graph of the model, those of subgraphs and of
// functions too, into an order in which each comes after what it takes, the one
// nearest to the file's. ONNX asks for such an order, but tools that add nodes to a
// graph append them, and runtimes sort. The notes say which graphs were sorted. A
// graph with a cycle stays as it is: Check refuses it.
func sortNodes(model *onnxpb.ModelProto) (notes []string) {
	s := sorter{}
	if nodes := s.list(model.GetGraph().GetNode(), "the graph"); nodes != nil {
		model.Graph.Node = nodes
	}
	for _, function := range model.GetFunctions() {
		if nodes := s.list(function.GetNode(),
			fmt.Sprintf("the function %q", message.Shorten(function.GetName()))); nodes != nil {
			function.Node = nodes
		}
	}
	for i, training := range model.GetTrainingInfo() {
		s.graph(training.GetInitialization(), fmt.Sprintf("training_info %d, the initialization", i))
		s.graph(training.GetAlgorithm(), fmt.Sprintf("training_info %d, the algorithm", i))
	}
	return s.notes
}

type sorter struct{ notes []string }

func (s *sorter) graph(graph *onnxpb.GraphProto, place string) {
	if nodes := s.list(graph.GetNode(), place); nodes != nil {
		graph.Node = nodes
	}
}

// list returns the nodes in order, nil where they stay as they are. The subgraphs of
// the nodes are sorted in any case.
func (s *sorter) list(nodes []*onnxpb.NodeProto, place string) []*onnxpb.NodeProto {
	for i, node := range nodes {
		for _, graph := range onnxgraph.Subgraphs(node) {
			s.graph(graph, fmt.Sprintf("the subgraph %q of %s", message.Shorten(graph.GetName()),
				message.DescribeNode(i, node)))
		}
	}
	makers := makersOf(nodes)
	if isSorted(nodes, makers) {
		return nil
	}
	order := topological(nodes, makers)
	if order == nil {
		return nil
	}
	sorted := make([]*onnxpb.NodeProto, len(nodes))
	late := -1
	for to, from := range order {
		sorted[to] = nodes[from]
		if late < 0 && from != to {
			late = from
		}
	}
	s.notes = append(s.notes,
		fmt.Sprintf(
			"the nodes of %s are not in topological order, as ONNX wants them (%s stands after what takes its output); they were sorted",
			place, message.DescribeNode(late, nodes[late])))
	return sorted
}

// makersOf returns which node makes a name, the first where several do.
func makersOf(nodes []*onnxpb.NodeProto) map[string]int {
	makers := make(map[string]int)
	for i, node := range nodes {
		for _, output := range node.GetOutput() {
			if _, taken := makers[output]; output != "" && !taken {
				makers[output] = i
			}
		}
	}
	return makers
}

// taken calls visit with each name that a node takes from its own graph or from those
// around it: its inputs, and what its subgraphs use and do not make themselves.
func taken(node *onnxpb.NodeProto, visit func(name string)) {
	for _, input := range node.GetInput() {
		if input != "" {
			visit(input)
		}
	}
	for _, graph := range onnxgraph.Subgraphs(node) {
		own := make(map[string]bool)
		for _, input := range graph.GetInput() {
			own[input.GetName()] = true
		}
		for _, tensor := range graph.GetInitializer() {
			own[tensor.GetName()] = true
		}
		for _, tensor := range graph.GetSparseInitializer() {
			own[tensor.GetValues().GetName()] = true
		}
		for _, inner := range graph.GetNode() {
			for _, output := range inner.GetOutput() {
				own[output] = true
			}
		}
		outer := func(name string) {
			if !own[name] {
				visit(name)
			}
		}
		for _, inner := range graph.GetNode() {
			taken(inner, outer)
		}
		for _, output := range graph.GetOutput() {
			outer(output.GetName())
		}
	}
}

// isSorted reports whether each node comes after what it takes.
func isSorted(nodes []*onnxpb.NodeProto, makers map[string]int) bool {
	for i, node := range nodes {
		sorted := true
		taken(node, func(name string) {
			maker, made := makers[name]
			sorted = sorted && (!made || maker < i)
		})
		if !sorted {
			return false
		}
	}
	return true
}

// topological returns the nodes' indices in an order in which each comes after what
// it takes, always the one that stands first in the file among those that can come
// next (Kahn's algorithm); nil where there is a cycle.
func topological(nodes []*onnxpb.NodeProto, makers map[string]int) []int {
	waitsFor := make([]int, len(nodes))
	takers := make([][]int, len(nodes))
	for i, node := range nodes {
		taken(node, func(name string) {
			if maker, made := makers[name]; made {
				waitsFor[i]++
				takers[maker] = append(takers[maker], i)
			}
		})
	}
	ready := &indexHeap{}
	for i, count := range waitsFor {
		if count == 0 {
			heap.Push(ready, i)
		}
	}
	order := make([]int, 0, len(nodes))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		order = append(order, i)
		for _, taker := range takers[i] {
			if waitsFor[taker]--; waitsFor[taker] == 0 {
				heap.Push(ready, taker)
			}
		}
	}
	if len(order) < len(nodes) {
		return nil
	}
	return order
}

// indexHeap gives the smallest index first.
type indexHeap []int

func (h indexHeap) Len() int           { return len(h) }
func (h indexHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h indexHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indexHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *indexHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// cycleOf returns nodes that take each other's outputs in a ring, each one that the
// node before it takes from, nil where there are none that can be reached from start.
func cycleOf(nodes []*onnxpb.NodeProto, makers map[string]int, start int) []int {
	// A walk in depth without recursion: a chain may be as long as the file.
	type visit struct {
		node int
		next []int // makers that are still to be followed
	}
	makersFor := func(i int) (found []int) {
		taken(nodes[i], func(name string) {
			if maker, made := makers[name]; made {
				found = append(found, maker)
			}
		})
		return found
	}
	state := make([]visitState, len(nodes))
	state[start] = visiting
	for path := []visit{{start, makersFor(start)}}; len(path) > 0; {
		last := &path[len(path)-1]
		if len(last.next) == 0 {
			state[last.node] = visited
			path = path[:len(path)-1]
			continue
		}
		next := last.next[0]
		last.next = last.next[1:]
		switch state[next] {
		case unvisited:
			state[next] = visiting
			path = append(path, visit{next, makersFor(next)})
		case visiting:
			var ring []int
			from := slices.IndexFunc(path, func(v visit) bool { return v.node == next })
			for _, v := range path[from:] {
				ring = append(ring, v.node)
			}
			return ring
		}
	}
	return nil
}

// describeRing names the nodes of a cycle, the first few of a long one.
func describeRing(nodes []*onnxpb.NodeProto, ring []int) string {
	const most = 8
	var names []string
	for k, i := range ring {
		if k == most {
			names = append(names, fmt.Sprintf("and %d more", len(ring)-most))
			break
		}
		names = append(names, message.DescribeNode(i, nodes[i]))
	}
	return strings.Join(names, ", ")
}
