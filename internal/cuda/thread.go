//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// thread is an operating system thread of its own: a CUDA context belongs to the
// thread that made it current, and goroutines move between threads.
type thread struct {
	work    chan func() error
	results chan error
	lost    bool // in a call that did not come back in time
}

// errLost says that nothing can be done on a device any more, nor be given back. It ends with the
// process.
var errLost = errors.New("the device waits for a call that did not come back")

func newThread() *thread {
	t := &thread{work: make(chan func() error), results: make(chan error, 1)}
	go func() {
		runtime.LockOSThread()
		for f := range t.work {
			t.results <- guarded(f)
		}
	}()
	return t
}

// do runs f on the thread and waits for it. It is called from one goroutine at a
// time.
func (t *thread) do(f func() error) error {
	if t.work == nil {
		return errors.New("the device is closed")
	}
	if t.lost {
		return errLost
	}
	t.work <- f
	return <-t.results
}

// doWithin runs f as do does, and returns errLost if it takes longer. The thread is lost then.
func (t *thread) doWithin(longest time.Duration, f func() error) error {
	if t.work == nil || t.lost {
		return t.do(f)
	}
	t.work <- f
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case err := <-t.results:
		return err
	case <-timer.C:
		t.lost = true
		return errLost
	}
}

// end ends the thread, and with it what is current on it.
func (t *thread) end() {
	if t.work == nil {
		return
	}
	close(t.work)
	t.work = nil
}

// guarded turns the panics of packages cu/dnn and cu/blas into errors. A defect of the
// program, such as an index out of range, ends the run in an error too, so that what the
// device has is given back; the error has the stack.
func guarded(f func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			if defect, ok := reason.(runtime.Error); ok {
				err = fmt.Errorf("a defect of this program: %w\n%s", defect, debug.Stack())
				return
			}
			if cause, ok := reason.(error); ok {
				err = called("CUDA library", cause)
				return
			}
			err = fmt.Errorf("CUDA library: %v", reason)
		}
	}()
	return f()
}
