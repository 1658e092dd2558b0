//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"
)

// place says in which stream a launch is put, and what it waits for there.
type place int

const (
	ordered place = iota // in the stream of the steps, behind all that is before it in either
	past                 // in the stream of the steps, behind what is before it there
	beside               // in the second stream, behind all that is before it in either
)

// secondStream is beside that of the steps: gradients of parameters are computed in it, while the
// gradient goes on to the layers before. What reads them waits for it.
//
// Two events keep the streams apart, which are recorded again and again: a wait is for what its
// event was recorded behind when the wait was put into its stream. In a capture they are no work of
// the graph's, but its edges.
type secondStream struct {
	lane
	memory pool
	// begun is recorded in the stream of the steps, where the second one goes on from; done in the
	// second one, where that of the steps does.
	begun, done cu.Event
	events      int // of these, those that are there
	// forked says that the stream of the steps does not wait yet for what is in the second one, and
	// behind that it has got work since, which the second one does not know of.
	forked, behind bool
}

// openSecond makes the second stream, once.
func (g *gpu) openSecond() error {
	if g.second != nil {
		return nil
	}
	s := &secondStream{lane: lane{number: 1}, memory: pool{gpu: g}}
	if err := s.open(); err != nil {
		return errors.Join(s.told(err), s.close())
	}
	g.second = s
	return nil
}

func (s *secondStream) open() error {
	if err := s.openStream(); err != nil {
		return err
	}
	for _, event := range []*cu.Event{&s.begun, &s.done} {
		var err error
		if *event, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return called("cuEventCreate", err)
		}
		s.events++
	}
	return s.openLibraries(&s.memory)
}

// told says what failed, and how it can be done without.
func (*secondStream) told(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the second stream: %w; %s=1 has all work in one", err, StreamsVariable)
}

// put puts a launch where it belongs.
func (g *gpu) put(l launch) error {
	switch s := g.second; {
	case s == nil:
	case l.place == beside:
		if err := s.fork(g.stream); err != nil {
			return err
		}
		return l.run(&s.lane)
	case l.place == past:
		s.behind = true
	default:
		if err := s.join(g.stream); err != nil {
			return err
		}
	}
	return l.run(&g.lane)
}

// fork has the second stream wait for all that is in that of the steps.
func (s *secondStream) fork(steps cu.Stream) error {
	if s.forked && !s.behind {
		return nil
	}
	if err := s.begun.Record(steps); err != nil {
		return s.told(called("cuEventRecord", err))
	}
	if err := s.stream.Wait(s.begun, 0); err != nil {
		return s.told(called("cuStreamWaitEvent", err))
	}
	s.forked, s.behind = true, false
	return nil
}

// join has the stream of the steps wait for all that is in the second one; nothing if there is
// none.
func (s *secondStream) join(steps cu.Stream) error {
	if s == nil || !s.forked {
		return nil
	}
	if err := s.done.Record(s.stream); err != nil {
		return s.told(called("cuEventRecord", err))
	}
	if err := steps.Wait(s.done, 0); err != nil {
		return s.told(called("cuStreamWaitEvent", err))
	}
	s.forked = false
	return nil
}

// wait waits for what a failure has left in the second stream, for which that of the steps does not
// wait.
func (s *secondStream) wait() error {
	if s == nil || !s.forked {
		return nil
	}
	if err := waitFor(s.stream); err != nil {
		return err
	}
	s.forked = false
	return nil
}

// forget is told that what was put into the streams was captured, and is dropped.
func (s *secondStream) forget() {
	if s != nil {
		s.forked = false
	}
}

// close frees the second stream, in which nothing is under way.
func (s *secondStream) close() error {
	if s == nil {
		return nil
	}
	all := append(s.closeLibraries(), s.memory.free())
	for _, event := range []*cu.Event{&s.begun, &s.done}[:s.events] {
		all = append(all, called("cuEventDestroy", cu.DestroyEvent(event)))
	}
	s.events = 0
	return errors.Join(append(all, s.closeStream())...)
}
