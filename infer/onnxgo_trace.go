package infer

import (
	"context"
	"errors"

	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Trace runs, for each value, the graph cut where the value is made, in a worker
// of its own: onnx-go shows outputs only. A cut graph that onnx-go does not
// support is a value Missing.
func (r *onnxGo) Trace(ctx context.Context, batch Batch, names []string) ([]Tensor, error) {
	if err := batch.Check(); err != nil {
		return nil, err
	}
	known := make(map[string]onnx.Value)
	for _, node := range onnx.Inspect(r.source).Nodes {
		for _, output := range node.Outputs {
			known[output.Name] = output
		}
	}
	tensors := make([]Tensor, len(names))
	for i, name := range names {
		tensor, err := r.traceOne(ctx, batch, known[name], name)
		if ctx.Err() != nil {
			return nil, port.Ended(ctx)
		}
		if err != nil {
			tensor = Tensor{Missing: err}
		}
		tensors[i] = tensor
	}
	return tensors, nil
}

func (r *onnxGo) traceOne(ctx context.Context, batch Batch, value onnx.Value, name string) (Tensor,
	error) {
	part, err := onnx.Extract(r.source, []string{name})
	if err != nil {
		return Tensor{}, err
	}
	cut, err := startOnnxGo(ctx, part, port.Ports{
		Input: r.ports.Input, InputType: r.ports.InputType, InputDims: r.ports.InputDims,
		ScorePort: port.ScorePort{Output: name, OutputType: onnxpb.TensorProto_FLOAT},
	}, r.options)
	if err != nil {
		return Tensor{}, err
	}
	answer, err := cut.values(ctx, batch)
	if err := errors.Join(err, cut.Close()); err != nil {
		return Tensor{}, err
	}
	return Tensor{Shape: shapeOf(value, answer), Values: answer.Values}, nil
}

// shapeOf is the shape that inference gives the value, where it is known and is
// that of the answer, and N×K otherwise.
func shapeOf(value onnx.Value, answer Logits) []int {
	flat := []int{answer.N, answer.K}
	if !value.HasShape || len(value.Dims) == 0 {
		return flat
	}
	shape, size := []int{answer.N}, 1
	for _, dim := range value.Dims[1:] {
		if !dim.Known() {
			return flat
		}
		shape = append(shape, int(dim.Size))
		size *= int(dim.Size)
	}
	if size != answer.K {
		return flat
	}
	return shape
}
