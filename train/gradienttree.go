package train

import (
	"math/bits"
	"slices"

	"slipway/builder"
	"slipway/internal/kernel"
)

const (
	// treeGroup is how many of a rank's shards are added up together, at most: each gradient is
	// read once for it, where a sum of two after the other reads and writes all again and again.
	treeGroup = 8
	// treeGroupBytes is what their gradients may take. With more parameters a shard computes so
	// long that adding them up costs little.
	treeGroupBytes = 64 << 20
)

// gradientTree adds up the gradients of a rank's shards, its leaves, in the order in which they
// come:
//
//	((g₀+g₁) + (g₂+g₃)) + ((g₄+g₅) + (g₆+g₇))
type gradientTree struct {
	// sum makes of the first row the sum over the tree of all, each times its weight, times after.
	sum func(rows [][]float32, weights []float32, after float32) error

	leaves  int
	group   int
	unit    int         // how many leaves each of rows is the sum of
	whole   int         // values of a row before those of dense
	dense   []place     // what has a tree of its own within a group
	cut     [][]float32 // rows without it
	total   []float32   // the root, and the memory of the first leaf
	rows    [][]float32 // the leaves that wait for others of their group
	weights []float32
	levels  [][]float32 // the nodes above groups that wait for their right neighbour; nil if none
	pair    [][]float32 // two of them that are added up
	nodes   [][]float32 // all memory beside total
	free    [][]float32 // what of it is no node now
}

// newGradientTree returns the tree of so many leaves, a power of two, whose sum lies in total.
func newGradientTree(engine *builder.Engine, leaves int, total []float32) (*gradientTree, error) {
	t := &gradientTree{sum: plainTreeSum, total: total, pair: make([][]float32, 2)}
	if kernels, native := engine.Kernels(); native {
		plan, err := kernel.NewTreeSum(kernels)
		if err != nil {
			return nil, err
		}
		t.sum = plan.Run
	}
	t.leaves, t.group = leaves, min(leaves, treeGroup)
	for t.group > 2 && 4*t.group*len(total) > treeGroupBytes {
		t.group /= 2
	}
	t.whole = len(total)
	t.levels = make([][]float32, bits.Len(uint(leaves/t.group))-1)
	t.reserve(t.group + len(t.levels))
	return t, nil
}

// reserve has memory for so many nodes at the same time.
func (t *gradientTree) reserve(nodes int) {
	for len(t.nodes) < nodes-1 {
		node := make([]float32, len(t.total))
		t.nodes, t.free = append(t.nodes, node), append(t.free, node)
	}
}

// leaf returns memory for the next leaf.
func (t *gradientTree) leaf(first bool) []float32 {
	if first {
		return t.total
	}
	last := len(t.free) - 1
	node := t.free[last]
	t.free = t.free[:last]
	return node
}

// addDense gives the gradients of a dense layer's weights, the last of a row, behind so many values
// and others, a tree of their own within a group.
func (t *gradientTree) addDense(engine *builder.Engine, behind int, at *place, in, out int) error {
	kernels, _ := engine.Kernels()
	plan, err := kernel.NewDenseTree(kernels, in, out, t.group)
	if err != nil {
		return err
	}
	at.tree, t.whole = plan, behind
	t.dense = append(t.dense, *at)
	return nil
}

// waiting is how many leaves of a group there are.
func (t *gradientTree) waiting() int { return len(t.rows) }

// skip says that the next leaf has no image.
func (t *gradientTree) skip() {
	for _, at := range t.dense {
		at.tree.Skip(len(t.rows))
	}
}

// add carries a leaf up the tree. The sum of all is multiplied by after. denses says that the group
// has left dense layers' gradients to their trees.
func (t *gradientTree) add(leaf []float32, weight, after float32, denses bool) error {
	if t.unit > 1 && t.unit == t.leaves {
		return nil // it is the root
	}
	t.rows, t.weights = append(t.rows, leaf), append(t.weights, weight)
	if len(t.rows)*t.unit < t.group {
		return nil
	}
	node, factor := t.rows[0], float32(1)
	if len(t.levels) == 0 {
		factor = after
	}
	if err := t.sumGroup(factor, denses); err != nil {
		return err
	}
	t.free = append(t.free, t.rows[1:]...)
	t.rows, t.weights = t.rows[:0], t.weights[:0]
	for level, left := range t.levels {
		if left == nil {
			t.levels[level] = node
			return nil
		}
		if level == len(t.levels)-1 {
			factor = after
		}
		if err := t.merge(left, node, factor); err != nil {
			return err
		}
		t.free = append(t.free, node)
		node, t.levels[level] = left, nil
	}
	return nil
}

// sumGroup makes of the first row the sum of the group.
func (t *gradientTree) sumGroup(factor float32, denses bool) error {
	if !denses {
		return t.sum(t.rows, t.weights, factor)
	}
	t.cut = t.cut[:0]
	for _, row := range t.rows {
		t.cut = append(t.cut, row[:t.whole])
	}
	if err := t.sum(t.cut, t.weights, factor); err != nil {
		return err
	}
	for _, at := range t.dense {
		if err := at.tree.Run(t.rows[0][at.first:at.end], t.weights, factor); err != nil {
			return err
		}
	}
	return nil
}

// reset forgets what has not come to a sum.
func (t *gradientTree) reset() {
	clear(t.levels)
	t.rows, t.weights = t.rows[:0], t.weights[:0]
	t.free = append(t.free[:0], t.nodes...)
}

// merge adds a node to the one on its left, and multiplies the sum by after. The node is not
// written: it may be another rank's, whose memory can be read alone.
func (t *gradientTree) merge(left, node []float32, after float32) error {
	t.pair[0], t.pair[1] = left, node
	return t.sum(t.pair, []float32{1, 1}, after)
}

// plainTreeSum is kernel.TreeSum as it is written.
func plainTreeSum(rows [][]float32, weights []float32, after float32) error {
	for i, row := range rows {
		if weights[i] == 1 {
			continue
		}
		for k := range row {
			row[k] *= weights[i]
		}
	}
	for rest := slices.Clone(rows); len(rest) > 1; rest = rest[:len(rest)/2] {
		for i := 0; i < len(rest); i += 2 {
			for k, x := range rest[i+1] {
				rest[i][k] += x
			}
			rest[i/2] = rest[i]
		}
	}
	for k := range rows[0] {
		rows[0][k] *= after
	}
	return nil
}
