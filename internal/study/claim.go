package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway/internal/lease"
)

const (
	// searchClaim lies in a study's folder and says which process searches.
	searchClaim = ".search"
	// claimsFolder lies in the pool and says which process trains which run.
	claimsFolder = ".claims"
	// look is how often a process looks whether a run that another one trains is finished.
	look = 2 * time.Second
)

// errElsewhere is of a run that another process trains.
type errElsewhere struct{ owner lease.Owner }

func (e errElsewhere) Error() string { return fmt.Sprintf("%v trains it", e.owner) }

// runAll executes the tasks that are not finished, several at a time, and then waits for those that
// other processes execute, or takes them over where they are gone. On the first error the others
// are stopped, and saved.
func (e *execution) runAll(ctx context.Context, tasks []*task) error {
	var elsewhere []*task
	var mutex sync.Mutex
	err := e.eachTask(ctx, tasks, func(ctx context.Context, t *task) error {
		err := e.claimAndRun(ctx, t)
		if errors.As(err, new(errElsewhere)) {
			mutex.Lock()
			defer mutex.Unlock()
			elsewhere = append(elsewhere, t)
			return nil
		}
		return err
	})
	if err != nil || len(elsewhere) == 0 {
		return err
	}
	return e.awaitAll(ctx, elsewhere)
}

// awaitAll runs tasks that other processes run, once those are finished, or gone. Each of the
// workers looks after all that are left, in turns, so that none waits behind another's long run.
func (e *execution) awaitAll(ctx context.Context, tasks []*task) error {
	left := &waiting{tasks: tasks, told: make(map[*task]bool)}
	workers := make([]*task, min(e.parallel, len(tasks)))
	for i := range workers {
		workers[i] = tasks[i]
	}
	return e.eachTask(ctx, workers, func(ctx context.Context, _ *task) error {
		for t := left.next(); t != nil; t = left.next() {
			err := e.claimAndRun(ctx, t)
			var other errElsewhere
			if !errors.As(err, &other) {
				if err != nil {
					return err
				}
				continue
			}
			if left.again(t) {
				e.say("waiting for the run %s, seed %d, which %v trains\n", t.Setting, t.Seed, other.owner)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(look / time.Duration(left.count())):
			}
		}
		return nil
	})
}

// waiting are the tasks that other processes run, as far as no worker looks at them.
type waiting struct {
	mutex sync.Mutex
	tasks []*task
	told  map[*task]bool
}

// next takes the task that has not been looked at for longest, nil if there is none.
func (w *waiting) next() *task {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if len(w.tasks) == 0 {
		return nil
	}
	t := w.tasks[0]
	w.tasks = w.tasks[1:]
	return t
}

// again gives a task back, and reports whether it is the first time.
func (w *waiting) again(t *task) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.tasks = append(w.tasks, t)
	first := !w.told[t]
	w.told[t] = true
	return first
}

// count is how many tasks are left, at least 1.
func (w *waiting) count() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return max(1, len(w.tasks))
}

// eachTask calls do for the tasks that are not finished, several at a time.
func (e *execution) eachTask(
	ctx context.Context, tasks []*task, do func(context.Context, *task) error,
) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var pending []*task
	for _, t := range tasks {
		if !e.finished(t) {
			pending = append(pending, t)
		}
	}
	queue := make(chan *task)
	failures := make(chan error, e.parallel)
	var workers sync.WaitGroup
	for range e.parallel {
		workers.Go(func() {
			for t := range queue {
				if err := do(ctx, t); err != nil {
					failures <- err
					stop()
					return
				}
			}
		})
	}
dealing:
	for _, t := range pending {
		select {
		case queue <- t:
		case <-ctx.Done():
			break dealing
		}
	}
	close(queue)
	workers.Wait()
	close(failures)
	var failed error
	ended := ctx.Err() != nil
	for err := range failures {
		if interrupted(err) {
			ended = true
			continue
		}
		failed = errors.Join(failed, err)
	}
	if failed == nil && ended {
		return ErrInterrupted
	}
	return failed
}

// finished reports whether the run's result is known.
func (e *execution) finished(t *task) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	_, done := e.results[t.id]
	return done
}

// claim claims a run for this process, for as long as its lease is held. The error is an
// errElsewhere if it is another one's.
func (e *execution) claim(id string) (*lease.Lease, error) {
	claim, err := e.claims.Take(id)
	var held *lease.HeldError
	if errors.As(err, &held) {
		return nil, errElsewhere{held.Owner}
	}
	if err != nil {
		return nil, fmt.Errorf("claim the run %s: %w", id, err)
	}
	return claim, nil
}

// claimAndRun executes one task, unless another process does, or has.
func (e *execution) claimAndRun(ctx context.Context, t *task) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	claim, err := e.claim(t.id)
	if err != nil {
		if found, findErr := e.foundFinished(t); found || findErr != nil {
			return findErr // it was finished just now, and the claim is not given up yet
		}
		return err
	}
	defer claim.Release()
	if found, err := e.foundFinished(t); found || err != nil {
		return err
	}
	running, stop := claim.Context(ctx)
	defer stop()
	t.claimed = claim.Check
	err = e.run(running, t)
	if err != nil && claim.Check() != nil && ctx.Err() == nil {
		if found, err := e.foundFinished(t); found || err != nil {
			return err
		}
		// Whatever failed, it is not this process's affair any more.
		e.say("the run %s, seed %d, is another process's: this one was stopped for long\n",
			t.Setting, t.Seed)
		return errElsewhere{}
	}
	return err
}

// foundFinished looks whether another process has finished the run, and tells so.
func (e *execution) foundFinished(t *task) (bool, error) {
	// NFS may still know that the result was not there, until a folder is opened anew.
	for _, folder := range []string{e.poolDir, filepath.Join(e.poolDir, t.id)} {
		if open, err := os.Open(folder); err == nil {
			_, _ = open.Stat()
			_ = open.Close()
		}
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if err := e.find(t); err != nil {
		return false, err
	}
	result, found := e.results[t.id]
	if found {
		e.options.Progress.Finished(t.index, result)
	}
	return found, nil
}

func (e *execution) say(format string, args ...any) {
	if e.options.Messages == nil {
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.options.Messages(fmt.Sprintf(format, args...))
}
