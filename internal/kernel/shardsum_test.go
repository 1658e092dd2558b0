package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A sum as shards come is that of TreeSum, to the bit, and holds no more gradients beside it than
// the tree is high.
func TestShardSum(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		tree, err := NewTreeSum(engine)
		must(t, err)
		for _, n := range []int{0, 1, 3} {
			if _, err := NewShardSum(engine, n); err == nil {
				t.Errorf("%d shards are no error", n)
			}
		}
		for height := 1; height <= 4; height++ {
			n := 1 << height
			for _, length := range []int{0, 1, 37, span + 5} {
				r := rand.New(rand.NewPCG(uint64(n), uint64(length)))
				var rows [][]float32
				weights := slices.Repeat([]float32{1}, n)
				for range n {
					rows = append(rows, random(r, length))
				}
				sum, err := NewShardSum(engine, n)
				must(t, err)
				for range 2 { // a plan is used again
					total, places := make([]float32, length), make(map[*float32]bool)
					sum.Begin(total, 1.0/16)
					for _, row := range rows {
						into := sum.Next()
						if length > 0 {
							places[&into[0]] = true
						}
						copy(into, row)
						must(t, sum.Add())
					}
					sum.End()
					if len(places) > height+1 {
						t.Errorf("%d shards: %d gradients in memory", n, len(places))
					}
					want := make([][]float32, n)
					for i, row := range rows {
						want[i] = slices.Clone(row)
					}
					must(t, tree.Run(want, weights, 1.0/16))
					same(t, fmt.Sprint(n, length), total, want[0])
				}
			}
		}
	})
}

// A plan for a share of a batch goes back as the plan for the whole batch does for these images.
func TestFollow(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		config := Conv2DConfig{Batch: 6, Height: 9, Width: 8, Channels: 3, Filters: 8,
			KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1, ReLU: true,
			MaxPool: &Window{Height: 2, Width: 2, StrideHeight: 2, StrideWidth: 2}}
		whole, err := NewConv2D(engine, config)
		must(t, err)
		config.Batch = 2
		part, err := NewConv2D(engine, config)
		must(t, err)
		own, err := NewConv2D(engine, config)
		must(t, err)
		r := rand.New(rand.NewPCG(1, 2))
		x, dy := random(r, whole.sizeX()), random(r, whole.sizeY())
		w, b := random(r, 8*whole.depth), random(r, 8)
		must(t, whole.Forward(make([]float32, whole.sizeY()), x, w, b))
		for k := range 3 {
			n, m := part.sizeX(), part.sizeY()
			y := make([]float32, m)
			must(t, own.Forward(y, x[k*n:(k+1)*n], w, b))
			must(t, part.Follow(whole, k))
			gradients := func(c *Conv2D) (dw, db []float32) {
				dw, db = make([]float32, len(w)), make([]float32, len(b))
				must(t, c.BackwardParameters(dw, db, dy[k*m:(k+1)*m], nil, x[k*n:(k+1)*n]))
				return dw, db
			}
			dw, db := gradients(part)
			wantW, wantB := gradients(own)
			same(t, fmt.Sprint("dw of share ", k), dw, wantW)
			same(t, fmt.Sprint("db of share ", k), db, wantB)
		}
		config.Batch, config.Filters = 4, 8
		uneven, err := NewConv2D(engine, config)
		must(t, err)
		if part.Follow(whole, 3) == nil || part.Follow(whole, -1) == nil ||
			uneven.Follow(whole, 0) == nil {
			t.Error("a share that is none is no error")
		}
	})
}
