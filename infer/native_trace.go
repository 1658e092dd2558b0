package infer

import (
	"context"
	"errors"
	"slices"

	"slipway/infer/native"
	"slipway/infer/port"
	"slipway/onnx"
)

// Trace evaluates the part of the graph that makes the values, with these as its
// outputs: a value that is asked for is computed by its own node and not merged
// into the next one, so that a node computes there what the file says of it. A
// value that the native runtime cannot compute, such as one that the scores do not
// need, is Missing.
func (r *nativeRuntime) Trace(ctx context.Context, batch Batch, names []string) ([]Tensor, error) {
	tensors, err := r.traceTogether(ctx, batch, names)
	if !errors.Is(err, ErrUnsupported) {
		return tensors, err
	}
	tensors = make([]Tensor, len(names))
	for i, name := range names {
		one, err := r.traceTogether(ctx, batch, []string{name})
		switch {
		case errors.Is(err, ErrUnsupported):
			tensors[i] = Tensor{Missing: err}
		case err != nil:
			return nil, err
		default:
			tensors[i] = one[0]
		}
	}
	return tensors, nil
}

func (r *nativeRuntime) traceTogether(ctx context.Context, batch Batch, names []string) ([]Tensor,
	error) {
	layout, err := r.ports.LayoutOf(batch, r.model)
	if err != nil {
		return nil, err
	}
	part, err := onnx.Extract(r.source, names)
	if err != nil {
		return nil, err
	}
	evaluator, err := native.New(ctx, part, native.Options{Outputs: names, Threads: r.info.Threads})
	if err != nil {
		if ctx.Err() != nil {
			return nil, port.Ended(ctx)
		}
		return nil, nativeError(err)
	}
	tensors, err := traceInChunks(ctx, batch, r.ports.FixedBatch(),
		func(chunk Batch) ([]Tensor, error) {
			outputs, err := r.runOn(ctx, evaluator, chunk, layout)
			if err != nil {
				return nil, err
			}
			tensors := make([]Tensor, len(outputs))
			for i, output := range outputs {
				tensors[i] = tensorFrom(slices.Clone(output.Shape), output.Data)
			}
			return tensors, nil
		})
	return tensors, errors.Join(err, evaluator.Close())
}
