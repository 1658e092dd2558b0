package train

import (
	"context"
	"os"
	"runtime"
	"slices"

	"slipway/internal/collective"
	"slipway/internal/sharedmemory"
)

// SharedMemoryVariable names the environment variable that, set to 0 on any rank, has the ranks of
// all machines send each other their gradients instead of reading them where they lie, and update
// all weights each. A run has the same bits either way.
const SharedMemoryVariable = "SLIPWAY_SHARED_MEMORY"

// neighbours are ranks of a machine that read each other's gradients, and what an optimizer keeps
// beside the weights: rows of as many numbers.
type neighbours struct {
	rows   [][]float32             // this rank's: of the gradients it adds up, and the optimizer's
	memory *sharedmemory.Segment   // of rows, nil if others cannot read it
	near   *collective.Near        // nil before the first sum
	block  [][][]float32           // rows of ranks that read each other's, by place in the block
	inside int                     // this rank's place
	held   []*sharedmemory.Segment // the others' memory in it
}

// newNeighbours returns memory for a row of gradients, and so many of an optimizer's, which others
// may read if the system has such; if not, there is none of the optimizer's.
func newNeighbours(numbers, slots int) *neighbours {
	if os.Getenv(SharedMemoryVariable) != "0" {
		if memory, err := sharedmemory.New((1 + slots) * numbers); err == nil {
			return &neighbours{rows: cutRows(memory.Floats(), 1+slots), memory: memory}
		}
	}
	return &neighbours{rows: [][]float32{make([]float32, numbers)}}
}

// cutRows cuts memory into rows.
func cutRows(memory []float32, rows int) [][]float32 {
	cut := make([][]float32, rows)
	size := len(memory) / rows
	for i := range cut {
		cut[i] = memory[i*size : (i+1)*size : (i+1)*size]
	}
	return cut
}

// sum makes of what each rank has added up the sum over all, or has done with it what of says. They
// have exchanged messages since.
func (n *neighbours) sum(ctx context.Context, r *together, of collective.Near) error {
	if n.near == nil {
		if err := n.meet(ctx, r); err != nil {
			return err
		}
	}
	defer runtime.KeepAlive(n) // the memory is there as long as its segments are
	of.Block, of.Other = n.near.Block, n.near.Other
	return collective.SumNear(ctx, r, n.rows[0], &of)
}

// reads reports whether others keep some of what the optimizer does.
func (n *neighbours) reads() bool {
	return n.near != nil && len(n.block) > 1 && len(n.rows) > 1
}

// fetch copies from the others of the block what they alone keep of the rows behind the gradients.
// None of them writes that before this rank has joined their next sum.
func (n *neighbours) fetch() {
	if n.near == nil {
		return
	}
	defer runtime.KeepAlive(n)
	for i, rows := range n.block {
		if i == n.inside {
			continue
		}
		first, end := n.near.Owns(i, len(n.rows[0]))
		for k := 1; k < len(rows); k++ {
			copy(n.rows[k][first:end], rows[k][first:end])
		}
	}
}

// meet finds the block, of as many ranks everywhere.
func (n *neighbours) meet(ctx context.Context, r *together) error {
	var address string
	if n.memory != nil {
		address = n.memory.Address()
	}
	addresses, err := collective.Gather(ctx, r, []byte(address))
	if err != nil {
		return err
	}
	sizes := make([]byte, r.Size()) // logarithms
	sizes[r.Rank()] = n.open(addresses, r.Rank())
	if err := collective.Share(ctx, r, sizes); err != nil {
		return err
	}
	size := 1 << slices.Min(sizes)
	first := r.Rank() / size * size
	near := &collective.Near{Block: make([][]float32, size)}
	n.block, n.inside = make([][][]float32, size), r.Rank()-first
	for i := range n.block {
		n.block[i] = n.rows
		if i != n.inside {
			n.block[i] = cutRows(n.held[first+i].Floats(), len(n.rows))
		}
		near.Block[i] = n.block[i][0]
	}
	for rank := range n.held {
		if rank < first || rank >= first+size {
			n.held[rank] = nil
		}
	}
	if size < r.Size() {
		near.Other = make([]float32, collective.Room(len(n.rows[0])/size, r.Size()/size))
	}
	if n.memory != nil {
		n.memory.Hide() // all who could have opened it
	}
	n.near = near
	return nil
}

// open opens the memory of the ranks beside this one, in blocks twice as large each time, and
// returns how often that went well.
func (n *neighbours) open(addresses [][]byte, rank int) byte {
	n.held = make([]*sharedmemory.Segment, len(addresses))
	doubled := byte(0)
	for size := 2; size <= len(addresses); size *= 2 {
		first := rank / size * size
		for other := first; other < first+size; other++ {
			if other == rank || n.held[other] != nil {
				continue
			}
			memory, err := sharedmemory.Open(string(addresses[other]), len(n.rows)*len(n.rows[0]))
			if n.memory == nil || err != nil {
				return doubled // they are sent to, and nothing is lost
			}
			n.held[other] = memory
		}
		doubled++
	}
	return doubled
}
