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
	// Kernels names the kernel set, as native.Options do; empty for the preferred one.
	Kernels string
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
	ports, err := findPorts(model, options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}
	evaluator, err := native.New(ctx, model, native.Options{Outputs: []string{ports.output}, Threads: options.Threads, Kernels: options.Kernels})
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

func (r *nativeRuntime) graph() *onnx.Model { return r.source }

func (r *nativeRuntime) Info() Info { return r.ports.tell(r.info) }

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
	scores, err := scoresFrom(outputs[0].Data)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: output %q: %w", r.model, r.ports.output, err)
	}
	logits, err := r.ports.logits(scores, outputs[0].Shape, batch.N)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", r.model, err)
	}
	return logits, nil
}

// runOn gives a batch to the model, or a part of it, and returns all outputs.
func (r *nativeRuntime) runOn(ctx context.Context, evaluator *native.Evaluator, batch Batch, l layout) ([]*native.Tensor, error) {
	input := &native.Tensor{}
	for _, size := range r.ports.shape(l, batch.N, batch.C, batch.H, batch.W) {
		input.Shape = append(input.Shape, int(size))
	}
	pixels := batch.Pixels
	if l == channelsLast && batch.C > 1 {
		pixels = toChannelsLast(batch)
	}
	switch r.ports.inputType {
	case onnxpb.TensorProto_UINT8:
		bytes, err := toBytes(pixels)
		if err != nil {
			return nil, fmt.Errorf("%s: input %q %w", r.model, r.ports.input, err)
		}
		input.Data = bytes
	case onnxpb.TensorProto_FLOAT16:
		input.Data = toFloat16(pixels)
	case onnxpb.TensorProto_DOUBLE:
		input.Data = toFloat64(pixels)
	default:
		input.Data = pixels
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
