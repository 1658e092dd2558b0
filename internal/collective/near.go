package collective

import (
	"context"
	"fmt"
)

// Near is how ranks add up numbers that they read of each other where they lie.
type Near struct {
	// Block are the numbers of ranks that read each other's, as many as a power of two, the first of
	// which is a multiple of that: Block[i] is what its i-th rank gives as x.
	Block [][]float32
	// Other has room for what ranks of other blocks send.
	Other []float32
	// Add adds a part of others' numbers to what this rank has; all says that it is the sum over all
	// then.
	Add func(total, part []float32, all bool) error
	// Done, unless nil, makes of what this rank has the sum of over all, x[first:first+len(total)],
	// what others of the block take of it. It may be called with one piece after the other.
	Done func(first int, total []float32) error
	// Take, unless nil, takes what another rank's Done has left, in the place of a copy to
	// x[first:first+len(theirs)].
	Take func(first int, theirs []float32) error
	// Piece, unless 0, is of how many numbers Done has one piece, while they are near a core.
	Piece int
}

// Owns is what of n numbers a rank of the block has the sum of over all ranks, before others take
// it: first…end−1.
func (n *Near) Owns(inside, numbers int) (first, end int) {
	size := numbers
	for step := 1; step < len(n.Block); step *= 2 {
		size /= 2
		if inside&step != 0 {
			first += size
		}
	}
	return first, first + size
}

// SumNear is Sum of ranks that read each other's numbers where they lie, with the same bits. Ranks
// of a block read what they add, and what others have added, and send empty messages, which say
// when; blocks send each other what is left, a part of it for each of a block's ranks, as Sum does.
//
// When it is called, all ranks must have exchanged messages since any of them has written its x.
func SumNear(ctx context.Context, c Communicator, x []float32, n *Near) error {
	block := len(n.Block)
	if len(x)%c.Size() != 0 {
		return fmt.Errorf("a sum of %d numbers over %d ranks", len(x), c.Size())
	}
	inside := c.Rank() % block
	first, size := 0, len(x)
	for step := 1; step < block; step *= 2 {
		if step > 1 { // the peer has to have added up what is read
			if err := c.Exchange(ctx, c.Rank()^step, nil, nil); err != nil {
				return err
			}
		}
		size /= 2
		if c.Rank()&step != 0 {
			first += size
		}
		part := n.Block[inside^step]
		if 2*step == c.Size() {
			if err := n.last(x, part, first, first+size); err != nil {
				return err
			}
		} else if err := n.Add(x[first:first+size], part[first:first+size], false); err != nil {
			return err
		}
	}
	if block < c.Size() {
		err := Sum(ctx, across{c, block}, x[first:first+size], n.Other, n.Add)
		if err != nil {
			return err
		}
		if n.Done != nil {
			if err := n.Done(first, x[first:first+size]); err != nil {
				return err
			}
		}
	}
	if err := n.meet(ctx, c); err != nil { // all have what others take
		return err
	}
	for other := 1; other < block; other++ {
		other := inside ^ other
		first, end := n.Owns(other, len(x))
		theirs := n.Block[other][first:end]
		if n.Take == nil {
			copy(x[first:end], theirs)
		} else if err := n.Take(first, theirs); err != nil {
			return err
		}
	}
	return n.meet(ctx, c) // nobody writes what another still reads
}

// last adds the last rank's part to x[first:end], which is the sum over all then.
func (n *Near) last(x, part []float32, first, end int) error {
	piece := end - first
	if n.Done != nil && n.Piece > 0 {
		piece = n.Piece
	}
	for first < end {
		until := min(first+piece, end)
		if err := n.Add(x[first:until], part[first:until], true); err != nil {
			return err
		}
		if n.Done != nil {
			if err := n.Done(first, x[first:until]); err != nil {
				return err
			}
		}
		first = until
	}
	return nil
}

// meet waits for all ranks of the block.
func (n *Near) meet(ctx context.Context, c Communicator) error {
	for step := 1; step < len(n.Block); step *= 2 {
		if err := c.Exchange(ctx, c.Rank()^step, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// across is one rank of each block, those in the same place.
type across struct {
	Communicator
	block int
}

func (a across) Rank() int { return a.Communicator.Rank() / a.block }

func (a across) Size() int { return a.Communicator.Size() / a.block }

func (a across) Exchange(ctx context.Context, peer int, to, from []byte) error {
	return a.Communicator.Exchange(ctx, peer*a.block+a.Communicator.Rank()%a.block, to, from)
}
