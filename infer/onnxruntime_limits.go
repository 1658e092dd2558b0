package infer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of what onnxruntime takes for one batch, which by itself takes what a model asks for: all
// memory, or a loop's time without end.
const (
	// DefaultMemoryLimit bounds the values between the nodes where ONNXRuntimeOptions says nothing, as
	// native.DefaultMemoryLimit does.
	DefaultMemoryLimit = 4 << 30
	// DefaultTimeLimit bounds the time of a batch where ONNXRuntimeOptions says nothing.
	DefaultTimeLimit = 10 * time.Minute
)

// ErrTimeLimit says that a batch took longer than ONNXRuntimeOptions.TimeLimit.
var ErrTimeLimit = errors.New("the batch takes longer than the limit")

// ErrBatchMemory says that a batch, or making the session, takes more memory than is allowed.
var ErrBatchMemory = errors.New("more memory than the limit")

// checkBatchMemory refuses a batch of n images, each of which takes as many bytes.
func checkBatchMemory(limit, bytes int64, n, fixed int) error {
	if bytes <= 0 || int64(n) <= limit/bytes {
		return nil
	}
	remedy := "take smaller batches"
	if fixed > 0 {
		remedy = "export it with an open batch dimension, or a smaller one"
	}
	return fmt.Errorf("%w: %d images take %d MiB between the nodes, %d are allowed: %s",
		ErrBatchMemory, n, (bytes>>10)*int64(n)>>10, limit>>20, remedy)
}

// limited returns a context for what is named, which ends with ErrTimeLimit.
func limited(ctx context.Context, limit time.Duration, what string) (context.Context,
	context.CancelFunc) {
	if limit == 0 {
		limit = DefaultTimeLimit
	}
	return context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("%s: %w of %v: take smaller batches; a loop may never end",
			what, ErrTimeLimit, limit))
}

// limitReached says that an error is of the context's end, or of a limit, and not onnxruntime's.
func limitReached(ctx context.Context, err error) bool {
	return errors.Is(err, ErrTimeLimit) || errors.Is(err, ErrBatchMemory) || err != nil &&
		ctx.Err() != nil
}
