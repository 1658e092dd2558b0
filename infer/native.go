package infer

import (
	"context"
	"errors"
	"fmt"

	"slipway/infer/native"
	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// NativeOptions are the choices for OpenNative.
type NativeOptions struct {
	// Threads that compute one batch; 0 for as many as Go would use.
	Threads int
	// Output names the score output of a model with several. Only what it needs is
	// computed, and need be supported.
	Output string
}

// OpenNative opens a model, which is of LoadModel or checked, in the native
// runtime: the evaluator of package native on the training engine's kernels, in
// this process, without any library.
//
// A model that it does not support is refused, by ErrUnsupported.
func OpenNative(ctx context.Context, model *onnx.Model, options NativeOptions) (Runtime, error) {
	if options.Threads < 0 {
		return nil, fmt.Errorf("threads %d: at least 1 is needed, or 0 for the default", options.Threads)
	}
	ports, err := findPorts(model.Proto.GetGraph(), options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}
	evaluator, err := native.New(ctx, model, native.Options{Outputs: []string{ports.output}, Threads: options.Threads})
	if err != nil {
		return nil, nativeError(err)
	}
	return &nativeRuntime{model: model.Path(), source: model, ports: ports, evaluator: evaluator, info: Info{
		Runtime:  RuntimeNative,
		Version:  cli.ModuleVersion,
		Provider: evaluator.Kernels(),
		Device:   "cpu",
		Threads:  evaluator.Threads(),
		Notes:    notesOf(model),
	}}, nil
}

type nativeRuntime struct {
	model     string
	source    *onnx.Model // for Trace
	ports     ports
	evaluator *native.Evaluator
	info      Info
}

func (r *nativeRuntime) Info() Info { return r.info }

func (r *nativeRuntime) Run(ctx context.Context, batch Batch) (Logits, error) {
	layout, err := r.ports.layoutOf(batch, r.model)
	if err != nil {
		return Logits{}, err
	}
	return runInChunks(ctx, batch, r.ports.batch(), func(chunk Batch) (Logits, error) {
		return r.runOnce(ctx, chunk, layout)
	})
}

// runOnce runs a batch that has the graph's own batch size, if it has one.
func (r *nativeRuntime) runOnce(ctx context.Context, batch Batch, l layout) (Logits, error) {
	outputs, err := r.runOn(ctx, r.evaluator, batch, l)
	if err != nil {
		return Logits{}, err
	}
	scores, ok := outputs[0].Data.([]float32)
	if !ok {
		return Logits{}, fmt.Errorf("%s: output %q is no float32 tensor", r.model, r.ports.output)
	}
	shape := outputs[0].Shape
	if len(shape) < 2 || shape[0] != batch.N || len(scores) != shape[0]*shape[1] {
		return Logits{}, fmt.Errorf("%s: output %q has shape %v for %d images: N×K is wanted", r.model, r.ports.output, shape, batch.N)
	}
	return Logits{N: batch.N, K: shape[1], Values: scores}, nil
}

// runOn gives a batch to the model, or a part of it, and returns all outputs.
func (r *nativeRuntime) runOn(ctx context.Context, evaluator *native.Evaluator, batch Batch, l layout) ([]*native.Tensor, error) {
	input := &native.Tensor{Data: batch.Pixels}
	for _, size := range r.ports.shape(l, batch.N, batch.C, batch.H, batch.W) {
		input.Shape = append(input.Shape, int(size))
	}
	if l == channelsLast && batch.C > 1 {
		input.Data = toChannelsLast(batch)
	}
	if onnxpb.TensorProto_DataType(r.ports.inputType) == onnxpb.TensorProto_UINT8 {
		bytes, err := toBytes(input.Data.([]float32))
		if err != nil {
			return nil, fmt.Errorf("%s: input %q %w", r.model, r.ports.input, err)
		}
		input.Data = bytes
	}
	outputs, err := evaluator.Run(ctx, map[string]*native.Tensor{r.ports.input: input})
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	if err != nil {
		return nil, nativeError(err)
	}
	return outputs, nil
}

// nativeError marks an error of package native as ErrUnsupported where it is.
func nativeError(err error) error {
	if errors.Is(err, native.ErrUnsupported) {
		return unsupportedError{err}
	}
	return err
}

func (r *nativeRuntime) Close() error { return r.evaluator.Close() }
