// Package bisect finds where two computations of a graph part: the first node
// whose output differs, of two models in one runtime or of one model in two, and
// what in the node itself is different.
package bisect

import (
	"context"
	"fmt"
	"slices"

	"slipway/infer"
	"slipway/onnx"
)

// A Side is one of the two computations.
type Side struct {
	Model  *onnx.Model
	Tracer infer.Tracer
	// Images are the same on both sides, N×C×H×W, each as its model wants them fed.
	Images infer.Batch
	// Output names the graph's output that is compared, the first one when empty.
	Output string
}

// Finding is what a comparison of two graphs found.
type Finding struct {
	// Structure is where the graphs are not made of the same nodes.
	Structure []StructureDifference
	// Nodes are the matched nodes in topological order, those with an exchanged
	// operator among them. Without a run, those alone whose contents differ.
	Nodes []Node
	// First is the first node whose output differs by more than the tolerance, in a way
	// that reaches the graph's output where one does; nil if none differs. It is one of
	// Nodes, or a node that is in one graph alone.
	First *Node
	// Culprit is where the difference arises: First as a rule. If First only passes
	// on and enlarges a difference that was below the tolerance, it is the node
	// before it that differs first and in itself.
	Culprit *Node
	// Notes say what a reader must know of the finding.
	Notes []string
}

// Static compares the graphs without running them.
func Static(a, b *onnx.Model) *Finding {
	ga, gb := newGraph(a), newGraph(b)
	pairs, structure := align(ga, gb)
	finding := &Finding{Structure: structure}
	for _, p := range pairs {
		if exchanged(ga, gb, p) {
			continue // the structure says it
		}
		if node := newNode(ga, gb, p); len(node.Contents) > 0 {
			finding.Nodes = append(finding.Nodes, node)
		}
	}
	return finding
}

// Run runs both sides and compares what their nodes compute and what they take.
// The tolerance is a fraction of the range of a node's values in A, in (0, 1).
//
// A node's inputs are set against each other place by place and by their values,
// whoever makes them: a node that is in one graph alone, or an input taken from
// elsewhere, shows where its values are used.
//
// Two models on the CPU in one runtime are computed by the same kernels in the
// same order, so that sound nodes agree to the last bit, and a node that differs
// at all though its inputs do not is at fault. Between two runtimes the
// tolerance decides.
func Run(ctx context.Context, a, b Side, tolerance float64) (*Finding, error) {
	if !(tolerance > 0 && tolerance < 1) {
		return nil, fmt.Errorf(
			"bisection: tolerance %v: it is a fraction of the values' range, larger than 0 and smaller than 1",
			tolerance)
	}
	if a.Images.N != b.Images.N {
		return nil, fmt.Errorf("bisection: %d and %d images; both sides are given the same", a.Images.N,
			b.Images.N)
	}
	ga, gb := newGraph(a.Model), newGraph(b.Model)
	pairs, structure := align(ga, gb)
	j := &judgement{
		a: ga, b: gb, pairs: pairs, tolerance: tolerance, finding: &Finding{Structure: structure},
		partner: make(map[int]int, len(pairs)), matchedB: make(map[int]int, len(pairs)),
		nodeOf:     make(map[int]*Node, len(pairs)),
		fedEqually: slices.Equal(a.Images.Pixels, b.Images.Pixels),
	}
	for _, p := range pairs {
		j.partner[p.a], j.matchedB[p.b] = p.b, p.a
	}
	if len(pairs) == 0 {
		j.note("no two nodes of the graphs match: there are no values to set against each other")
		return j.finding, nil
	}
	outputA, outputB := ga.scores(a.Output), gb.scores(b.Output)
	namesA, namesB := j.wanted(outputA, outputB)
	var err error
	if j.valuesA, err = newValues(ctx, ga, a, namesA); err != nil {
		return nil, fmt.Errorf("bisection, A: %w", err)
	}
	if j.valuesB, err = newValues(ctx, gb, b, namesB); err != nil {
		return nil, fmt.Errorf("bisection, B: %w", err)
	}
	j.compareNodes()
	if !j.fedEqually {
		j.note("the two models are fed different pixels of the same images")
	}
	infoA, infoB := a.Tracer.Info(), b.Tracer.Info()
	j.judge(outputA, outputB, infoA.Runtime == infoB.Runtime && infoA.Device == "cpu" &&
		infoB.Device == "cpu")
	return j.finding, nil
}
