package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// DenseOf returns the plan that computes the values of a node as the gradient of a dense layer's
// weights, nil where none does.
func DenseOf(node *gorgonia.Node) *kernel.Dense {
	if op, ours := node.Op().(*operator); ours {
		return op.dense
	}
	return nil
}

// Result is where an operator of ours writes its output.
type Result struct {
	buffer *buffer
	home   *tensor.Dense
	values []float32 // of home
	places map[*float32]*tensor.Dense
}

// ResultOf returns where the values of a node are written, nil where they are not an operator's of
// ours. Ask after PlanMemory.
func ResultOf(node *gorgonia.Node) *Result {
	op := writerOf(node)
	if op == nil || op.result == nil {
		return nil
	}
	return &Result{buffer: op.result, home: op.result.value(), values: op.result.data(),
		places: make(map[*float32]*tensor.Dense)}
}

// writerOf returns the operator that writes the values of a node, looking through views of them,
// nil where it is none of ours.
func writerOf(node *gorgonia.Node) *operator {
	for {
		op, ours := node.Op().(*operator)
		switch {
		case !ours:
			return nil
		case op.inside < 0:
			return op
		}
		node = Operands(node)[op.inside]
	}
}

// Same reports whether both are written to the same place.
func (r *Result) Same(other *Result) bool { return r.buffer == other.buffer }

// Place has the next runs write to values, as many as there are. It allocates the first time that
// it is given these.
func (r *Result) Place(values []float32) {
	if len(values) == 0 {
		return
	}
	dense := r.places[&values[0]]
	if dense == nil {
		dense = tensor.New(tensor.WithShape(r.buffer.shape...), tensor.WithBacking(values))
		r.places[&values[0]] = dense
	}
	r.buffer.values, r.buffer.dense = values, dense
}

// Home has the next runs write to where they wrote before the first Place.
func (r *Result) Home() { r.buffer.values, r.buffer.dense = r.values, r.home }
