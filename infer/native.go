package infer

import (
	"context"
	"errors"
	"fmt"

	"slipway/infer/native"
	"slipway/infer/port"
	"slipway/internal/version"
	"slipway/onnx"
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
	// Direct sums every convolution as it is written, as native.Options say.
	Direct bool
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
	ports, err := port.Find(model, options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}
	if err := model.Load(); err != nil {
		return nil, err
	}
	evaluator, err := native.New(ctx, model, native.Options{Outputs: []string{ports.Output},
		Threads: options.Threads, Kernels: options.Kernels, Direct: options.Direct})
	if err != nil {
		return nil, nativeError(err)
	}
	return &nativeRuntime{model: model.Path(), source: model, ports: ports, evaluator: evaluator,
		info: Info{
			Runtime:  RuntimeNative,
			Version:  version.Module,
			Provider: evaluator.Kernels(),
			Device:   "cpu",
			Threads:  evaluator.Threads(),
			Notes:    port.NotesOf(model),
		}}, nil
}

type nativeRuntime struct {
	model     string
	source    *onnx.Model // for Trace
	ports     port.Ports
	evaluator *native.Evaluator
	info      Info
}

// Session returns another runtime of the same model, on that number of threads: the two run at the
// same time, give the same bits and share the weights. Either may be closed before the other.
func (r *nativeRuntime) Session(threads int) Runtime {
	session := *r
	session.evaluator = r.evaluator.SessionOf(threads)
	session.info.Threads = session.evaluator.Threads()
	return &session
}

// Held returns the bytes that the runtime holds beside the model's weights as the file has them: a
// new session those of the weights that were made of them, which all sessions share.
func (r *nativeRuntime) Held() int { return r.evaluator.Held() }

func (r *nativeRuntime) graph() *onnx.Model { return r.source }

func (r *nativeRuntime) Info() Info { return r.ports.Tell(r.info) }

func (r *nativeRuntime) Run(ctx context.Context, batch Batch) (Logits, error) {
	layout, err := r.ports.LayoutOf(batch, r.model)
	if err != nil {
		return Logits{}, err
	}
	return port.RunInChunks(ctx, batch, r.ports.FixedBatch(), func(chunk Batch) (Logits, error) {
		return r.runOnce(ctx, chunk, layout)
	})
}

// runOnce runs a batch that has the graph's own batch size, if it has one.
func (r *nativeRuntime) runOnce(ctx context.Context, batch Batch, l port.Layout) (Logits, error) {
	outputs, err := r.runOn(ctx, r.evaluator, batch, l)
	if err != nil {
		return Logits{}, err
	}
	scores, err := port.ScoresFrom(outputs[0].Data)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: output %q: %w", r.model, r.ports.Output, err)
	}
	logits, err := r.ports.Logits(scores, outputs[0].Shape, batch.N)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", r.model, err)
	}
	return logits, nil
}

// runOn gives a batch to the model, or a part of it, and returns all outputs.
func (r *nativeRuntime) runOn(ctx context.Context, evaluator *native.Evaluator, batch Batch,
	l port.Layout) ([]*native.Tensor, error) {
	input := &native.Tensor{}
	for _, size := range r.ports.Shape(l, batch.N, batch.C, batch.H, batch.W) {
		input.Shape = append(input.Shape, int(size))
	}
	var err error
	if input.Data, err = new(port.Feeder).Feed(r.ports, l, batch); err != nil {
		return nil, fmt.Errorf("%s: %w", r.model, err)
	}
	outputs, err := evaluator.Run(ctx, map[string]*native.Tensor{r.ports.Input: input})
	if ctx.Err() != nil {
		return nil, port.Ended(ctx)
	}
	if err != nil {
		return nil, nativeError(err)
	}
	return outputs, nil
}

// nativeError marks an error of package native as ErrUnsupported where it is.
func nativeError(err error) error {
	if errors.Is(err, native.ErrUnsupported) {
		return port.Unsupported{Reason: err}
	}
	return err
}

func (r *nativeRuntime) Close() error { return r.evaluator.Close() }
