package collective_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/internal/collective"
	"slipway/train"
)

// on runs a function on each of so many ranks.
func on(t *testing.T, ranks int, do func(c collective.Communicator) error) {
	t.Helper()
	failures := make([]error, ranks)
	var all sync.WaitGroup
	for _, rank := range train.LocalRanks(ranks) {
		all.Go(func() {
			defer rank.Close()
			failures[rank.Rank()] = do(rank)
		})
	}
	all.Wait()
	for rank, err := range failures {
		if err != nil {
			t.Errorf("rank %d of %d: %v", rank, ranks, err)
		}
	}
}

func add(total, part []float32, _ bool) error {
	for i, x := range part {
		total[i] += x
	}
	return nil
}

// numbers of a rank, whose sum depends on the order.
func numbers(rank, n int) []float32 {
	source := rand.New(rand.NewPCG(7, uint64(rank)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(source.NormFloat64())
	}
	return x
}

// tree is the sum as it is written down in Sum.
func tree(ranks, n int) []float32 {
	var level [][]float32
	for rank := range ranks {
		level = append(level, numbers(rank, n))
	}
	for len(level) > 1 {
		var next [][]float32
		for i := 0; i < len(level); i += 2 {
			_ = add(level[i], level[i+1], false)
			next = append(next, level[i])
		}
		level = next
	}
	return level[0]
}

func TestSum(t *testing.T) {
	for _, ranks := range []int{1, 2, 4, 8, 16} {
		for _, each := range []int{0, 1, 3, 16} {
			n := each * ranks
			want := tree(ranks, n)
			on(t, ranks, func(c collective.Communicator) error {
				x := numbers(c.Rank(), n)
				if err := collective.Sum(context.Background(), c, x, make([]float32, n), add); err != nil {
					return err
				}
				if !slices.Equal(x, want) {
					return fmt.Errorf("%d numbers: %v, want %v", n, x, want)
				}
				return nil
			})
		}
	}
}

// doubling returns add, which doubles what is the sum over all, and counts it.
func doubling(doubled *int) func(total, part []float32, all bool) error {
	return func(total, part []float32, all bool) error {
		if err := add(total, part, all); err != nil || !all {
			return err
		}
		*doubled += len(total)
		for i := range total {
			total[i] *= 2
		}
		return nil
	}
}

// Where there is memory for less than half of the numbers, they are added up in pieces: the last is
// shorter here. What is said of a sum over all ranks is said once of each number.
func TestSumInPieces(t *testing.T) {
	for _, ranks := range []int{2, 4, 8} {
		n := 7 * ranks
		want := tree(ranks, n)
		for i := range want {
			want[i] *= 2
		}
		on(t, ranks, func(c collective.Communicator) error {
			x, other := numbers(c.Rank(), n), make([]float32, 2*ranks)
			doubled := 0
			err := collective.Sum(t.Context(), c, x, other, doubling(&doubled))
			if err == nil && doubled != n/ranks {
				err = fmt.Errorf("%d of %d numbers are the sum over all, want %d", doubled, n, n/ranks)
			}
			if err == nil && !slices.Equal(x, want) {
				err = fmt.Errorf("%v, want %v", x, want)
			}
			return err
		})
	}
}

// Pieces have messages of 1 MB at least, and one at most is shorter.
func TestRoom(t *testing.T) {
	for _, test := range []struct{ numbers, ranks, room, pieces int }{
		{1 << 10, 2, 1 << 9, 1},
		{1 << 19, 2, 1 << 18, 1},
		{1<<19 + 2, 2, 1 << 18, 2},
		{11 << 20, 2, 1 << 18, 22},
		{11 << 20, 8, 1 << 20, 6},
		{11 << 20, 64, 11 << 19, 1},
	} {
		room := collective.Room(test.numbers, test.ranks)
		pieces := collective.Pieces(test.numbers, test.ranks)
		if room != test.room || pieces != test.pieces {
			t.Errorf("%d numbers of %d ranks: room for %d, %d pieces, want %d and %d", test.numbers,
				test.ranks, room, pieces, test.room, test.pieces)
		}
		if least := (test.numbers + 2*room - 1) / (2 * room); least != pieces {
			t.Errorf("%d numbers with room for %d: %d pieces, want %d", test.numbers, room, least, pieces)
		}
	}
}

func TestSumRejectsLengths(t *testing.T) {
	on(t, 4, func(c collective.Communicator) error {
		for _, lengths := range [][2]int{{6, 4}, {8, 3}, {8, 0}} {
			err := collective.Sum(context.Background(), c, make([]float32, lengths[0]),
				make([]float32, lengths[1]), add)
			if err == nil || !strings.Contains(err.Error(), "numbers over 4 ranks") {
				return fmt.Errorf("%v: %v", lengths, err)
			}
		}
		return nil
	})
}

// Merge keeps to the tree and to its sides: the function is not symmetric.
func TestMerge(t *testing.T) {
	merge := func(left, right []float64) {
		for i := range left {
			left[i] += 0.3*right[i] + left[i]*right[i]
		}
	}
	leaf := func(rank int) []float64 {
		var x []float64
		for _, value := range numbers(rank, 5) {
			x = append(x, float64(value))
		}
		return x
	}
	for _, ranks := range []int{1, 2, 4, 8} {
		var tree [][]float64
		for rank := range ranks {
			tree = append(tree, leaf(rank))
		}
		for step := 1; step < ranks; step *= 2 {
			for i := 0; i < ranks; i += 2 * step {
				merge(tree[i], tree[i+step])
			}
		}
		on(t, ranks, func(c collective.Communicator) error {
			got, err := collective.Merge(t.Context(), c, leaf(c.Rank()), make([]float64, 5), merge)
			if err == nil && !slices.Equal(got, tree[0]) {
				err = fmt.Errorf("%v, want %v", got, tree[0])
			}
			return err
		})
	}
	on(t, 1, func(c collective.Communicator) error {
		_, err := collective.Merge(t.Context(), c, make([]float64, 2), nil, merge)
		if err == nil || !strings.Contains(err.Error(), "2 numbers are merged in memory for 0") {
			return fmt.Errorf("lengths: %v", err)
		}
		return nil
	})
}

func TestGatherAndBroadcast(t *testing.T) {
	text := func(rank int) []byte { return bytes.Repeat([]byte{byte('a' + rank)}, rank*rank) }
	for _, ranks := range []int{1, 2, 4, 8, 16} {
		on(t, ranks, func(c collective.Communicator) error {
			ctx := context.Background()
			all, err := collective.Gather(ctx, c, text(c.Rank()))
			if err != nil {
				return err
			}
			for rank, got := range all {
				if !bytes.Equal(got, text(rank)) {
					return fmt.Errorf("gathered %q from rank %d, want %q", got, rank, text(rank))
				}
			}
			for _, want := range []string{"", "weights of rank 0"} {
				own := []byte("of another")
				if c.Rank() == 0 {
					own = []byte(want)
				}
				got, err := collective.Broadcast(ctx, c, own)
				if err != nil {
					return err
				}
				if string(got) != want {
					return fmt.Errorf("broadcast %q, want %q", got, want)
				}
			}
			return nil
		})
	}
}

// cut is a communicator whose second exchange fails.
type cut struct {
	collective.Communicator
	left int
}

func (c *cut) Exchange(ctx context.Context, peer int, to, from []byte) error {
	if c.left--; c.left < 0 {
		return fmt.Errorf("the wire to rank %d is cut", peer)
	}
	return c.Communicator.Exchange(ctx, peer, to, from)
}

// What an exchange says is said on, wherever it fails.
func TestAFailedExchange(t *testing.T) {
	for left := range 4 {
		on(t, 4, func(c collective.Communicator) error {
			cut := &cut{c, left}
			x := make([]float32, 8)
			err := collective.Sum(context.Background(), cut, x, make([]float32, 4), add)
			if err == nil || !strings.Contains(err.Error(), "cut") &&
				!strings.Contains(err.Error(), "has left") {
				return fmt.Errorf("after %d exchanges: %v", left, err)
			}
			return nil
		})
	}
}
