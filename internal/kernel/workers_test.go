package kernel

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolRunsEveryItemOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		if p.Threads() != threads {
			t.Errorf("%d threads, want %d", p.Threads(), threads)
		}
		for run := range 2000 {
			counts := make([]int32, run%20)
			p.Run(len(counts), func(_, item int) { counts[item]++ })
			for i, n := range counts {
				if n != 1 {
					t.Fatalf("run %d: item %d was run %d times", run, i, n)
				}
			}
		}
		p.Close()
		p.Close()
		ran := 0
		p.Run(3, func(_, _ int) { ran++ })
		if ran != 3 {
			t.Errorf("a closed pool ran %d of 3 items", ran)
		}
	}
}

// A helper that the operating system does not let run must not hold a run up, and comes in when it
// can. Here it is a goroutine that is not started until the pool has run without it.
func TestPoolDoesNotWaitForHelpersThatHaveNotBegun(t *testing.T) {
	late := &parker{wake: make(chan struct{}, 1)}
	p := &Pool{caller: parker{wake: make(chan struct{}, 1)}, helpers: []*parker{late},
		shares: make([]apart[share], 2)}
	p.joined.Store(runClosed)
	run := func(items int, task func(worker, item int)) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			p.Run(items, task)
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Minute):
			t.Fatal("the run waits for a helper that has not begun")
		}
	}
	for range 3 {
		var ran atomic.Int32
		run(8, func(_, _ int) { ran.Add(1) })
		if ran.Load() != 8 {
			t.Fatalf("%d of 8 items have run", ran.Load())
		}
	}
	go p.help(1, late)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		var ran, helped atomic.Int32
		run(8, func(worker, _ int) {
			time.Sleep(100 * time.Microsecond)
			ran.Add(1)
			helped.Add(int32(worker))
		})
		if ran.Load() != 8 {
			t.Fatalf("%d of 8 items have run", ran.Load())
		}
		if helped.Load() > 0 {
			p.Close()
			return
		}
	}
	t.Error("the helper has joined none of the runs of 20 seconds")
}

// A run is over only when each item is done, not merely begun: also those that a helper has.
func TestPoolWaitsForHelpersAtWork(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for range 50 {
		var done atomic.Int32
		begun, once := make(chan struct{}), sync.Once{} // the helper may get both items
		p.Run(2, func(worker, _ int) {
			if worker == 1 {
				once.Do(func() { close(begun) })
				time.Sleep(time.Millisecond)
			} else {
				select {
				case <-begun:
				case <-time.After(5 * time.Minute):
					t.Error("the helper has not begun")
				}
			}
			done.Add(1)
		})
		if done.Load() != 2 {
			t.Fatalf("the run ended with %d of 2 items done", done.Load())
		}
	}
}
