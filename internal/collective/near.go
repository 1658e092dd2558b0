package collective

import (
	"context"
	"fmt"
)

// SumNear is Sum of ranks that read each other's numbers where they lie, with the same bits. Of a
// block of ranks, as many as near has slices and a power of two, the first begins at a multiple of
// that; near[i] is what the block's i-th rank gives as x. Its ranks read what they add, and what
// others have added, and send empty messages, which say when; blocks send each other what is left,
// a part of it for each of a block's ranks, as Sum does.
//
// When it is called, all ranks must have exchanged messages since any of them has written its x.
func SumNear(ctx context.Context, c Communicator, x []float32, near [][]float32, other []float32,
	add func(total, part []float32, all bool) error) error {
	block := len(near)
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
		part := near[inside^step][first : first+size]
		if err := add(x[first:first+size], part, 2*step == c.Size()); err != nil {
			return err
		}
	}
	if block < c.Size() {
		if err := Sum(ctx, across{c, block}, x[first:first+size], other, add); err != nil {
			return err
		}
	}
	for step := block / 2; step >= 1; step /= 2 {
		if err := c.Exchange(ctx, c.Rank()^step, nil, nil); err != nil {
			return err
		}
		theirs := beside(first, size, c.Rank()&step != 0)
		copy(x[theirs:theirs+size], near[inside^step][theirs:theirs+size])
		first, size = min(first, theirs), 2*size
	}
	// Nobody writes what another still reads.
	for step := 1; step < block; step *= 2 {
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
