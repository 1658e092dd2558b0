//go:build cgo

package infer

import (
	"context"
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/infer/port"
	"slipway/onnx"
)

// Trace runs the model in a session of its own, in which the values are outputs
// and no optimization merges nodes: a node computes there what the file says of
// it. Run's optimized session may round otherwise.
func (r *onnxRuntime) Trace(ctx context.Context, batch Batch, names []string) ([]Tensor, error) {
	layout, err := r.ports.LayoutOf(batch, r.model)
	if err != nil {
		return nil, err
	}
	part, err := onnx.Extract(r.source, names)
	if err != nil {
		return nil, err
	}
	outputs := widenOutputs(part.Proto.GetGraph())
	encoded, err := onnx.Encode(part)
	if err != nil {
		return nil, err
	}
	whole := runnable{content: encoded}
	plain := func(options *ort.SessionOptions) error {
		if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
			return fmt.Errorf("graph optimization: %w", err)
		}
		return nil
	}
	var own *session
	if r.info.Provider == cudaProvider {
		own, _, err = r.newCUDASession(ctx, whole, outputs, part, plain)
	} else {
		own, err = r.newSession(ctx, whole, outputs, plain)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: onnxruntime refuses the model with its inner values as outputs: %w",
			r.model, plainError(err))
	}
	tensors, err := traceInChunks(ctx, batch, r.ports.FixedBatch(),
		func(chunk Batch) ([]Tensor, error) {
			if err := checkBatchMemory(r.memoryLimit, r.imageBytes, chunk.N, r.fixed); err != nil {
				return nil, fmt.Errorf("%s: %w", r.model, err)
			}
			return inSession(ctx, r, own, "Trace", func(ctx context.Context) ([]Tensor, error) {
				return r.traceOnce(ctx, own, chunk, layout, len(names))
			})
		})
	return tensors, errors.Join(err, own.Close())
}

// traceOnce returns all outputs of a session of Trace's.
func (r *onnxRuntime) traceOnce(ctx context.Context, own *session, batch Batch, l port.Layout,
	count int) ([]Tensor, error) {
	input, err := r.newInput(batch, l)
	if err != nil {
		return nil, err
	}
	defer input.Destroy()
	outputs := make([]ort.Value, count)
	err = r.runSession(ctx, own, input, outputs)
	defer destroyAll(outputs)
	if err != nil {
		return nil, err
	}
	tensors := make([]Tensor, count)
	for i, output := range outputs {
		tensors[i] = tensorOf(output)
	}
	return tensors, nil
}

// tensorOf copies an output of numbers.
func tensorOf(output ort.Value) Tensor {
	shape := make([]int, len(output.GetShape()))
	for i, size := range output.GetShape() {
		shape[i] = int(size)
	}
	switch values := output.(type) {
	case *ort.Tensor[float32]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[int8]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[uint8]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[int16]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[uint16]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[int32]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[uint32]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[int64]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[uint64]:
		return tensorFrom(shape, values.GetData())
	case *ort.Tensor[bool]:
		return tensorFrom(shape, values.GetData())
	}
	return Tensor{Missing: fmt.Errorf("onnxruntime's values of %T are not shown", output)}
}

func destroyAll(values []ort.Value) {
	for _, value := range values {
		if value != nil {
			// Fails only on a value that is destroyed already.
			_ = value.Destroy()
		}
	}
}
