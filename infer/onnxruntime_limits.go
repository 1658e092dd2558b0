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
	// batchMemory bounds the values between the nodes, as native.DefaultMemoryLimit does.
	batchMemory = 4 << 30
	// DefaultTimeLimit bounds the time of a batch where ONNXRuntimeOptions says nothing.
	DefaultTimeLimit = 10 * time.Minute
)

// ErrTimeLimit says that a batch took longer than ONNXRuntimeOptions.TimeLimit.
var ErrTimeLimit = errors.New("the batch takes longer than the limit")

// ErrBatchMemory says that the values of a batch take more memory than is allowed.
var ErrBatchMemory = errors.New("the batch takes more memory than the limit")

// checkBatchMemory refuses a batch of n images, each of which takes as many bytes.
func checkBatchMemory(bytes int64, n, fixed int) error {
	if bytes <= 0 || int64(n) <= batchMemory/bytes {
		return nil
	}
	remedy := "take smaller batches"
	if fixed > 0 {
		remedy = "export it with an open batch dimension, or a smaller one"
	}
	return fmt.Errorf("%w: %d images take %d MiB between the nodes, %d are allowed: %s",
		ErrBatchMemory, n, (bytes>>10)*int64(n)>>10, batchMemory>>20, remedy)
}

// limited returns a context that ends with ErrTimeLimit.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		limit = DefaultTimeLimit
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w of %v: take smaller batches; a loop may never end", ErrTimeLimit, limit))
}
