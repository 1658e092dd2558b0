package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"

	"slipway/infer"
	"slipway/infer/port"
	"slipway/onnx"
)

// A version is one version of a model, loaded.
type version struct {
	references
	name, number  string
	input, output tensorInfo
	// platform is what the protocol calls the format and what runs it.
	platform string
	runtime  infer.Runtime
	batcher  *batcher
	pictures pictures
}

// A loader opens versions of models.
type loader struct {
	config  Config
	metrics *metrics
	// open are the versions that are not closed.
	open sync.WaitGroup
}

// load opens a file as a version of a model and tries it. Whatever a file makes the runtime do, a
// panic included, is its error.
func (l *loader) load(ctx context.Context, name, number, path string) (v *version, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			l.panicked(reason, debug.Stack())
			v, err = nil, fmt.Errorf("%s: the runtime panicked while the model was loaded: %v", path, reason)
		}
	}()
	model, err := l.read(path)
	if err != nil {
		return nil, err
	}
	ports, err := port.Find(model, l.config.RuntimeOptions.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	v = &version{name: name, number: number}
	if v.input, err = inputInfo(ports); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if v.pictures, err = picturesOf(model, ports, l.config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if v.runtime, err = infer.OpenRuntime(ctx, l.config.Runtime, model,
		l.config.RuntimeOptions); err != nil {
		return nil, err
	}
	tried, err := try(ctx, v.runtime, v.input)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: the model was tried and does not answer: %w", path, err),
			v.runtime.Close())
	}
	classes := tried.classes
	if known := ports.Classes(); classes < 0 && known > 0 {
		classes = known
	}
	v.output = outputInfo(ports, classes)
	v.platform = "onnx_" + l.config.Runtime
	most := min(l.config.MaxBatch, infer.BatchOf(model))
	if tried.single {
		most = 1
	}
	v.batcher = &batcher{
		runtime: v.runtime,
		most:    most,
		split:   tried.single,
		// onnxruntime may take sums in another order in a batch of another size: what it
		// answers would depend on who else asks.
		join: l.config.Runtime == infer.RuntimeNative && tried.apart && l.config.MaxBatch > 1,
		wait: l.config.MaxWait, observe: l.metrics.ran(name, number), panicked: l.panicked,
	}
	// Where requests are not joined, one of any size is a batch: one at a time takes memory for it.
	if v.batcher.join {
		v.batcher.lanes = lanesOf(v.runtime, triedImages, most)
	}
	v.batcher.start(l.config.Limits.Queue)
	l.open.Add(1)
	v.references.end = func() {
		defer l.open.Done()
		v.batcher.close()
		if err := errors.Join(closeAll(v.batcher.lanes), v.runtime.Close()); err != nil {
			l.config.Logger.Error("a model could not be closed", "model", name, "version", number, "error",
				err)
		}
	}
	return v, nil
}

// read reads and checks a model, and verifies its signature where one is needed. It is read once:
// what was verified is what is loaded.
func (l *loader) read(path string) (*onnx.Model, error) {
	if l.config.RequireSignature == nil {
		return infer.LoadModel(path)
	}
	model, err := l.config.RequireSignature.ReadModel(path)
	if err != nil {
		return nil, err
	}
	return model, model.Check()
}

// tell logs what was loaded, and what the runtime says must be heard of it.
func (l *loader) tell(v *version) {
	info := v.runtime.Info()
	log := l.config.Logger.With("model", v.name, "version", v.number)
	log.Info("a model is served", "runtime", info.Runtime, "runtime_version", info.Version, "provider",
		info.Provider,
		"threads", info.Threads, "input", v.input.Name, "shape", v.input.Shape, "datatype",
		v.input.Datatype,
		"classes", v.output.Shape[1], "batches_together", v.batcher.join, "max_batch", v.batcher.most)
	for _, note := range info.Notes {
		log.Warn("a note on a model", "note", note)
	}
}

func (l *loader) panicked(reason any, stack []byte) {
	l.metrics.panics.Inc()
	l.config.Logger.Error("a panic", "panic", fmt.Sprint(reason), "stack", string(stack))
}

// A trial is what is known of a model once it was tried.
type trial struct {
	// classes is the number of scores of an image, -1 where the model was not tried.
	classes int
	// apart says that images have the same bits in a batch as alone.
	apart bool
	// single says that it takes one image alone, whatever its input promises.
	single bool
}

// triedImages are asked about alone and together, of mostTried values each.
const (
	triedImages = 4
	mostTried   = 1 << 24
)

// try asks a model about a few images of noise, each of another brightness. One that leaves the
// size of its images open, or whose images are very large, is not tried, and its requests stay
// apart.
func try(ctx context.Context, runtime infer.Runtime, input tensorInfo) (trial, error) {
	size := 1
	for _, d := range input.Shape[1:] {
		if d < 0 || int(d) > mostTried/size {
			return trial{classes: -1}, nil
		}
		size *= int(d)
	}
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, triedImages*size)
	for i := range values {
		values[i] = float32(random.IntN(256 >> (i / size)))
	}
	shape := append([]int64{triedImages}, input.Shape[1:]...)
	together, err := runtime.Run(ctx, input.batch(shape, values))
	if err != nil {
		shape[0] = 1
		alone, aloneErr := runtime.Run(ctx, input.batch(shape, values[:size]))
		if aloneErr != nil {
			return trial{}, err
		}
		return trial{classes: alone.K, single: true}, nil
	}
	result := trial{classes: together.K, apart: true}
	shape[0] = 1
	for i := range triedImages {
		alone, err := runtime.Run(ctx, input.batch(shape, values[i*size:(i+1)*size]))
		if err != nil {
			// One that takes this number of images alone is served, and not joined with others.
			result.apart = false
			return result, nil
		}
		result.apart = result.apart && slices.EqualFunc(alone.Values, together.Row(i), sameBits)
	}
	return result, nil
}

func sameBits(a, b float32) bool { return a == b || a != a && b != b }
