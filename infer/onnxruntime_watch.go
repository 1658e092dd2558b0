package infer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/infer/port"
	"slipway/internal/cmemory"
)

const (
	// sessionShare is the part of a batch's memory that making a session may take beside
	// sessionWeights times the model, whose weights are held several times meanwhile.
	sessionShare, sessionWeights = 4, 4
	// watchInterval is how often the memory is looked at. In that time some 100 MB can be written to.
	watchInterval = 20 * time.Millisecond
	// watchPatience is how long a call may still take that was told to end. onnxruntime looks
	// between the nodes of a graph, and nowhere while it makes a session.
	watchPatience = time.Second
)

// watched returns what call returns, which computes in C, where no context reaches. If the context
// ends, or the process holds so many bytes outside Go more than before, what call runs is told so
// by its context, and given some time; then the error is the context's, or ErrBatchMemory, and call
// goes on in the background. What it still returns there is discarded. what names call in the
// error. What other calls take meanwhile counts as well: nothing tells whose memory of the process
// is.
func watched[T any](ctx context.Context, bytes int64, what string,
	call func(context.Context) (T, error), discard func(T)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	type outcome struct {
		value T
		err   error
	}
	ended, left := make(chan outcome), make(chan struct{})
	before, known := cmemory.Held() // what call takes from its first moment on is more than that
	go func() {
		value, err := call(ctx)
		select {
		case ended <- outcome{value, err}:
		case <-left:
			if err == nil {
				discard(value)
			}
		}
	}()
	defer cancel(nil)
	defer close(left)

	var none T
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	done := ctx.Done()
	var patience <-chan time.Time
	for {
		select {
		case o := <-ended:
			if o.err == nil && ctx.Err() != nil {
				discard(o.value)
				return none, watchEnded(ctx)
			}
			return o.value, o.err
		case <-tick.C:
			if !known {
				continue
			}
			if held, _ := cmemory.Held(); held-before > bytes {
				known = false
				cancel(fmt.Errorf("%w: %s took %d MiB so far, %d are allowed; what other sessions "+
					"took meanwhile is among them", ErrBatchMemory, what, (held-before)>>20, bytes>>20))
			}
		case <-done:
			done = nil
			timer := time.NewTimer(watchPatience)
			defer timer.Stop()
			patience = timer.C
		case <-patience:
			return none, watchEnded(ctx)
		}
	}
}

// watchEnded is the error of what a watch has ended. Memory that ran out is no interruption, which
// is what a canceled context stands for.
func watchEnded(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrBatchMemory) {
		return cause
	}
	return port.Ended(ctx)
}
