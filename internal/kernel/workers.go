package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spinTime bounds how long a thread without work looks for it before it blocks: longer than the
// serial stretches of a training step, of which the longest is from the last phase of a step to the
// first of the next. In it Gorgonia's TapeMachine, which runs a graph in a goroutine of its own
// while its caller is locked to an OS thread, hands over from one OS thread to another twice.
const spinTime = 500 * time.Microsecond

// Pool runs tasks on a fixed number of threads. Its goroutines are started once and block when
// idle; a run allocates nothing. A Pool may be shared by any number of plans and used by any number
// of goroutines: runs exclude each other.
type Pool struct {
	mutex   sync.Mutex
	task    func(worker, item int)
	shares  []apart[share] // of the run's items, by worker
	active  int            // workers of the run
	joined  atomic.Int32   // helpers at the run, or runClosed
	pending atomic.Int32   // helpers that have joined and not finished; below 0 until the caller has added those that joined
	caller  parker
	helpers []*parker
	closed  bool
	scratch scratch
	again   atomic.Int64 // how often a batch was computed again without Winograd's filtering
}

// runClosed is the value of Pool.joined when no helper may begin to work.
const runClosed = -1

// share is a range of items that are a worker's first.
type share struct {
	next atomic.Int64
	end  int64
}

// apart is an element of a slice whose elements, one a thread, share no cache line: of the 128
// bytes behind it, one line at least is nobody's, and the processor that fetches lines in pairs
// fetches no other thread's.
type apart[T any] struct {
	own T
	_   [128]byte
}

// spinBatch is how often a waiting thread looks before it asks for the time.
const spinBatch = 64

// parker is a place where one goroutine waits for a change of value: for a while awake, then
// blocked.
type parker struct {
	value  atomic.Uint32
	parked atomic.Bool
	wake   chan struct{}
	spin   time.Duration // how long awake
}

const closeHelper = ^uint32(0)

// await returns the value as soon as it differs from last.
func (p *parker) await(last uint32) uint32 {
	// It does not yield to the scheduler meanwhile, which would put the goroutine that is about to
	// bring work onto this thread, and this one to wait for another thread to wake up: that cost a
	// third of a step on two threads.
	for start := time.Now(); time.Since(start) < p.spin; {
		for range spinBatch {
			if v := p.value.Load(); v != last {
				return v
			}
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

// NewPool returns a pool of the given number of threads, the caller of a run being one of them; 0
// or less stands for GOMAXPROCS.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	spin := spinTime
	if threads > runtime.GOMAXPROCS(0) {
		spin = 0 // a thread that looks for work would keep another from doing it
	}
	p := &Pool{caller: parker{wake: make(chan struct{}, 1), spin: spin},
		shares: make([]apart[share], threads)}
	p.joined.Store(runClosed)
	for range threads - 1 {
		h := &parker{wake: make(chan struct{}, 1), spin: spin}
		p.helpers = append(p.helpers, h)
		go p.help(len(p.helpers), h)
	}
	return p
}

// Threads returns the number of threads, 1 or more.
func (p *Pool) Threads() int { return len(p.helpers) + 1 }

// Close ends the pool's goroutines. Plans that use the pool go on to work, on the caller's thread
// alone.
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

// Run calls task once for each item in [0, items) and returns when all calls have. worker is in [0,
// Threads()) and no two calls at a time have the same. Which worker gets an item is left to chance,
// so results must not depend on it. But each begins with its own share, the same of every run of as
// many items: so the images that a core has read and written in one layer are likely those that it
// needs in the next, and in its caches.
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
	p.task, p.active = task, helpers+1
	for w := range p.active {
		p.shares[w].own.next.Store(int64(w * items / p.active))
		p.shares[w].own.end = int64((w + 1) * items / p.active)
	}
	ticket := p.caller.value.Load()
	p.joined.Store(0)
	for _, h := range p.helpers[:helpers] {
		h.set((h.value.Load() + 1) &^ (1 << 31))
	}
	p.work(0)
	// Every item has been begun. A helper that has not looked up yet, because the operating system
	// runs another process on its core, say, is not waited for: it would be for that process's whole
	// time slice.
	if p.pending.Add(p.joined.Swap(runClosed)) != 0 {
		p.caller.await(ticket)
	}
	p.task = nil
}

// work does the worker's own share, then what the others have left of theirs.
func (p *Pool) work(worker int) {
	for k := range p.active {
		s := &p.shares[(worker+k)%p.active].own
		for {
			i := s.next.Add(1) - 1
			if i >= s.end {
				break
			}
			p.task(worker, int(i))
		}
	}
}

func (p *Pool) help(worker int, h *parker) {
	last := uint32(0)
	for {
		last = h.await(last)
		if last == closeHelper {
			return
		}
		if !p.join() {
			continue
		}
		p.work(worker)
		if p.pending.Add(-1) == 0 {
			p.caller.set(p.caller.value.Load() + 1)
		}
	}
}

// join counts a helper in, or reports that the run it was called to is over. It may be a later run
// that it finds and joins, one with fewer items than workers included: any worker can do any item.
func (p *Pool) join() bool {
	for {
		n := p.joined.Load()
		if n == runClosed {
			return false
		}
		if p.joined.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
