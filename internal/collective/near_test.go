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
	for _, ranks := range []int{1, 2, 4, 8, 16} {
		for block := 1; block <= ranks; block *= 2 {
			n := 7 * ranks
			want := tree(ranks, n)
			for i := range want {
				want[i] *= 2
			}
			all := make([][]float32, ranks)
			for rank := range all {
				all[rank] = make([]float32, n)
			}
			on(t, ranks, func(c collective.Communicator) error {
				first := c.Rank() / block * block
				x, near := all[c.Rank()], all[first:first+block]
				for range 50 {
					copy(x, numbers(c.Rank(), n))
					if err := collective.Share(t.Context(), c, make([]byte, ranks)); err != nil {
						return err
					}
					doubled := 0
					err := collective.SumNear(t.Context(), c, x, near, make([]float32, ranks),
						func(total, part []float32, all bool) error {
							if err := add(total, part, all); err != nil || !all {
								return err
							}
							doubled += len(total)
							for i := range total {
								total[i] *= 2
							}
							return nil
						})
					switch {
					case err != nil:
						return err
					case ranks > 1 && doubled != n/ranks:
						return fmt.Errorf("%d of %d numbers are the sum over all, want %d", doubled, n, n/ranks)
					case ranks > 1 && !slices.Equal(x, want):
						return fmt.Errorf("blocks of %d: %v, want %v", block, x, want)
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
		err := collective.SumNear(t.Context(), c, x, [][]float32{x}, x, add)
		if err == nil || !strings.Contains(err.Error(), "a sum of 6 numbers over 4 ranks") {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}
