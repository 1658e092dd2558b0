package infer

import (
	"context"

	"slipway/infer/port"
)

// A Tensor is a value inside a graph, row-major.
type Tensor struct {
	Shape []int
	// Values are the numbers, which float32 holds exactly whatever the value's own
	// type is: integers are shown as they are, true is 1.
	Values []float32
	// Missing says why the runtime cannot show the value; the others are empty then.
	Missing error
}

// A Tracer is a Runtime that also shows what a graph computes on its way to the
// scores. It is for finding where two graphs part, not for speed.
type Tracer interface {
	Runtime
	// Trace runs a batch and returns the named values of the main graph, in their
	// order. A value that the runtime cannot show is a Tensor with Missing set; an
	// error is of the whole. Where a value's first dimension is the batch, it has
	// the batch's N rows whatever batch size the graph is fixed to.
	Trace(ctx context.Context, batch Batch, names []string) ([]Tensor, error)
}

// traceInChunks does for Trace what runInChunks does for Run: the values' rows
// are cut and joined where the first dimension is the graph's batch size. A value
// without a batch dimension is the first piece's.
func traceInChunks(ctx context.Context, batch Batch, size int, run func(Batch) ([]Tensor, error)) (
	[]Tensor, error) {
	if size == port.Unknown {
		size = batch.N
	}
	if err := batch.CheckFixed(size); err != nil {
		return nil, err
	}
	var all []Tensor
	for begin := 0; begin < batch.N; begin += size {
		if ctx.Err() != nil {
			return nil, port.Ended(ctx)
		}
		chunk := batch.Slice(begin, min(begin+size, batch.N))
		n := chunk.N
		if n < size {
			chunk = chunk.Padded(size)
		}
		tensors, err := run(chunk)
		if err != nil {
			return nil, err
		}
		for i, tensor := range tensors {
			if tensor.Missing == nil && len(tensor.Shape) > 0 && tensor.Shape[0] == size {
				tensor.Values = tensor.Values[:len(tensor.Values)/size*n]
				tensor.Shape = append([]int{n}, tensor.Shape[1:]...)
				if begin > 0 && all[i].Missing == nil {
					all[i].Values = append(all[i].Values, tensor.Values...)
					all[i].Shape[0] += n
				}
			}
			if begin == 0 {
				all = append(all, tensor)
			}
		}
	}
	return all, nil
}
