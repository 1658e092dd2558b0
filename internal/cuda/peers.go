//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"gorgonia.org/cu"

	"slipway/internal/collective"
	"slipway/internal/device"
	"slipway/internal/nccl"
)

// peers are the GPUs of all ranks of a run, this one among them, as NCCL joins them.
type peers struct {
	comm       *nccl.Comm // nil once it was given up
	rank, size int
	patience   time.Duration
}

var _ device.Joiner = (*gpu)(nil)

// Model implements device.Joiner.
func (g *gpu) Model() string {
	_, model, _ := strings.Cut(g.name, " ")
	return "cuda " + model
}

// introduction is what a rank tells the others before any of them waits within NCCL, where nothing
// could be told any more.
type introduction struct {
	GPU     string // its UUID
	Version string // of NCCL
	ID      []byte // of rank 0
	Problem string
}

// Join implements device.Joiner.
func (g *gpu) Join(ctx context.Context, ranks collective.Communicator,
	patience time.Duration) error {
	if g.peers != nil {
		return errors.New("the GPU has joined others before")
	}
	own := g.introduce(ranks.Rank())
	raw, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("tell the other ranks of this GPU: %w", err)
	}
	all, err := collective.Gather(ctx, ranks, raw)
	if err != nil {
		return err
	}
	introductions := make([]introduction, len(all))
	for rank, raw := range all {
		if err := json.Unmarshal(raw, &introductions[rank]); err != nil {
			return fmt.Errorf("rank %d says of its GPU what cannot be read: %w", rank, err)
		}
	}
	if err := compare(introductions); err != nil {
		return err
	}
	var id nccl.ID
	if copy(id[:], introductions[0].ID) != len(id) {
		return fmt.Errorf("rank 0 says an ID of %d bytes for NCCL, want %d", len(introductions[0].ID),
			len(id))
	}
	var comm *nccl.Comm
	err = g.thread.doWithin(patience, func() (err error) {
		if comm, err = nccl.Join(id, ranks.Rank(), ranks.Size()); err != nil {
			err = fmt.Errorf("join the GPUs of %d ranks: %w", ranks.Size(), err)
		}
		return err
	})
	if errors.Is(err, errLost) {
		return fmt.Errorf("the GPUs of %d ranks have not joined within %v (-mpi-timeout): a rank has "+
			"ended, or NCCL takes a network by which not all reach each other (NCCL_SOCKET_IFNAME names "+
			"another, and NCCL_DEBUG=INFO has it say which it takes)", ranks.Size(), patience)
	}
	if err != nil {
		return err
	}
	g.peers = &peers{comm: comm, rank: ranks.Rank(), size: ranks.Size(), patience: patience}
	return nil
}

// introduce is what this rank tells the others.
func (g *gpu) introduce(rank int) introduction {
	library, err := nccl.Find()
	if err != nil {
		return introduction{Problem: err.Error()}
	}
	own := introduction{Version: library.Version}
	err = g.thread.do(func() error {
		uuid, err := g.device.UUID()
		if err != nil {
			return called("cuDeviceGetUuid", err)
		}
		own.GPU = uuid.String()
		if rank > 0 {
			return nil
		}
		id, err := nccl.NewID()
		own.ID = id[:]
		return err
	})
	if err != nil {
		own.Problem = err.Error()
	}
	return own
}

// compare reports why ranks cannot exchange, which all of them find alike.
func compare(all []introduction) error {
	for rank, one := range all {
		if one.Problem != "" {
			return &device.JoinError{Rank: rank, Reason: one.Problem}
		}
	}
	of := make(map[string]int)
	for rank, one := range all {
		if other, ok := of[one.GPU]; ok {
			return &device.JoinError{Rank: -1, Reason: fmt.Sprintf("ranks %d and %d have the same GPU, "+
				"%s, and NCCL joins none with itself: start one rank a GPU, and have the launcher give "+
				"each its own (docs/scale.md)", other, rank, one.GPU)}
		}
		of[one.GPU] = rank
		if one.Version != all[0].Version {
			return &device.JoinError{Rank: -1, Reason: fmt.Sprintf("NCCL is %s on rank 0 and %s on rank "+
				"%d: install one release of it on all machines, or name its file with %s",
				all[0].Version, one.Version, rank, nccl.LibraryVariable)}
		}
	}
	return nil
}

// exchange puts messages into a stream.
func (p *peers) exchange(s cu.Stream, messages []nccl.Message) error {
	if p.comm == nil {
		return errors.New("the exchanges of the ranks were given up before")
	}
	return p.comm.Exchange(unsafe.Pointer(stream(s)), messages...)
}

// leave frees what joins the ranks. All graphs with exchanges are destroyed before, and the stream
// has ended.
func (p *peers) leave() error {
	if p == nil || p.comm == nil {
		return nil
	}
	comm := p.comm
	p.comm = nil
	return comm.Close()
}

// abort ends exchanges that may never end by themselves.
func (p *peers) abort(why error) error {
	comm := p.comm
	p.comm = nil
	return errors.Join(why, comm.Abort())
}

// wait waits for all that was launched.
func (g *gpu) wait() error { return errors.Join(g.waitForSteps(), g.second.wait()) }

// waitForSteps waits for the stream of the steps. Where it may wait for other ranks, it looks for
// what has failed of an exchange meanwhile, and gives up after the ranks' patience: a rank that is
// gone leaves a kernel of NCCL's behind that never ends, and nobody but Abort ends it.
func (g *gpu) waitForSteps() error {
	if g.peers == nil {
		return waitFor(g.stream)
	}
	return g.watch("cuStreamQuery", g.stream.Query)
}

// waitForEvent is wait for what was in the stream when the event was recorded.
func (g *gpu) waitForEvent(event cu.Event) error {
	if g.peers == nil {
		return called("cuEventSynchronize", event.Synchronize())
	}
	return g.watch("cuEventQuery", event.Query)
}

// watch asks again and again whether work has ended. Work that was given up is waited for, too: its
// memory is freed next.
func (g *gpu) watch(call string, query func() error) error {
	const look = 50 * time.Microsecond
	p := g.peers
	var lost error
	for began := time.Now(); ; time.Sleep(look) {
		err := query()
		if err == nil || !errors.Is(err, cu.NotReady) {
			return errors.Join(lost, called(call, err))
		}
		late := time.Since(began) > p.patience
		switch {
		case p.comm != nil:
			why := p.comm.AsyncError()
			if why == nil && late {
				why = fmt.Errorf("another rank has not answered within NCCL for %v: it has ended, hangs, "+
					"or needs more time (-mpi-timeout)", p.patience)
			}
			if why != nil {
				lost, began = p.abort(why), time.Now()
			}
		case late:
			return errors.Join(lost, fmt.Errorf("%s: what was given up has not ended within %v", call,
				p.patience))
		}
	}
}
