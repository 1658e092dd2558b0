//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// thread is an operating system thread of its own: a CUDA context belongs to the
// thread that made it current, and goroutines move between threads.
type thread struct {
	work    chan func() error
	results chan error
}

func newThread() *thread {
	t := &thread{work: make(chan func() error), results: make(chan error)}
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
	t.work <- f
	return <-t.results
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
