//go:build gpu && linux && amd64

package cuda

import "slipway/internal/nccl"

// exchange appends what makes of the sum over a rank's shards, x, the sum over all ranks': by
// recursive halving and doubling, as internal/collective has it on the CPU (Thakur, Rabenseifner and
// Gropp 2005). What is added in which order is said here: neighbours first, as the shards of a rank
// are. NCCL's own sum is taken by an algorithm that it chooses by the number of ranks, by what is
// between them and by its release, a ring or a tree, and the bits of a run would follow that choice.
//
// All is in the session's stream, so that nothing has to wait for anything but what is before it
// there. The figures of the shards, a few bytes, go along with the halves. The sum over all is
// multiplied by after, each value on the rank that adds it up.
func (s *session) exchange(p *program, d *dealt, x *buffer, after float32) error {
	rank, ranks := s.gpu.peers.rank, s.gpu.peers.size
	first, size := 0, d.length
	for step := 1; step < ranks; step *= 2 {
		size /= 2
		keep, give := first, first+size
		if rank&step != 0 {
			keep, give = give, keep
		}
		known, unknown := rank&^(step-1), rank&^(step-1)^step // what a node of so many ranks has
		own, theirs := d.figuresOf(known*d.each, step*d.each), d.figuresOf(unknown*d.each, step*d.each)
		s.swap(p, rank^step, values(x, give, size), values(d.other, 0, size),
			nccl.Message{Send: uintptr(own.address), Receive: uintptr(theirs.address),
				Count: int(own.bytes), Bytes: true})
		factor := float32(1)
		if 2*step == ranks {
			factor = after
		}
		sum, err := s.gpu.kernel("add_shards", size, 1, values(x, keep, size), d.other, factor, size)
		if err != nil {
			return err
		}
		p.launches = append(p.launches, sum)
		first = keep
	}
	for step := ranks / 2; step >= 1; step /= 2 {
		theirs := first + size
		if rank&step != 0 {
			theirs = first - size
		}
		s.swap(p, rank^step, values(x, first, size), values(x, theirs, size))
		first, size = min(first, theirs), 2*size
	}
	return nil
}

// values is a part of a buffer of float32.
func values(b *buffer, first, n int) *buffer { return b.part(4*int64(first), 4*int64(n)) }

// swap appends an exchange with a peer of as many values each way, and of other messages.
func (s *session) swap(p *program, peer int, send, receive *buffer, others ...nccl.Message) {
	messages := append([]nccl.Message{{Send: uintptr(send.address),
		Receive: uintptr(receive.address), Count: int(send.bytes / 4)}}, others...)
	for i := range messages {
		messages[i].Peer = peer
	}
	p.launches = append(p.launches, launch{name: "ncclSend and ncclRecv", run: func(on *lane) error {
		return s.gpu.peers.exchange(on.stream, messages)
	}})
}
