package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spinTime bounds how long a thread without work looks for it before it blocks: about the length of the serial
// stretches between the parallel phases of a training step.
const spinTime = 100 * time.Microsecond

// Pool runs tasks on a fixed number of threads. Its goroutines are started once and block when idle; a run allocates
// nothing. A Pool may be shared by any number of plans and used by any number of goroutines: runs exclude each other.
type Pool struct {
	mutex   sync.Mutex
	task    func(worker, item int)
	items   int64
	next    atomic.Int64
	pending atomic.Int32
	caller  parker
	helpers []*parker
	closed  bool
}

// parker is a place where one goroutine waits for a change of value: for a while awake, then blocked.
type parker struct {
	value  atomic.Uint32
	parked atomic.Bool
	wake   chan struct{}
}

const closeHelper = ^uint32(0)

// await returns the value as soon as it differs from last.
func (p *parker) await(last uint32) uint32 {
	start := time.Now()
	for spin := 1; ; spin++ {
		if v := p.value.Load(); v != last {
			return v
		}
		if spin%64 == 0 {
			if time.Since(start) > spinTime {
				break
			}
			runtime.Gosched()
		}
	}
	for {
		p.parked.Store(true)
		if v := p.value.Load(); v != last {
			if !p.parked.CompareAndSwap(true, false) {
				<-p.wake
			}
			return v
		}
		<-p.wake
	}
}

// set changes the value and wakes the goroutine that waits for it.
func (p *parker) set(v uint32) {
	p.value.Store(v)
	if p.parked.CompareAndSwap(true, false) {
		p.wake <- struct{}{}
	}
}

// NewPool returns a pool of the given number of threads, the caller of a run being one of them; 0 or less stands for
// GOMAXPROCS.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{caller: parker{wake: make(chan struct{}, 1)}}
	for range threads - 1 {
		h := &parker{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.help(len(p.helpers), h)
	}
	return p
}

// Threads returns the number of threads, 1 or more.
func (p *Pool) Threads() int { return len(p.helpers) + 1 }

// Close ends the pool's goroutines. Plans that use the pool go on to work, on the caller's thread alone.
func (p *Pool) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, h := range p.helpers {
		h.set(closeHelper)
	}
}

// Run calls task once for each item in [0, items) and returns when all calls have. worker is in [0, Threads()) and no
// two calls at a time have the same. Which worker gets an item is left to chance: results must not depend on it.
func (p *Pool) Run(items int, task func(worker, item int)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	helpers := min(len(p.helpers), items-1)
	if helpers <= 0 || p.closed {
		for i := range items {
			task(0, i)
		}
		return
	}
	p.task, p.items = task, int64(items)
	p.next.Store(0)
	p.pending.Store(int32(helpers))
	ticket := p.caller.value.Load()
	for _, h := range p.helpers[:helpers] {
		h.set((h.value.Load() + 1) &^ (1 << 31))
	}
	p.work(0)
	p.caller.await(ticket)
	p.task = nil
}

func (p *Pool) work(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.items {
			return
		}
		p.task(worker, int(i))
	}
}

func (p *Pool) help(worker int, h *parker) {
	last := uint32(0)
	for {
		last = h.await(last)
		if last == closeHelper {
			return
		}
		p.work(worker)
		if p.pending.Add(-1) == 0 {
			p.caller.set(p.caller.value.Load() + 1)
		}
	}
}
