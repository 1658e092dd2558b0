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
// 2005). That is done piece by piece, of twice as many numbers as other is memory for, so that what
// was received is added, and the sum sent on, while it is in a cache. The length of x, and twice
// that of other, are multiples of the number of ranks and the same on all.
//
// Function add adds the second slice to the first; all says that this makes it the sum over all
// ranks, which happens to each number on one of them.
func Sum(ctx context.Context, c Communicator, x, other []float32,
	add func(total, part []float32, all bool) error) error {
	piece := 2 * len(other)
	if len(x)%c.Size() != 0 || piece%c.Size() != 0 || piece == 0 && len(x) > 0 {
		return fmt.Errorf("a sum of %d numbers over %d ranks in memory for %d",
			len(x), c.Size(), len(other))
	}
	for len(x) > 0 {
		size := min(piece, len(x))
		if err := sumPiece(ctx, c, x[:size], other, add); err != nil {
			return err
		}
		x = x[size:]
	}
	return nil
}

// pieceNumbers are how many numbers of a piece are for each rank: messages of 1 MB at least, whose
// bytes take longer than they wait, and which a cache holds.
const pieceNumbers = 1 << 18

// Room is how many numbers Sum is given memory for to add up so many over ranks, two or more.
func Room(numbers, ranks int) int { return min(numbers, pieceNumbers*ranks) / 2 }

// Pieces is in how many pieces Sum goes with that.
func Pieces(numbers, ranks int) int {
	return (numbers + pieceNumbers*ranks - 1) / (pieceNumbers * ranks)
}

// sumPiece is Sum of numbers whose half other has room for.
func sumPiece(ctx context.Context, c Communicator, x, other []float32,
	add func(total, part []float32, all bool) error) error {
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
		if err := add(x[keep:keep+size], other[:size], 2*step == c.Size()); err != nil {
			return err
		}
		first = keep
	}
	for step := c.Size() / 2; step >= 1; step /= 2 {
		theirs := beside(first, size, c.Rank()&step != 0)
		err := c.Exchange(ctx, c.Rank()^step, bytesOf(x[theirs:theirs+size]),
			bytesOf(x[first:first+size]))
		if err != nil {
			return err
		}
		first, size = min(first, theirs), 2*size
	}
	return nil
}

// Merge brings together what each rank has, in the tree of Sum, by a function that makes of its
// left argument both. All ranks end with the same bits, in the slice that is returned: own or
// other, which are of one length on all ranks. A round carries all of it, so that there are half as
// many as Sum has: for what is short, where a message costs more than its bytes.
func Merge(ctx context.Context, c Communicator, own, other []float64,
	merge func(left, right []float64)) ([]float64, error) {
	if len(own) != len(other) {
		return nil, fmt.Errorf("%d numbers are merged in memory for %d", len(own), len(other))
	}
	for step := 1; step < c.Size(); step *= 2 {
		if err := c.Exchange(ctx, c.Rank()^step, bytesOf(other), bytesOf(own)); err != nil {
			return nil, err
		}
		if c.Rank()&step != 0 {
			own, other = other, own
		}
		merge(own, other)
	}
	return own, nil
}

// bytesOf returns numbers as they lie in memory: all ranks are of one kind of processor.
func bytesOf[T float32 | float64](x []T) []byte {
	size := int(unsafe.Sizeof(T(0)))
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), size*len(x))
}
