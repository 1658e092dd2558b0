// Package lockstep runs several functions, members, each until it waits for the others: what they
// share needs no locks, since one of them runs at a time, and what each has on its stack stays
// there meanwhile.
package lockstep

import "errors"

// ErrStopped is what a member is told where another one, or the meeting, has failed. It has to
// return.
var ErrStopped = errors.New("another part of the step has failed")

// ErrUneven says that a member has ended while others wait for it.
var ErrUneven = errors.New("some parts of a step have ended, and others wait for them")

// member is one that has begun: it runs after something was sent to turn, until it sends to Run.
type member struct {
	turn    chan bool // false: it is to return
	running bool
}

// news is what a member says before it hands on the turn.
type news struct {
	ended bool
	err   error
}

// Run calls do for members 0…n−1, one at a time. A member that calls wait hands its turn to the
// next; once all of them wait, meet is called, and they go on. wait may be called by another
// goroutine than the member's, for which that one waits.
//
// Where a member or meet fails, all that wait are told ErrStopped. Run returns that first error,
// and no member runs any more.
func Run(n int, do func(member int, wait func() error) error, meet func() error) error {
	members, said := make([]member, n), make(chan news)
	for i := range members {
		members[i] = member{turn: make(chan bool), running: true}
		go members[i].run(i, do, said)
	}
	var failure error
	for {
		waiting, ended := 0, 0
		for i := range members {
			m := &members[i]
			if !m.running {
				continue
			}
			m.turn <- failure == nil
			what := <-said
			if what.ended {
				m.running = false
				ended++
			} else {
				waiting++
			}
			if failure == nil {
				failure = what.err
			}
		}
		switch {
		case waiting == 0:
			return failure
		case failure != nil: // they are told in the next round
		case ended > 0:
			failure = ErrUneven
		default:
			failure = meet()
		}
	}
}

func (m *member) run(i int, do func(int, func() error) error, said chan<- news) {
	if !<-m.turn {
		said <- news{ended: true}
		return
	}
	stopped := false
	err := do(i, func() error {
		if stopped {
			return ErrStopped // and asks again
		}
		said <- news{}
		if stopped = !<-m.turn; stopped {
			return ErrStopped
		}
		return nil
	})
	said <- news{ended: true, err: err}
}
