package kernel

import (
	"fmt"
	"math/bits"
)

// treeBlock is how many elements of each row are added up at a time: those of eight rows stay in
// the first-level cache.
const treeBlock = 1 << 10

// TreeSum is a plan for the sum of a power of two of rows in a binary tree, neighbours first: each
// row is read from memory once, and the sum is written once, whatever the number of rows.
type TreeSum struct {
	engine Engine
	blocks [][]float32 // by worker: a block's elements, weighted
	task   func(worker, item int)

	rows    [][]float32
	weights []float32
	after   float32
}

// NewTreeSum returns a plan.
func NewTreeSum(engine Engine) (*TreeSum, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	t := &TreeSum{engine: engine, blocks: make([][]float32, engine.Pool.Threads())}
	for i := range t.blocks {
		t.blocks[i] = aligned(treeBlock)
	}
	t.task = t.item
	return t, nil
}

// Run makes of the first row the sum of all, times after. Each row is multiplied by its weight
// before, and each product is rounded. The other rows are overwritten.
func (t *TreeSum) Run(rows [][]float32, weights []float32, after float32) error {
	if bits.OnesCount(uint(len(rows))) != 1 || len(weights) != len(rows) {
		return fmt.Errorf("kernel: a tree's sum of %d rows with %d weights", len(rows), len(weights))
	}
	n := len(rows[0])
	for _, row := range rows {
		if err := lengths("a tree's sum", size{"row", len(row), n}); err != nil {
			return err
		}
	}
	t.rows, t.weights, t.after = rows, weights, after
	t.engine.Pool.Run(ceil(n, span), t.task)
	t.rows, t.weights = nil, nil
	return nil
}

func (t *TreeSum) item(worker, item int) {
	end := min((item+1)*span, len(t.rows[0]))
	for from := item * span; from < end; from += treeBlock {
		t.block(worker, from, min(from+treeBlock, end))
	}
}

func (t *TreeSum) block(worker, from, to int) {
	set, n := t.engine.Set, len(t.rows)
	for i, row := range t.rows {
		t.scale(worker, row[from:to], t.weights[i])
	}
	for step := 1; step < n; step *= 2 {
		for i := 0; i < n; i += 2 * step {
			set.addScaledSlice(t.rows[i][from:to], t.rows[i+step][from:to], 1)
		}
	}
	t.scale(worker, t.rows[0][from:to], t.after)
}

// scale multiplies a block's elements.
func (t *TreeSum) scale(worker int, x []float32, factor float32) {
	if factor == 1 {
		return
	}
	scaled := t.blocks[worker][:len(x)]
	clear(scaled)
	t.engine.Set.addScaledSlice(scaled, x, factor)
	copy(x, scaled)
}
