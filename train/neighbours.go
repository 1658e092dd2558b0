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
// all machines send each other their gradients instead of reading them where they lie. A run has
// the same bits either way.
const SharedMemoryVariable = "SLIPWAY_SHARED_MEMORY"

// neighbours are ranks of a machine that read each other's gradients.
type neighbours struct {
	own    []float32             // what this rank adds up
	memory *sharedmemory.Segment // of own, nil if others cannot read it
	// block is all ranks' that read each other's, by their place in it; nil before the first sum.
	block [][]float32
	held  []*sharedmemory.Segment // the others' memory in it
	other []float32               // what is received of ranks elsewhere, a piece at a time
}

// newNeighbours returns memory for so many numbers, which others may read if the system has such.
func newNeighbours(numbers int) *neighbours {
	if os.Getenv(SharedMemoryVariable) != "0" {
		if memory, err := sharedmemory.New(numbers); err == nil {
			return &neighbours{own: memory.Floats(), memory: memory}
		}
	}
	return &neighbours{own: make([]float32, numbers)}
}

// sum makes of what each rank has added up the sum over all. They have exchanged messages since.
func (n *neighbours) sum(ctx context.Context, r *together,
	add func(total, part []float32, all bool) error) error {
	if n.block == nil {
		if err := n.meet(ctx, r); err != nil {
			return err
		}
	}
	defer runtime.KeepAlive(n) // the memory is there as long as its segments are
	return collective.SumNear(ctx, r, n.own, n.block, n.other, add)
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
	block := make([][]float32, size)
	for i := range block {
		block[i] = n.own
		if first+i != r.Rank() {
			block[i] = n.held[first+i].Floats()
		}
	}
	for rank := range n.held {
		if rank < first || rank >= first+size {
			n.held[rank] = nil
		}
	}
	if size < r.Size() {
		n.other = make([]float32, collective.Room(len(n.own)/size, r.Size()/size))
	}
	if n.memory != nil {
		n.memory.Hide() // all who could have opened it
	}
	n.block = block
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
			memory, err := sharedmemory.Open(string(addresses[other]), len(n.own))
			if n.memory == nil || err != nil {
				return doubled // they are sent to, and nothing is lost
			}
			n.held[other] = memory
		}
		doubled++
	}
	return doubled
}
