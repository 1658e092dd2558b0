package infer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"slipway/infer/port"
	"slipway/onnx"
)

// onnxGoBatch is the batch size for models that leave it open. Larger ones are
// slower: what one operator writes no longer fits the cache for the next.
const onnxGoBatch = 8

// ONNXGoOptions are the choices for OpenONNXGo.
type ONNXGoOptions struct {
	// Command runs a program that calls onnxgo.Serve on its standard input and
	// output: often the same program with an argument of its own.
	Command []string
	// Batch is the graph's batch size, at least 2, for a model that leaves it
	// open; 0 for the default, 8.
	Batch int
	// Threads is how many workers there may be, each of one thread; 0 for as many
	// as Go would use.
	Threads int
	// Output names the score output of a model with several.
	Output string
}

// OpenONNXGo opens a model, which is of LoadModel or checked, in onnx-go on
// Gorgonia. It runs in processes of its own, since onnx-go panics where no
// recover catches it; such an end is then Run's error. Of a model with an open
// batch dimension a graph of a fixed batch size is made; the pieces of a batch
// are spread over the workers.
//
// A model that onnx-go is known to compute wrongly is refused, by ErrUnsupported.
func OpenONNXGo(ctx context.Context, model *onnx.Model, options ONNXGoOptions) (Runtime, error) {
	if len(options.Command) == 0 {
		return nil, errors.New("onnx-go: no worker command is given")
	}
	if options.Threads < 0 {
		return nil, fmt.Errorf("threads %d: at least 1 is needed, or 0 for the default", options.Threads)
	}
	if options.Threads == 0 {
		options.Threads = runtime.GOMAXPROCS(0)
	}
	if options.Batch == 0 {
		options.Batch = onnxGoBatch
	}
	ports, err := port.Find(model, options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}
	if err := model.Load(); err != nil {
		return nil, err
	}
	r, err := startOnnxGo(ctx, model, ports, options)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// startOnnxGo starts a worker on the model, whose ports are known and whose
// options are filled in.
func startOnnxGo(ctx context.Context, model *onnx.Model, ports port.Ports,
	options ONNXGoOptions) (*onnxGo, error) {
	encoded, input, err := onnxGoModel(model, ports, options.Batch)
	if err != nil {
		return nil, port.Unsupported{Reason: fmt.Errorf("%s: onnx-go does not support the model: %w",
			model.Path(), err)}
	}
	r := &onnxGo{source: model, encoded: encoded, options: options, ports: ports, input: input}
	if err := r.grow(ctx, 1); err != nil {
		return nil, err
	}
	r.info = Info{Runtime: RuntimeONNXGo, Version: r.workers[0].version, Provider: "Gorgonia",
		Device: "cpu", Threads: options.Threads, Notes: port.NotesOf(model)}
	return r, nil
}

type onnxGo struct {
	source  *onnx.Model
	encoded []byte
	options ONNXGoOptions
	ports   port.Ports
	input   []int // the graph's input shape
	info    Info

	mu      sync.Mutex // one batch at a time
	workers []*onnxGoWorker
}

func (r *onnxGo) graph() *onnx.Model { return r.source }

func (r *onnxGo) Info() Info { return r.ports.Tell(r.info) }

// grow starts workers until there are n.
func (r *onnxGo) grow(ctx context.Context, n int) error {
	for len(r.workers) < n {
		w, err := startOnnxGoWorker(ctx, r.options.Command, r.source.Path(), r.encoded, r.input)
		if err != nil {
			return err
		}
		r.workers = append(r.workers, w)
	}
	return nil
}

func (r *onnxGo) Run(ctx context.Context, batch Batch) (Logits, error) {
	answer, err := r.values(ctx, batch)
	if err != nil {
		return Logits{}, err
	}
	return r.ports.Logits(answer.Values, []int{answer.N, answer.K}, answer.N)
}

// values returns the output of a batch, N×K, K being all that follows the batch.
func (r *onnxGo) values(ctx context.Context, batch Batch) (Logits, error) {
	layout, err := r.ports.LayoutOf(batch, r.source.Path())
	if err != nil {
		return Logits{}, err
	}
	if layout == port.ChannelsLast && batch.C > 1 {
		batch.Pixels = port.ToChannelsLast(batch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		if w.ended != nil {
			return Logits{}, w.ended
		}
	}
	chunks := (batch.N + r.input[0] - 1) / r.input[0]
	workers := min(chunks, r.options.Threads)
	if err := r.grow(ctx, workers); err != nil {
		return Logits{}, err
	}
	return r.spread(ctx, batch, chunks, r.workers[:workers])
}

// spread gives each worker the next piece of the batch as soon as it is done with one.
func (r *onnxGo) spread(ctx context.Context, batch Batch, chunks int,
	workers []*onnxGoWorker) (Logits, error) {
	answers, errs := make([]Logits, chunks), make([]error, len(workers))
	var next atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	for i, w := range workers {
		group.Go(func() {
			for !failed.Load() {
				chunk := int(next.Add(1)) - 1
				if chunk >= chunks {
					return
				}
				begin := chunk * r.input[0]
				piece := batch.Slice(begin, min(begin+r.input[0], batch.N))
				if answers[chunk], errs[i] = port.RunInChunks(ctx, piece, r.input[0],
					func(b Batch) (Logits, error) { return w.run(ctx, b) }); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return Logits{}, err
	}
	var all Logits
	for _, answer := range answers {
		all.Append(answer)
	}
	return all, nil
}

// Close ends the workers: they leave at the end of their input, and are killed
// when they do not.
func (r *onnxGo) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		w.close()
	}
	return nil
}
