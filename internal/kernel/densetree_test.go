package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The gradients of shards, which plans leave to a tree, are those that the plans compute, added up
// in the tree: but for rounding, since a plan may leave out zeros, and each bit the same on any
// threads.
func TestDenseTree(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, shape := range [][2]int{{1, 1}, {37, 10}, {64, 24}, {100, 61}} {
			for _, batches := range [][]int{{3}, {4, 4}, {1, 0, 2, 300}} {
				in, out := shape[0], shape[1]
				r := rand.New(rand.NewPCG(uint64(in), uint64(len(batches))))
				tree, err := NewDenseTree(engine, in, out, len(batches))
				must(t, err)
				rows, weights := make([][]float32, len(batches)), make([]float32, len(batches))
				for i, batch := range batches {
					rows[i], weights[i] = make([]float32, in*out), 1/float32(i+1)
					if batch == 0 {
						tree.Skip(i)
						continue
					}
					d, err := NewDense(engine, DenseConfig{Batch: batch, In: in, Out: out})
					must(t, err)
					x, dy, db, later := random(r, batch*in), random(r, batch*out), make([]float32,
						out), make([]float32, out)
					must(t, d.BackwardParameters(rows[i], db, dy, nil, x))
					must(t, d.SumIn(tree, i))
					untouched := make([]float32, in*out)
					must(t, d.BackwardParameters(untouched, later, dy, nil, x))
					same(t, "db", later, db)
					same(t, "dw", untouched, make([]float32, in*out))
					must(t, d.SumIn(nil, 0))
				}
				sum, err := NewTreeSum(engine)
				must(t, err)
				must(t, sum.Run(rows, weights, 0.5))
				dw := make([]float32, in*out)
				must(t, tree.Run(dw, weights, 0.5))
				near(t, fmt.Sprint(shape, batches), dw, rows[0], 1024)
			}
		}
		if _, err := NewDenseTree(engine, 3, 3, 3); err == nil {
			t.Error("three shards make a tree")
		}
		tree, err := NewDenseTree(engine, 3, 4, 2)
		must(t, err)
		d, err := NewDense(engine, DenseConfig{Batch: 1, In: 3, Out: 3})
		must(t, err)
		if d.SumIn(tree, 0) == nil || tree.Run(make([]float32, 12), nil, 1) == nil {
			t.Error("another layer's tree is no error")
		}
	})
}
