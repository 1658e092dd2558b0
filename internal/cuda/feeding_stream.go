//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"
)

// StreamsVariable is the environment variable that has all work in one stream when it is "1": a
// batch that is fed is then copied between two steps, and not during one, and gradients of
// parameters are computed between those that go on to the layers before, and not beside them.
const StreamsVariable = "SLIPWAY_CUDA_STREAMS"

// landing is where batches that are fed arrive on the device, in a stream of their own: while a step
// computes its batch, the next one is copied there. It is brought from there to where the step reads
// it in the stream of the steps, at the rate of the device's memory, so that a step is one graph
// with the same addresses each time.
//
// Two events keep the streams apart: a copy waits until the batch before it was brought on, and what
// brings a batch on waits until that was copied.
type landing struct {
	memory pool
	block  *buffer
	stream cu.Stream // not there yet if it is the zero value
	taken  cu.Event  // the batch that was copied last was brought on
	has    bool      // the event
	filled bool      // a batch was brought on, and the event recorded
}

// fit makes room for so many bytes.
func (l *landing) fit(g *gpu, bytes int64) (err error) {
	if l.stream == (cu.Stream{}) {
		if l.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
			return called("cuStreamCreate", err)
		}
	}
	if !l.has {
		if l.taken, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return called("cuEventCreate", err)
		}
		l.has = true
	}
	if l.block != nil && bytes <= l.block.bytes {
		return nil
	}
	// A larger batch than before, which happens once or twice in a run.
	if err := errors.Join(l.wait(), waitFor(g.stream), l.memory.free()); err != nil {
		return err
	}
	l.memory.gpu, l.block, l.filled = g, nil, false
	l.block, err = l.memory.allocate("a batch that is copied during a step", bytes)
	return err
}

// copy puts a copy of the staging's batch into the landing's stream, and what brings it on into the
// stream of the steps.
func (l *landing) copy(g *gpu, s *staging, to *buffer) error {
	if err := l.fit(g, to.bytes); err != nil {
		return fmt.Errorf("a batch to be fed: %w; %s=1 copies between steps, without memory of its own",
			err, StreamsVariable)
	}
	if l.filled {
		if err := l.stream.Wait(l.taken, 0); err != nil {
			return called("cuStreamWaitEvent", err)
		}
	}
	g.count.Copies++
	err := cu.MemcpyHtoDAsync(l.block.address, s.memory, to.bytes, l.stream)
	if err != nil {
		return called("cuMemcpyHtoDAsync", err)
	}
	if err := s.copied.Record(l.stream); err != nil {
		// Nothing else says when the copy is done.
		return errors.Join(called("cuEventRecord", err), l.wait())
	}
	s.underWay = true
	if err := g.stream.Wait(s.copied, 0); err != nil {
		return called("cuStreamWaitEvent", err)
	}
	g.count.Launches++
	if err := copyAsync(to.address, l.block.address, to.bytes, g.stream); err != nil {
		return err
	}
	l.filled = true
	return called("cuEventRecord", l.taken.Record(g.stream))
}

// wait waits for the copies.
func (l *landing) wait() error {
	if l.stream == (cu.Stream{}) {
		return nil
	}
	return waitFor(l.stream)
}

// close waits for the copies, and frees what they went by.
func (l *landing) close() error {
	all := []error{l.wait(), l.memory.free()}
	if l.has {
		all = append(all, called("cuEventDestroy", cu.DestroyEvent(&l.taken)))
	}
	if l.stream != (cu.Stream{}) {
		all = append(all, called("cuStreamDestroy", l.stream.Destroy()))
	}
	*l = landing{}
	return errors.Join(all...)
}
