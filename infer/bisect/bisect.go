// Package bisect finds where two computations of a graph part: the first node
// whose output differs, of two models in one runtime or of one model in two, and
// what in the node itself is different.
package bisect

import (
	"context"
	"errors"
	"fmt"
	"math"
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
}

// Finding is what a comparison of two graphs found.
type Finding struct {
	// Structure is where the graphs are not made of the same nodes.
	Structure []StructureDifference
	// Nodes are the matched nodes in topological order. Without a run, those alone
	// whose contents differ.
	Nodes []Node
	// First is the first of Nodes whose output differs by more than the tolerance,
	// nil if none does.
	First *Node
	// Culprit is where the difference arises: First as a rule. If First only passes
	// on and enlarges a difference that was below the tolerance, it is the node
	// before it that differs first and in itself.
	Culprit *Node
	// Notes say what a reader must know of the finding.
	Notes []string
}

// A Node is one matched pair of nodes.
type Node struct {
	// IndexA and IndexB are the positions in the files.
	IndexA, IndexB int
	// Name in A, or in B where A gives none, and Operator.
	Name, Operator string
	// Output is the name in A of the value compared, its first output.
	Output string
	// ShapeA and ShapeB are the values' shapes, nil where they are missing.
	ShapeA, ShapeB []int
	// Missing says why the values could not be compared, "" if they were.
	Missing string
	// Compared is true if values were.
	Compared bool
	// MaxAbsDiff is the largest difference, +Inf where shapes, NaN or infinities
	// differ, MaxRelDiff that by the range of A's values. Index is where it is.
	MaxAbsDiff, MaxRelDiff float64
	Index                  []int
	ValueA, ValueB         float32
	// InputsDiffer has, for the inputs that other nodes make and that were compared,
	// the largest difference by the range, +Inf where the images are fed differently;
	// InputsAgree is true if none is beyond the tolerance, InputsEqual if all are 0.
	InputsDiffer             float64
	InputsAgree, InputsEqual bool
	// Contents is what differs in the node itself.
	Contents []ContentDifference
}

// Static compares the graphs without running them.
func Static(a, b *onnx.Model) *Finding {
	ga, gb := newGraph(a), newGraph(b)
	pairs, structure := align(ga, gb)
	finding := &Finding{Structure: structure}
	for _, p := range pairs {
		if node := newNode(ga, gb, p); len(node.Contents) > 0 {
			finding.Nodes = append(finding.Nodes, node)
		}
	}
	return finding
}

// Run runs both sides and compares what their nodes compute. The tolerance is a
// fraction of the range of a node's values in A, in (0, 1).
//
// Two models on the CPU in one runtime are computed by the same kernels in the
// same order, so that sound nodes agree to the last bit, and a node that differs
// at all though its inputs do not is at fault. Between two runtimes the
// tolerance decides.
func Run(ctx context.Context, a, b Side, tolerance float64) (*Finding, error) {
	if !(tolerance > 0 && tolerance < 1) {
		return nil, fmt.Errorf("bisection: tolerance %v: it is a fraction of the values' range, larger than 0 and smaller than 1", tolerance)
	}
	if a.Images.N != b.Images.N {
		return nil, fmt.Errorf("bisection: %d and %d images; both sides are given the same", a.Images.N, b.Images.N)
	}
	ga, gb := newGraph(a.Model), newGraph(b.Model)
	pairs, structure := align(ga, gb)
	finding := &Finding{Structure: structure}
	var namesA, namesB []string
	for _, p := range pairs {
		nameA, okA := ga.traceable(p.a)
		nameB, okB := gb.traceable(p.b)
		if okA && okB {
			namesA, namesB = append(namesA, nameA), append(namesB, nameB)
		}
	}
	if len(namesA) == 0 {
		finding.Notes = append(finding.Notes, "no two nodes of the graphs match: there are no values to set against each other")
		return finding, nil
	}
	tracedA, err := trace(ctx, a, namesA)
	if err != nil {
		return nil, fmt.Errorf("bisection, A: %w", err)
	}
	tracedB, err := trace(ctx, b, namesB)
	if err != nil {
		return nil, fmt.Errorf("bisection, B: %w", err)
	}
	for _, p := range pairs {
		node := newNode(ga, gb, p)
		nameA, okA := ga.traceable(p.a)
		nameB, okB := gb.traceable(p.b)
		if okA && okB {
			node.Output = nameA
			node.compare(tracedA[nameA], tracedB[nameB])
		} else {
			node.Missing = "its output is no float tensor"
		}
		finding.Nodes = append(finding.Nodes, node)
	}
	fedEqually := slices.Equal(a.Images.Pixels, b.Images.Pixels)
	if !fedEqually {
		finding.Notes = append(finding.Notes, "the two models are fed different pixels of the same images")
	}
	finding.judge(ga, a.Tracer.Info(), b.Tracer.Info(), fedEqually, tolerance)
	return finding, nil
}

func trace(ctx context.Context, side Side, names []string) (map[string]infer.Tensor, error) {
	tensors, err := side.Tracer.Trace(ctx, side.Images, names)
	if err != nil {
		return nil, err
	}
	if len(tensors) != len(names) {
		return nil, fmt.Errorf("%s showed %d of %d values", side.Tracer.Info().Runtime, len(tensors), len(names))
	}
	byName := make(map[string]infer.Tensor, len(names))
	for i, name := range names {
		byName[name] = tensors[i]
	}
	return byName, nil
}

func newNode(a, b *graph, p pair) Node {
	name := a.nodes[p.a].GetName()
	if name == "" {
		name = b.nodes[p.b].GetName()
	}
	return Node{IndexA: p.a, IndexB: p.b, Name: name, Operator: operatorOf(a.nodes[p.a]), Contents: contents(a, b, p)}
}

// compare sets the values of a node's first output against each other.
func (n *Node) compare(a, b infer.Tensor) {
	if err := errors.Join(a.Missing, b.Missing); err != nil {
		n.Missing = err.Error()
		return
	}
	n.Compared, n.ShapeA, n.ShapeB = true, a.Shape, b.Shape
	// The runtimes may spell N×K×1×1 as N×K, but the number of values is the shape's.
	if len(a.Values) != len(b.Values) {
		n.MaxAbsDiff, n.MaxRelDiff = math.Inf(1), math.Inf(1)
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i, va := range a.Values {
		if f := float64(va); !math.IsNaN(f) && !math.IsInf(f, 0) {
			low, high = min(low, f), max(high, f)
		}
		vb := b.Values[i]
		// Unlike a logit, a value inside that is NaN on both sides is no difference.
		if va == vb || va != va && vb != vb {
			continue
		}
		diff := math.Abs(float64(va) - float64(vb))
		if math.IsNaN(diff) {
			diff = math.Inf(1)
		}
		if diff > n.MaxAbsDiff {
			n.MaxAbsDiff, n.Index, n.ValueA, n.ValueB = diff, indexOf(i, a.Shape), va, vb
		}
	}
	if n.MaxAbsDiff > 0 {
		n.MaxRelDiff = n.MaxAbsDiff / max(0, high-low)
	}
}

// judge finds the first node beyond the tolerance and the one at fault.
func (f *Finding) judge(a *graph, infoA, infoB infer.Info, fedEqually bool, tolerance float64) {
	byIndex := make(map[int]*Node)
	for i := range f.Nodes {
		byIndex[f.Nodes[i].IndexA] = &f.Nodes[i]
	}
	for i := range f.Nodes {
		f.Nodes[i].weighInputs(a, byIndex, fedEqually, tolerance)
	}
	missing := 0
	for i := range f.Nodes {
		node := &f.Nodes[i]
		if !node.Compared {
			missing++
			continue
		}
		if node.MaxRelDiff > tolerance {
			f.First = node
			break
		}
	}
	if f.First == nil {
		f.Notes = append(f.Notes, "no node's output differs by more than the tolerance when the graph runs node by node: "+
			"the difference comes of how the runtime merges nodes, or of what could not be compared")
		return
	}
	if missing > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d nodes before it could not be compared: it may be one of them", missing))
	}
	f.Culprit = f.First
	oneRuntime := infoA.Runtime == infoB.Runtime && infoA.Device == "cpu" && infoB.Device == "cpu"
	if !oneRuntime || len(f.First.Contents) > 0 {
		return
	}
	for i := range f.Nodes {
		node := &f.Nodes[i]
		if node == f.First {
			return
		}
		if node.MaxAbsDiff > 0 && len(node.Contents) > 0 && a.dependsOn(f.First.IndexA, node.IndexA) {
			f.Culprit = node
			f.Notes = append(f.Notes, "the node differs by less than the tolerance, the nodes after it enlarge that")
			return
		}
	}
}

// weighInputs looks up how far the node's inputs that other nodes make are apart.
func (n *Node) weighInputs(a *graph, byIndex map[int]*Node, fedEqually bool, tolerance float64) {
	n.InputsAgree, n.InputsEqual = true, true
	for _, input := range a.nodes[n.IndexA].GetInput() {
		at, made := a.maker[input]
		if !made && input != "" && a.constant(input) == nil && !fedEqually {
			n.InputsDiffer, n.InputsEqual, n.InputsAgree = math.Inf(1), false, false
		}
		if !made || byIndex[at.node] == nil || !byIndex[at.node].Compared {
			continue
		}
		before := byIndex[at.node]
		n.InputsDiffer = max(n.InputsDiffer, before.MaxRelDiff)
		n.InputsEqual = n.InputsEqual && before.MaxAbsDiff == 0
		n.InputsAgree = n.InputsAgree && before.MaxRelDiff <= tolerance
	}
}
