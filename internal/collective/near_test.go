package collective_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/collective"
)

// Whatever ranks read of each other, the sum has the bits of the tree, on all of them; what is the
// sum over all is said so, once of each number. It is taken again and again, since a rank must not
// write what another still reads.
func TestSumNear(t *testing.T) {
	everyBlock(t, func(c collective.Communicator, ranks, n int, near *collective.Near,
		x []float32) error {
		doubled := 0
		near.Add = doubling(&doubled)
		if err := collective.SumNear(t.Context(), c, x, near); err != nil {
			return err
		}
		want := tree(ranks, n)
		for i := range want {
			want[i] *= 2
		}
		switch {
		case ranks > 1 && doubled != n/ranks:
			return fmt.Errorf("%d of %d numbers are the sum over all, want %d", doubled, n, n/ranks)
		case ranks > 1 && !slices.Equal(x, want):
			return fmt.Errorf("blocks of %d: %v, want %v", len(near.Block), x, want)
		}
		return nil
	})
}

// What a rank makes of its part of the sum, whole or piece by piece, is what the others of its block
// take, each of it once.
func TestSumNearDone(t *testing.T) {
	for _, piece := range []int{0, 1, 3, 1000} {
		everyBlock(t, func(c collective.Communicator, ranks, n int, near *collective.Near,
			x []float32) error {
			got := make([]float32, n)
			near.Add, near.Piece = add, piece
			own, end := near.Owns(c.Rank()%len(near.Block), n)
			near.Done = func(first int, total []float32) error {
				if first != own {
					return fmt.Errorf("done from %d on, want %d", first, own)
				}
				own += len(total)
				for i := range total {
					total[i] = -total[i]
					got[first+i] += total[i]
				}
				return nil
			}
			near.Take = func(first int, theirs []float32) error {
				for i, x := range theirs {
					got[first+i] += x
				}
				return nil
			}
			if err := collective.SumNear(t.Context(), c, x, near); err != nil || ranks == 1 {
				return err
			}
			want := tree(ranks, n)
			for i := range want {
				want[i] = -want[i]
			}
			if own != end || !slices.Equal(got, want) {
				return fmt.Errorf("blocks of %d in pieces of %d: %v, want %v", len(near.Block), piece,
					got, want)
			}
			return nil
		})
	}
}

// everyBlock has numbers of ranks, which read each other by blocks of every size, added up again
// and again.
func everyBlock(t *testing.T, sum func(c collective.Communicator, ranks, n int,
	near *collective.Near, x []float32) error) {
	t.Helper()
	for _, ranks := range []int{1, 2, 4, 8, 16} {
		for block := 1; block <= ranks; block *= 2 {
			n := 7 * ranks
			all := make([][]float32, ranks)
			for rank := range all {
				all[rank] = make([]float32, n)
			}
			on(t, ranks, func(c collective.Communicator) error {
				first := c.Rank() / block * block
				for range 50 {
					copy(all[c.Rank()], numbers(c.Rank(), n))
					if err := collective.Share(t.Context(), c, make([]byte, ranks)); err != nil {
						return err
					}
					near := &collective.Near{Block: all[first : first+block],
						Other: make([]float32, ranks)}
					if err := sum(c, ranks, n, near, all[c.Rank()]); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
}

func TestSumNearRejectsLengths(t *testing.T) {
	on(t, 4, func(c collective.Communicator) error {
		x := make([]float32, 6)
		err := collective.SumNear(t.Context(), c, x, &collective.Near{
			Block: [][]float32{x}, Other: x, Add: add})
		if err == nil || !strings.Contains(err.Error(), "a sum of 6 numbers over 4 ranks") {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}
