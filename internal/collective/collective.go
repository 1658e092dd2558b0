// Package collective is what several processes, ranks, do together over one operation: two of them
// exchange bytes. Who sends what to whom, and in which order numbers are added, is said here and
// nowhere else, so that no result depends on the library that moves the bytes.
//
// The number of ranks is a power of two. All of them must call the same functions in the same
// order; lengths that they have to agree on are said with each function.
package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"unsafe"
)

// Communicator moves bytes between ranks 0…Size−1.
type Communicator interface {
	Rank() int
	Size() int
	// Exchange sends from to the peer and fills to with what the peer sends at the same time.
	Exchange(ctx context.Context, peer int, to, from []byte) error
}

// Share makes blocks, one of each rank and all of one length, known to all of them: block r is rank
// r's. It doubles what a rank knows in each round.
func Share(ctx context.Context, c Communicator, blocks []byte) error {
	size := len(blocks) / c.Size()
	first := c.Rank() * size
	for step := 1; step < c.Size(); step *= 2 {
		other := beside(first, size, c.Rank()&step != 0)
		err := c.Exchange(ctx, c.Rank()^step, blocks[other:other+size], blocks[first:first+size])
		if err != nil {
			return err
		}
		first, size = min(first, other), 2*size
	}
	return nil
}

// beside returns where the block beside one begins, that of the other half.
func beside(first, size int, upper bool) int {
	if upper {
		return first - size
	}
	return first + size
}

// Gather returns what each rank gives, of any length, to all.
func Gather(ctx context.Context, c Communicator, own []byte) ([][]byte, error) {
	const word = 8
	lengths := make([]byte, word*c.Size())
	binary.LittleEndian.PutUint64(lengths[word*c.Rank():], uint64(len(own)))
	if err := Share(ctx, c, lengths); err != nil {
		return nil, err
	}
	each, size := make([]int, c.Size()), 0
	for rank := range each {
		each[rank] = int(binary.LittleEndian.Uint64(lengths[word*rank:]))
		size = max(size, each[rank])
	}
	blocks := make([]byte, size*c.Size())
	copy(blocks[size*c.Rank():], own)
	if err := Share(ctx, c, blocks); err != nil {
		return nil, err
	}
	all := make([][]byte, c.Size())
	for rank, length := range each {
		all[rank] = blocks[rank*size : rank*size+length]
	}
	return all, nil
}

// Broadcast returns rank 0's bytes on all ranks; what the others give is not looked at.
func Broadcast(ctx context.Context, c Communicator, data []byte) ([]byte, error) {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
	if err := fromZero(ctx, c, length[:]); err != nil {
		return nil, err
	}
	if c.Rank() > 0 {
		data = make([]byte, binary.LittleEndian.Uint64(length[:]))
	}
	return data, fromZero(ctx, c, data)
}

// fromZero fills everyone's data, of one length, with rank 0's.
func fromZero(ctx context.Context, c Communicator, data []byte) error {
	rank := c.Rank()
	for step := 1; step < c.Size(); step *= 2 {
		var err error
		switch {
		case rank < step && rank+step < c.Size():
			err = c.Exchange(ctx, rank+step, nil, data)
		case rank >= step && rank < 2*step:
			err = c.Exchange(ctx, rank-step, data, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sum adds up the ranks' numbers in a binary tree, neighbours first:
//
//	(x₀+x₁) + (x₂+x₃)
//
// All ranks end with the sum, which has the same bits on all. Each round halves what a rank adds,
// then the parts are made known: recursive halving and doubling (Thakur, Rabenseifner and Gropp
// 2005). The length of x is the same on all ranks and a multiple of their number; other is memory
// half as long. Function add adds the second slice to the first.
func Sum(ctx context.Context, c Communicator, x, other []float32,
	add func(total, part []float32) error) error {
	if len(x)%c.Size() != 0 || 2*len(other) < len(x) {
		return fmt.Errorf("a sum of %d numbers over %d ranks in memory for %d",
			len(x), c.Size(), len(other))
	}
	first, size := 0, len(x)
	for step := 1; step < c.Size(); step *= 2 {
		size /= 2
		keep, give := first, first+size
		if c.Rank()&step != 0 {
			keep, give = give, keep
		}
		err := c.Exchange(ctx, c.Rank()^step, bytesOf(other[:size]), bytesOf(x[give:give+size]))
		if err != nil {
			return err
		}
		if err := add(x[keep:keep+size], other[:size]); err != nil {
			return err
		}
		first = keep
	}
	for step := c.Size() / 2; step >= 1; step /= 2 {
		theirs := beside(first, size, c.Rank()&step != 0)
		err := c.Exchange(ctx, c.Rank()^step, bytesOf(x[theirs:theirs+size]), bytesOf(x[first:first+size]))
		if err != nil {
			return err
		}
		first, size = min(first, theirs), 2*size
	}
	return nil
}

// bytesOf returns numbers as they lie in memory: all ranks are of one kind of processor.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
