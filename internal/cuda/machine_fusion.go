//go:build gpu && linux && amd64

package cuda

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// fusion says which nodes have no launch of their own, since that of another node computes them
// as well. It follows from the graph and its shapes alone.
type fusion struct {
	place map[*gorgonia.Node]int // in the order in which the nodes are compiled
	// readers are the nodes whose launches read a node's value, in order.
	readers map[*gorgonia.Node]gorgonia.Nodes
	// asked are the nodes whose values the caller has asked for.
	asked map[*gorgonia.Node]bool
	// elsewhere are the nodes whose values the launch of another node writes.
	elsewhere map[*gorgonia.Node]bool
	// hidden are the nodes whose values are nowhere: the launch of their reader computes them on
	// its way. A convolution or a product among them has a launch, which leaves its bias to that.
	hidden map[*gorgonia.Node]bool
}

// newFusion looks at the nodes in the order in which they are compiled.
func newFusion(order, asked gorgonia.Nodes) fusion {
	f := fusion{
		place: make(map[*gorgonia.Node]int), readers: make(map[*gorgonia.Node]gorgonia.Nodes),
		asked: make(map[*gorgonia.Node]bool), elsewhere: make(map[*gorgonia.Node]bool),
		hidden: make(map[*gorgonia.Node]bool),
	}
	for _, node := range asked {
		f.asked[node] = true
	}
	for at, node := range order {
		f.place[node] = at
		for place, operand := range ops.Operands(node) {
			if isRead(kindOf(node), place) {
				f.readers[operand] = append(f.readers[operand], node)
			}
		}
	}
	for _, node := range order {
		switch kindOf(node) {
		case ops.CrossEntropyForward, ops.SoftmaxLossForward, ops.BinaryLossForward:
			f.planLoss(node)
		case ops.ParameterPenaltyForward, ops.ActivationPenaltyForward:
			f.planPenalty(node)
		case ops.Addition:
			f.planSum(node)
		case ops.ReLUForward:
			f.planRectifier(node)
		case ops.ReLUGradient:
			f.planRectifierGradient(node)
		case ops.MaxPoolForward, ops.WindowMaxForward:
			f.planMaxPool(node)
		case ops.MaxPoolGradient, ops.WindowMaxGradient:
			f.planBiasGradient(node)
		}
	}
	return f
}

// kindOf returns what a node computes, 0 if it has no description.
func kindOf(node *gorgonia.Node) ops.Kind {
	d, _ := ops.Describe(node.Op())
	return d.Kind
}

// isRead reports whether the launch of an operator of this kind reads its operand of that place.
// The gradients of layers are handed their output, which few of them need.
func isRead(kind ops.Kind, place int) bool {
	const y, x = 1, 2
	switch kind {
	case ops.MaxPoolGradient, ops.WindowMaxGradient:
		return place != y && place != x // it goes by which values were the largest
	case ops.DropoutGradient, ops.BatchNormGradient, ops.SetNormGradient, ops.ActivationGradient,
		ops.PReLUGradient, ops.GlobalAvgPoolGradient, ops.ProductGradient, ops.ScaleGradient,
		ops.DropSetsGradient, ops.ConcatGradient, ops.PadGradient, ops.WindowMeanGradient:
		return place != y
	}
	return true
}

// onlyReader returns the only node that reads the value, nil if there are others, or none, or the
// caller asks for it.
func (f fusion) onlyReader(node *gorgonia.Node) *gorgonia.Node {
	if len(f.readers[node]) != 1 || f.asked[node] {
		return nil
	}
	return f.readers[node][0]
}

// readerOf returns the first reader of a value that is of this kind, nil if none is.
func (f fusion) readerOf(node *gorgonia.Node, kind ops.Kind) *gorgonia.Node {
	for _, reader := range f.readers[node] {
		if kindOf(reader) == kind {
			return reader
		}
	}
	return nil
}
