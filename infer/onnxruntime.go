//go:build cgo

package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// OpenONNXRuntime opens a model, which is of LoadModel or checked, in ONNX
// Runtime. On CUDA, TF32 is off
// unless asked for: it rounds the factors of a product to 10 bits of mantissa.
//
// DeviceAuto falls back to the CPU where CUDA fails, and says so in Info.Notes;
// DeviceCUDA does not. An error about the library is a *LibraryError; in a program
// built without cgo it is that and ErrWithoutCgo.
//
// A batch whose values take more than 4 GiB is ErrBatchMemory, and one that takes longer than the
// limit ErrTimeLimit; so is a session that takes as long to make, or more than 1 GiB and four times
// the model. Shapes in the model tell before it runs; where they do not, on Linux, what this
// process comes to hold outside Go while it runs. onnxruntime ends between two nodes of a graph
// alone: where one takes longer than a second, Run and OpenONNXRuntime return their error, and it
// goes on in the background until it is through or the program ends.
//
// What this process holds is not told apart by sessions: where one computes while another does, or
// is made, each counts the other's memory as its own. A model that is opened while others compute
// may be ErrBatchMemory though it takes less than the limit, and be opened once they are through.
func OpenONNXRuntime(ctx context.Context, model *onnx.Model,
	options ONNXRuntimeOptions) (Runtime, error) {
	device, err := ParseDevice(string(options.Device))
	if options.Device == "" {
		device, err = DeviceAuto, nil
	}
	if err != nil {
		return nil, err
	}
	if options.Threads < 0 {
		return nil, fmt.Errorf("threads %d: at least 1 is needed, or 0 for the default", options.Threads)
	}
	if options.TimeLimit < 0 || options.MemoryLimit < 0 {
		return nil, fmt.Errorf("limits of %v and %d bytes: they may not be negative, 0 stands for the "+
			"default", options.TimeLimit, options.MemoryLimit)
	}
	if options.Threads == 0 {
		options.Threads = runtime.GOMAXPROCS(0)
	}
	ports, err := port.Find(model, options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}

	tryCUDA := device == DeviceCUDA || device == DeviceAuto && CUDASign() != ""
	library, err := FindLibrary(options.Library, tryCUDA)
	if err != nil {
		return nil, err
	}
	// Held over a second try on another device; each session holds it for itself.
	if err := acquireEnvironment(library); err != nil {
		return nil, err
	}
	r := &onnxRuntime{model: model.Path(), source: model, ports: ports, library: library,
		tf32: options.TF32, unoptimized: options.Unoptimized, info: Info{
			Runtime: RuntimeONNXRuntime,
			Version: library.Version,
			Threads: options.Threads,
			Library: library.Path,
			Notes:   port.NotesOf(model),
		}, timeLimit: options.TimeLimit, memoryLimit: cmp.Or(options.MemoryLimit, DefaultMemoryLimit)}
	r.imageBytes, r.fixed = port.ImageBytes(model)
	err = r.openModel(ctx, model, device, tryCUDA)
	if err := errors.Join(err, releaseEnvironment()); err != nil {
		return nil, err
	}
	return r, nil
}

// openModel makes the session of a model, and of one that onnxruntime does not take without its
// weights, with them.
func (r *onnxRuntime) openModel(ctx context.Context, model *onnx.Model, device Device,
	tryCUDA bool) error {
	from, err := modelToRun(model)
	if err != nil {
		return err
	}
	notes := slices.Clone(r.info.Notes)
	err = r.open(ctx, from, device, tryCUDA)
	if err == nil || from.left == nil || limitReached(ctx, err) ||
		errors.Is(err, onnx.ErrChanged) {
		return err
	}
	r.info.Notes = notes
	if err := model.Load(); err != nil {
		return err
	}
	if from, err = modelToRun(model); err != nil {
		return err
	}
	return r.open(ctx, from, device, tryCUDA)
}

const (
	cpuProvider  = "CPUExecutionProvider"
	cudaProvider = "CUDAExecutionProvider"
)

type onnxRuntime struct {
	model   string
	source  *onnx.Model
	ports   port.Ports
	library Library
	tf32    bool
	info    Info
	// unoptimized is as in ONNXRuntimeOptions.
	unoptimized bool
	timeLimit   time.Duration
	memoryLimit int64
	// imageBytes and fixed are as imageBytes returns them.
	imageBytes int64
	fixed      int

	session *session
}

func (r *onnxRuntime) graph() *onnx.Model { return r.source }

func (r *onnxRuntime) Info() Info { return r.ports.Tell(r.info) }

// Close destroys the session, or leaves that to a call that still runs.
func (r *onnxRuntime) Close() error { return r.session.Close() }

// open makes the session, on CUDA first where that is wanted.
func (r *onnxRuntime) open(ctx context.Context, model runnable, device Device,
	tryCUDA bool) error {
	outputs := []string{r.ports.Output}
	if tryCUDA {
		var err error
		var notes []string
		r.session, notes, err = r.newCUDASession(ctx, model.copying(), outputs, r.source, nil)
		if err == nil {
			r.info.Provider, r.info.Device = cudaProvider, "cuda:0"
			r.info.Notes = append(r.info.Notes, notes...)
			return nil
		}
		if limitReached(ctx, err) {
			return fmt.Errorf("%s: %w", r.model, err)
		}
		if device == DeviceCUDA {
			return fmt.Errorf(
				"CUDA was asked for and cannot be used; it needs an NVIDIA GPU with its driver and the CUDA build of "+
					"onnxruntime (scripts/setup-onnxruntime --cuda), -device cpu runs without: %w", plainError(err))
		}
		r.info.Notes = append(r.info.Notes,
			fmt.Sprintf("CUDA was tried, as %s is there, and failed: %v; running on the CPU", CUDASign(),
				plainError(err)))
	}
	var err error
	r.session, err = r.newSession(ctx, model, outputs, nil)
	if limitReached(ctx, err) {
		return fmt.Errorf("%s: %w", r.model, err)
	}
	if errors.Is(err, onnx.ErrChanged) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: onnxruntime refuses the model: %w", r.model, plainError(err))
	}
	r.info.Provider, r.info.Device = cpuProvider, "cpu"
	return nil
}

// makeSession is newSession without its limits.
func (r *onnxRuntime) makeSession(model runnable, outputs []string,
	more func(*ort.SessionOptions) error) (*session, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	if err := r.setOptions(options, more); err != nil {
		return nil, errors.Join(err, options.Destroy())
	}
	return model.session([]string{r.ports.Input}, outputs, options, r.library)
}

// setOptions says how a session is to compute.
func (r *onnxRuntime) setOptions(options *ort.SessionOptions,
	more func(*ort.SessionOptions) error) error {
	if err := options.SetIntraOpNumThreads(r.info.Threads); err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	if err := options.SetInterOpNumThreads(1); err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	// Errors come back as values; without this they are printed, too.
	if err := options.SetLogSeverityLevel(ort.LoggingLevelFatal); err != nil {
		return fmt.Errorf("log level: %w", err)
	}
	if more != nil {
		if err := more(options); err != nil {
			return err
		}
	}
	if r.unoptimized {
		if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
			return fmt.Errorf("graph optimization: %w", err)
		}
	}
	return nil
}

func (r *onnxRuntime) Run(ctx context.Context, batch Batch) (Logits, error) {
	layout, err := r.ports.LayoutOf(batch, r.model)
	if err != nil {
		return Logits{}, err
	}
	return port.RunInChunks(ctx, batch, r.ports.FixedBatch(), func(chunk Batch) (Logits, error) {
		if err := checkBatchMemory(r.memoryLimit, r.imageBytes, chunk.N, r.fixed); err != nil {
			return Logits{}, fmt.Errorf("%s: %w", r.model, err)
		}
		return r.runOnce(ctx, chunk, layout)
	})
}

// runOnce runs a batch that has the graph's own batch size, if it has one.
func (r *onnxRuntime) runOnce(ctx context.Context, batch Batch, l port.Layout) (Logits, error) {
	return inSession(ctx, r, r.session, "Run", func(ctx context.Context) (Logits, error) {
		return r.compute(ctx, batch, l)
	})
}

// compute returns the logits of a batch.
func (r *onnxRuntime) compute(ctx context.Context, batch Batch, l port.Layout) (Logits, error) {
	input, err := r.newInput(batch, l)
	if err != nil {
		return Logits{}, err
	}
	defer input.Destroy()

	outputs := make([]ort.Value, 1)
	if r.ports.OutputType == onnxpb.TensorProto_FLOAT16 {
		if outputs[0], err = r.newFloat16Output(batch.N); err != nil {
			return Logits{}, err
		}
	}
	err = r.runSession(ctx, r.session, input, outputs)
	defer destroyAll(outputs)
	if err != nil {
		return Logits{}, err
	}
	// GetData is Go memory of the tensor's own, which nothing else refers to.
	var scores []float32
	switch output := outputs[0].(type) {
	case *ort.Tensor[float32]:
		scores = output.GetData()
	case *ort.Tensor[float64]:
		scores, err = port.ScoresFrom(output.GetData())
	case *ort.CustomDataTensor:
		scores, err = port.ScoresFrom(float16From(output.GetData()))
	default:
		err = fmt.Errorf("it is %T, not floats", output)
	}
	if err != nil {
		return Logits{}, fmt.Errorf("%s: output %q: %w", r.model, r.ports.Output, err)
	}
	shape := make([]int, len(outputs[0].GetShape()))
	for i, size := range outputs[0].GetShape() {
		shape[i] = int(size)
	}
	logits, err := r.ports.Logits(scores, shape, batch.N)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", r.model, err)
	}
	return logits, nil
}

// newFloat16Output allocates the scores of n images, which the binding of onnxruntime
// does not do for this type.
func (r *onnxRuntime) newFloat16Output(n int) (ort.Value, error) {
	shape := make(ort.Shape, len(r.ports.OutputDims))
	for i, size := range r.ports.OutputDims {
		shape[i] = int64(size)
	}
	if len(shape) > 0 {
		shape[0] = int64(n)
	}
	if len(shape) == 0 || slices.Contains(shape[1:], port.Unknown) {
		return nil, fmt.Errorf(
			"%s: output %q is float16 of no known number of scores: give it its shape, or export the model with float32 scores",
			r.model, r.ports.Output)
	}
	output, err := ort.NewCustomDataTensor(shape, make([]byte, 2*shape.FlattenedSize()),
		ort.TensorElementDataTypeFloat16)
	if err != nil {
		return nil, fmt.Errorf("onnxruntime: %w", err)
	}
	return output, nil
}

// runSession runs a session on one input. Outputs that are nil are allocated; all are
// the caller's to destroy, also beside an error.
func (r *onnxRuntime) runSession(ctx context.Context, session *session, input ort.Value,
	outputs []ort.Value) error {
	options, err := ort.NewRunOptions()
	if err != nil {
		return fmt.Errorf("onnxruntime: %w", err)
	}
	defer options.Destroy()
	// Terminate fails only on destroyed options, and stop's answer says when
	// it must be waited for.
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(terminated)
		_ = options.Terminate()
	})
	err = session.RunWithOptions([]ort.Value{input}, outputs, options)
	if !stop() {
		<-terminated
	}
	if ctx.Err() != nil {
		return watchEnded(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: onnxruntime: %w", r.model, plainError(err))
	}
	if session.loan != nil {
		return session.loan.check()
	}
	return nil
}

func (r *onnxRuntime) newInput(batch Batch, l port.Layout) (ort.Value, error) {
	// A feeder of its own: a call that was given up may still read what this one fed.
	data, err := new(port.Feeder).Feed(r.ports, l, batch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.model, err)
	}
	shape := ort.Shape(r.ports.Shape(l, batch.N, batch.C, batch.H, batch.W))
	var input ort.Value
	switch values := data.(type) {
	case []uint8:
		input, err = ort.NewTensor(shape, values)
	case []onnx.Float16:
		input, err = ort.NewCustomDataTensor(shape, float16Bytes(values),
			ort.TensorElementDataTypeFloat16)
	case []float64:
		input, err = ort.NewTensor(shape, values)
	default:
		input, err = ort.NewTensor(shape, values.([]float32))
	}
	if err != nil {
		return nil, fmt.Errorf("onnxruntime: %w", err)
	}
	return input, nil
}
