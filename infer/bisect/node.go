package bisect

import (
	"errors"
	"fmt"
	"math"

	"slipway/infer"
)

// A Node is one matched pair of nodes, or a node that is in one graph alone.
type Node struct {
	// IndexA and IndexB are the positions in the files, -1 in a graph that has it not.
	IndexA, IndexB int
	// Name in A, or in B where A gives none, and Operator; A's where they differ.
	Name, Operator string
	// Output is the name in A of the value compared, that of the node's outputs that
	// differs most; the name in B of a node of B alone.
	Output string
	// Against is the value of the other graph that stands where the output of a node
	// in one graph alone would, "" for a pair.
	Against string
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
	// Inputs is how many of the node's inputs are no constants, InputsNotCompared says
	// of each of them that could not be compared which it is and why.
	Inputs            int
	InputsNotCompared []string
	// InputsDiffer is the largest difference of the inputs that were compared, by the
	// range, +Inf where the images are fed differently. InputsAgree is true if all
	// inputs were compared and none differs by more than the tolerance, InputsEqual if
	// all were compared and differ in no bit.
	InputsDiffer             float64
	InputsAgree, InputsEqual bool
	// Contents is what differs in the node itself: its operator, what it is
	// connected to, its attributes, its weights.
	Contents []ContentDifference
}

func newNode(a, b *graph, p pair) Node {
	name := a.nodes[p.a].GetName()
	if name == "" {
		name = b.nodes[p.b].GetName()
	}
	return Node{IndexA: p.a, IndexB: p.b, Name: name, Operator: operatorOf(a.nodes[p.a]),
		Contents: contents(a, b, p)}
}

// differs reports whether the outputs were compared and are further apart than the tolerance.
func (n *Node) differs(tolerance float64) bool { return n.Compared && n.MaxRelDiff > tolerance }

// compare sets the values of an output against each other and keeps them if they
// differ more than those of the outputs before.
func (n *Node) compare(nameA string, a, b infer.Tensor) {
	d := setAgainst(a, b)
	if d.missing != "" {
		if n.Missing == "" {
			n.Missing = d.missing
		}
		if n.Output == "" {
			n.Output = nameA
		}
		return
	}
	if n.Compared && !(d.relative > n.MaxRelDiff) {
		return
	}
	n.Compared, n.Output = true, nameA
	n.ShapeA, n.ShapeB = a.Shape, b.Shape
	n.MaxAbsDiff, n.MaxRelDiff = d.absolute, d.relative
	n.Index, n.ValueA, n.ValueB = d.index, d.valueA, d.valueB
}

// A delta is how far two values are apart.
type delta struct {
	// missing says why they were not compared, "" if they were.
	missing string
	// absolute is the largest difference, +Inf where sizes, NaN or infinities differ,
	// relative that by the range of A's values, index where it is.
	absolute, relative float64
	index              []int
	valueA, valueB     float32
}

// setAgainst compares two values number by number. A NaN on both sides is no difference here,
// unlike in a score: the sides compute the same.
func setAgainst(a, b infer.Tensor) (d delta) {
	if err := errors.Join(a.Missing, b.Missing); err != nil {
		d.missing = err.Error()
		if a.Missing != nil && b.Missing != nil && a.Missing.Error() == b.Missing.Error() {
			d.missing = a.Missing.Error()
		}
		return d
	}
	// The runtimes may spell N×K×1×1 as N×K, but the number of values is the shape's.
	if len(a.Values) != len(b.Values) {
		d.absolute, d.relative = math.Inf(1), math.Inf(1)
		return d
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i, va := range a.Values {
		if f := float64(va); !math.IsNaN(f) && !math.IsInf(f, 0) {
			low, high = min(low, f), max(high, f)
		}
		vb := b.Values[i]
		if va == vb || va != va && vb != vb {
			continue
		}
		difference := math.Abs(float64(va) - float64(vb))
		if math.IsNaN(difference) {
			difference = math.Inf(1)
		}
		if difference > d.absolute {
			d.absolute, d.index, d.valueA, d.valueB = difference, indexOf(i, a.Shape), va, vb
		}
	}
	if d.absolute > 0 {
		d.relative = d.absolute / max(0, high-low)
	}
	return d
}

// take counts one of the node's inputs, which text names.
func (n *Node) take(text string, d delta, tolerance float64) {
	if n.Inputs == 0 {
		n.InputsAgree, n.InputsEqual = true, true
	}
	n.Inputs++
	if d.missing != "" {
		n.InputsNotCompared = append(n.InputsNotCompared, fmt.Sprintf("%s: %s", text, d.missing))
		n.InputsAgree, n.InputsEqual = false, false
		return
	}
	n.InputsDiffer = max(n.InputsDiffer, d.relative)
	n.InputsEqual = n.InputsEqual && d.absolute == 0
	n.InputsAgree = n.InputsAgree && d.relative <= tolerance
}
