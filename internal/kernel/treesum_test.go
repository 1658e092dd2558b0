package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestTreeSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		plan, err := NewTreeSum(engine)
		must(t, err)
		for _, n := range []int{1, 2, 4, 8, 16} {
			for _, length := range []int{0, 1, 37, treeBlock, span + 2*treeBlock + 5} {
				for _, weighted := range []bool{false, true} {
					r := rand.New(rand.NewPCG(uint64(n), uint64(length)))
					var rows, tree [][]float32
					weights, after := make([]float32, n), float32(1)
					for i := range n {
						weights[i] = 1
						if weighted {
							weights[i], after = float32(i+1)/7, 0.25
						}
						rows, tree = append(rows, random(r, length)), append(tree, make([]float32, length))
						for k, x := range rows[i] {
							tree[i][k] = float32(weights[i] * x)
						}
					}
					for step := 1; step < n; step *= 2 {
						for i := 0; i < n; i += 2 * step {
							for k := range length {
								tree[i][k] += tree[i+step][k]
							}
						}
					}
					for k := range length {
						tree[0][k] *= after
					}
					must(t, plan.Run(rows, weights, after))
					same(t, fmt.Sprint(n, length, weighted), rows[0], tree[0])
				}
			}
		}
		if plan.Run([][]float32{{1}, {2}, {3}}, []float32{1, 1, 1}, 1) == nil ||
			plan.Run([][]float32{{1}, {2, 3}}, []float32{1, 1}, 1) == nil ||
			plan.Run([][]float32{{1}}, nil, 1) == nil {
			t.Error("rows that make no tree are no error")
		}
	})
}
