package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"slipway/infer"
)

// A batcher runs the requests of one model, those that wait together where that changes no answer.
// While batches are few, each has all threads; those of many that wait are computed at the same
// time, each on some of the threads (lanes).
type batcher struct {
	runtime infer.Runtime
	// lanes are sessions of the runtime that share its threads out, or nil where one batch is
	// computed at a time.
	lanes []infer.Runtime
	// most is the number of images of a batch; join says that those of several requests may share
	// one, and split that those of one request may be in several, as where they are joined.
	most        int
	join, split bool
	wait        time.Duration
	jobs        chan *job
	workers     sync.WaitGroup
	// taking is held by the worker that takes jobs, and by one that computes on all threads.
	taking sync.Mutex
	// next was taken from the queue, and is not of the batch before.
	next *job
	// waiting counts the images in jobs.
	waiting atomic.Int64
	// busy counts the lanes that compute, and computing waits for them.
	busy      atomic.Int64
	computing sync.WaitGroup
	observe   func(images int, took time.Duration)
	panicked  func(reason any, stack []byte)
}

// A job is the images of one request, or as many of them as a batch takes.
type job struct {
	ctx   context.Context
	batch infer.Batch
	done  chan outcome // takes one without waiting
}

type outcome struct {
	scores infer.Logits
	err    error
}

// errPanicked says that the runtime panicked on a batch.
var errPanicked = errors.New("the runtime panicked")

// start begins to take jobs, queue of them at most waiting.
func (b *batcher) start(queue int) {
	b.jobs = make(chan *job, queue)
	for _, lane := range b.lanes {
		b.workers.Go(func() { b.work(lane) })
	}
	if len(b.lanes) == 0 {
		b.workers.Go(func() { b.work(nil) })
	}
}

// close waits for the jobs that were given. None may be given after it.
func (b *batcher) close() {
	close(b.jobs)
	b.workers.Wait()
}

// run returns the scores of the images, which go through the model as many at a time as a batch
// has. What is between two such parts may be another request's: a large one holds up no other.
func (b *batcher) run(ctx context.Context, batch infer.Batch) (infer.Logits, error) {
	// Images of a model that mixes them belong together: that is what the request asks for.
	size := batch.C * batch.H * batch.W
	if !b.join && !b.split || batch.N <= b.most {
		return b.submit(ctx, batch)
	}
	var all infer.Logits
	for begin := 0; begin < batch.N; begin += b.most {
		end := min(begin+b.most, batch.N)
		part := infer.Batch{N: end - begin, C: batch.C, H: batch.H, W: batch.W,
			Pixels: batch.Pixels[begin*size : end*size]}
		scores, err := b.submit(ctx, part)
		if err != nil {
			return infer.Logits{}, err
		}
		all.N, all.K, all.Values = all.N+scores.N, scores.K, append(all.Values, scores.Values...)
	}
	return all, nil
}

func (b *batcher) submit(ctx context.Context, batch infer.Batch) (infer.Logits, error) {
	j := &job{ctx: ctx, batch: batch, done: make(chan outcome, 1)}
	b.waiting.Add(int64(batch.N))
	select {
	case b.jobs <- j:
	default:
		b.waiting.Add(-int64(batch.N))
		return infer.Logits{}, overloaded("queue", "%d requests wait for this model already; try again",
			cap(b.jobs))
	}
	select {
	case o := <-j.done:
		return o.scores, o.err
	case <-ctx.Done():
		return infer.Logits{}, ctx.Err()
	}
}

// work takes batches and computes them, on all threads or in the lane, until close.
func (b *batcher) work(lane infer.Runtime) {
	for b.takeAndCompute(lane) {
		// Whoever was answered may write that before the next batch, which can be long.
		runtime.Gosched()
	}
}

// takeAndCompute computes one batch. It reports whether there may be another.
func (b *batcher) takeAndCompute(lane infer.Runtime) bool {
	b.taking.Lock()
	together := b.take()
	if together == nil || lane == nil || b.few() {
		defer b.taking.Unlock() // after the batch: no other is computed beside it
		b.computing.Wait()
		b.compute(b.runtime, together)
		return together != nil
	}
	b.busy.Add(1)
	b.computing.Add(1)
	defer func() {
		b.busy.Add(-1)
		b.computing.Done()
	}()
	b.taking.Unlock()
	b.compute(lane, together)
	return true
}

// few reports whether the batch that was taken, those that wait and those in lanes would leave half
// of the lanes idle or more: all threads, which wait for each other at every layer, compute them
// sooner one by one.
func (b *batcher) few() bool {
	batches := 1 + int(b.busy.Load()) + ceil(int(b.waiting.Load()), b.most)
	if b.next != nil {
		batches++
	}
	return 2*batches <= len(b.lanes)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// take waits for a batch; nil is the end of all.
func (b *batcher) take() []*job {
	for {
		first := b.next
		b.next = nil
		if first == nil {
			var ok bool
			if first, ok = <-b.jobs; !ok {
				return nil
			}
			b.left(first)
		}
		if first.ctx.Err() != nil {
			continue // whoever asked has left
		}
		var together []*job
		together, b.next = b.gather(first)
		return together
	}
}

// gather returns the job with those that may share its batch, and the one after them, if one was
// taken that does not fit.
func (b *batcher) gather(first *job) (together []*job, next *job) {
	together = []*job{first}
	images := first.batch.N
	if !b.join || images >= b.most {
		return together, nil
	}
	var late <-chan time.Time
	if b.wait > 0 {
		timer := time.NewTimer(b.wait)
		defer timer.Stop()
		late = timer.C
	}
	for images < b.most {
		j, ok := b.another(first.ctx, late)
		if ok {
			b.left(j)
		}
		switch {
		case !ok:
			return together, nil
		case j.ctx.Err() != nil:
			continue
		case j.batch.C != first.batch.C || j.batch.H != first.batch.H || j.batch.W != first.batch.W ||
			images+j.batch.N > b.most:
			return together, j
		}
		together = append(together, j)
		images += j.batch.N
	}
	return together, nil
}

// left notes that a job has left the queue.
func (b *batcher) left(j *job) { b.waiting.Add(-int64(j.batch.N)) }

// another returns a job that waits, or that comes before it is late.
func (b *batcher) another(ctx context.Context, late <-chan time.Time) (*job, bool) {
	if late == nil {
		select {
		case j, ok := <-b.jobs:
			return j, ok
		default:
			return nil, false
		}
	}
	select {
	case j, ok := <-b.jobs:
		return j, ok
	case <-late:
	case <-ctx.Done():
	}
	return nil, false
}

// compute runs jobs as one batch and answers each.
func (b *batcher) compute(on infer.Runtime, jobs []*job) {
	if len(jobs) > 1 {
		if scores, err := b.runTogether(on, jobs); err == nil {
			begin := 0
			for _, j := range jobs {
				end := begin + j.batch.N
				// Cut off, so that appending to one answer cannot reach into the next.
				values := scores.Values[begin*scores.K : end*scores.K : end*scores.K]
				j.done <- outcome{scores: infer.Logits{N: j.batch.N, K: scores.K, Values: values}}
				begin = end
			}
			return
		}
		// One of them may be what the others' batch failed for: each is asked alone.
	}
	for _, j := range jobs {
		if j.ctx.Err() != nil {
			continue
		}
		scores, err := b.runOnce(j.ctx, on, j.batch)
		j.done <- outcome{scores, err}
	}
}

func (b *batcher) runTogether(on infer.Runtime, jobs []*job) (infer.Logits, error) {
	first := jobs[0].batch
	all := infer.Batch{C: first.C, H: first.H, W: first.W}
	values := 0
	for _, j := range jobs {
		all.N += j.batch.N
		values += len(j.batch.Pixels)
	}
	all.Pixels = make([]float32, 0, values)
	for _, j := range jobs {
		all.Pixels = append(all.Pixels, j.batch.Pixels...)
	}
	ctx, cancel := untilAllEnd(jobs)
	defer cancel()
	return b.runOnce(ctx, on, all)
}

// untilAllEnd returns a context that ends when those of all jobs have: while one client waits,
// the batch goes on.
func untilAllEnd(jobs []*job) (ctx context.Context, cancel func()) {
	ctx, end := context.WithCancel(context.Background())
	var left atomic.Int64
	left.Store(int64(len(jobs)))
	stops := make([]func() bool, len(jobs))
	for i, j := range jobs {
		stops[i] = context.AfterFunc(j.ctx, func() {
			if left.Add(-1) == 0 {
				end()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		end()
	}
}

// runOnce runs a batch. A panic is its error, and the server goes on.
func (b *batcher) runOnce(
	ctx context.Context, on infer.Runtime, batch infer.Batch,
) (scores infer.Logits, err error) {
	began := time.Now()
	defer func() {
		if reason := recover(); reason != nil {
			b.panicked(reason, debug.Stack())
			scores, err = infer.Logits{}, fmt.Errorf("%w: %v", errPanicked, reason)
		}
		if err == nil {
			b.observe(batch.N, time.Since(began))
		}
	}()
	scores, err = on.Run(ctx, batch)
	if err == nil && (scores.N != batch.N || len(scores.Values) != scores.N*scores.K) {
		err = fmt.Errorf("the runtime answers %d×%d scores (%d values) of %d images", scores.N, scores.K,
			len(scores.Values), batch.N)
	}
	return scores, err
}

// references counts who uses something, and ends it once it is retired and nobody does.
type references struct {
	mu      sync.Mutex
	count   int
	retired bool
	end     func()
}

// acquire reports whether the thing may be used; release must follow then.
func (r *references) acquire() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired {
		return false
	}
	r.count++
	return true
}

func (r *references) release() {
	r.mu.Lock()
	r.count--
	last := r.retired && r.count == 0
	r.mu.Unlock()
	if last {
		r.end()
	}
}

// retire lets nobody begin to use it.
func (r *references) retire() {
	r.mu.Lock()
	already := r.retired
	r.retired = true
	last := r.count == 0
	r.mu.Unlock()
	if last && !already {
		r.end()
	}
}
