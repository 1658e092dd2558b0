package train

import (
	"context"
	"fmt"
	"sync"
)

// LocalRank is one of several ranks that are goroutines of one process: for tests, and to see that
// the number of ranks does not change a run.
type LocalRank struct {
	rank  int
	wires [][]chan []byte // from, to
	left  []chan struct{} // of each rank: closed once it has left
	leave func()
}

// LocalRanks returns so many ranks that know each other, each for a goroutine of its own, to be
// closed by it.
func LocalRanks(size int) []*LocalRank {
	wires, left := make([][]chan []byte, size), make([]chan struct{}, size)
	for from := range wires {
		left[from] = make(chan struct{})
		for range size {
			wires[from] = append(wires[from], make(chan []byte, 1))
		}
	}
	ranks := make([]*LocalRank, size)
	for rank := range ranks {
		leave := sync.OnceFunc(func() { close(left[rank]) })
		ranks[rank] = &LocalRank{rank: rank, wires: wires, left: left, leave: leave}
	}
	return ranks
}

// Rank is 0…Size−1.
func (r *LocalRank) Rank() int { return r.rank }

// Size is the number of ranks.
func (r *LocalRank) Size() int { return len(r.wires) }

// Exchange fails when the peer has left.
func (r *LocalRank) Exchange(ctx context.Context, peer int, to, from []byte) error {
	select {
	case r.wires[r.rank][peer] <- append([]byte(nil), from...):
	case <-r.left[peer]:
		return fmt.Errorf("rank %d has left", peer)
	case <-ctx.Done():
		return ctx.Err()
	}
	var message []byte
	select {
	case message = <-r.wires[peer][r.rank]:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.left[peer]:
		select { // what it sent before still counts
		case message = <-r.wires[peer][r.rank]:
		default:
			return fmt.Errorf("rank %d has left", peer)
		}
	}
	if len(message) != len(to) {
		return fmt.Errorf("rank %d sends %d bytes, and %d are expected", peer, len(message), len(to))
	}
	copy(to, message)
	return nil
}

// Close leaves the others, whose exchanges with this rank fail from then on.
func (r *LocalRank) Close() { r.leave() }
