package native

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"slipway/internal/kernel"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// foldedMemory is how many bytes, beside four times the initializers', may be
// computed once from constants: a few sizes in a small file cannot ask for more.
const foldedMemory = 256 << 20

// DefaultMemoryLimit is how many bytes an Evaluator may use for what it computes,
// 4 GiB: no model of a test suite or of this project comes near it.
const DefaultMemoryLimit = 4 << 30

// Options are the choices for New.
type Options struct {
	// Outputs names the outputs to compute, in this order; all of them when empty.
	// What they do not need is not computed, and need not be supported.
	Outputs []string
	// Threads to compute with; 0 for as many as Go would use.
	Threads int
	// Kernels names the kernel set, as kernel.Select does; empty for the preferred one.
	Kernels string
	// Direct sums every convolution as it is written. Without it those that have constant weights, no
	// stride and a kernel of 3×3 to 5×5 may be computed by Winograd's minimal filtering, in a third to
	// two thirds of the time and with rounding errors a few times as large.
	Direct bool
	// MemoryLimit bounds, in bytes, what is allocated beside the model's weights;
	// DefaultMemoryLimit when 0. What depends on no input may take 256 MiB of it, and
	// more where the weights are large.
	MemoryLimit int
}

// Evaluator runs one model. Its methods may be called by several goroutines; runs
// exclude each other.
type Evaluator struct {
	label   string
	program *program
	set     *kernel.Set
	threads int
	limit   int // bytes
	folded  int // bytes of what was computed once, from constants

	mu        sync.Mutex
	engine    kernel.Engine
	arena     *arena
	run       *run      // nil before the first
	given     []*Tensor // of a run
	few       few       // of its images, where they go in parts
	seen      *image    // of images of that shape
	seenShape []int
	closed    bool
}

// ErrUnsupported says that a model, though it may be valid, cannot be run here: it
// uses something that is not implemented, or needs more memory than allowed.
var ErrUnsupported = errors.New("the native runtime cannot run the model")

// New checks the model and makes it ready to run. The model must not be changed
// while the Evaluator is used. A valid model that cannot be run is refused by
// ErrUnsupported, here or, where that shows only then, by Run.
func New(ctx context.Context, model *onnx.Model, options Options) (*Evaluator, error) {
	if err := model.Check(); err != nil {
		return nil, err
	}
	label := "model"
	if model.Path() != "" {
		label = model.Path()
	}
	if options.Threads < 0 || options.MemoryLimit < 0 {
		return nil, fmt.Errorf(
			"%d threads and a memory limit of %d bytes: neither may be negative, 0 stands for the default",
			options.Threads, options.MemoryLimit)
	}
	if options.MemoryLimit == 0 {
		options.MemoryLimit = DefaultMemoryLimit
	}
	engine, err := kernel.NewEngine(options.Kernels, options.Threads)
	if err != nil {
		return nil, err
	}
	e := &Evaluator{label: label, set: engine.Set, threads: engine.Pool.Threads(),
		limit: options.MemoryLimit, engine: engine, arena: &arena{limit: options.MemoryLimit}}
	r, err := e.newRun(ctx)
	if err == nil {
		e.arena.limit = min(options.MemoryLimit, foldedMemory+4*weightBytes(model))
		e.program, err = compile(model, options, r)
		e.arena.limit = options.MemoryLimit
		e.arena.dropFree()
		e.folded = e.arena.used
	}
	if err != nil {
		engine.Pool.Close()
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w: %w", label, ErrUnsupported, err)
	}
	return e, nil
}

// weightBytes returns the bytes of the model's initializers, 2 GiB at most.
func weightBytes(model *onnx.Model) int {
	bytes := 0
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		bytes += proto.Size(tensor)
	}
	return bytes
}

// newRun returns the Evaluator's run, for a context.
func (e *Evaluator) newRun(ctx context.Context) (*run, error) {
	if e.run == nil {
		elements, err := kernel.NewElementwise(e.engine)
		if err != nil {
			return nil, err
		}
		e.run = &run{arena: e.arena, engine: e.engine, elements: elements}
	}
	e.run.ctx = ctx
	return e.run, nil
}

// Session returns another Evaluator of the same model, with threads and memory of its own: the
// two run at the same time, and share the weights. Either may be closed before the other.
func (e *Evaluator) Session() *Evaluator { return e.SessionOf(e.threads) }

// SessionOf is Session with that number of threads, 1 or more, which changes no answer.
func (e *Evaluator) SessionOf(threads int) *Evaluator {
	s := &Evaluator{label: e.label, program: e.program, set: e.set, threads: max(1, threads),
		limit: e.limit}
	s.begin()
	return s
}

// begin gives the Evaluator threads of its own and no memory but that of its constants.
func (e *Evaluator) begin() {
	e.engine = kernel.Engine{Set: e.set, Pool: kernel.NewPool(e.threads)}
	e.arena = &arena{limit: e.limit, used: e.folded}
	e.run, e.given, e.few = nil, nil, few{}
	e.seen, e.seenShape = nil, nil
}

// Kernels returns the name of the kernel set: "avx512", "avx2" or "portable".
func (e *Evaluator) Kernels() string { return e.set.Name() }

// Threads returns the number of threads that a run computes with.
func (e *Evaluator) Threads() int { return e.threads }

// Inputs returns what Run must be given, in the graph's order.
func (e *Evaluator) Inputs() []Port { return slices.Clone(e.program.inputs) }

// Outputs returns the names of what Run gives.
func (e *Evaluator) Outputs() []string { return slices.Clone(e.program.outputs) }

// Run computes the outputs, in the order of Outputs, from the inputs by their
// names. It changes no input and keeps none; the outputs are the caller's. When
// ctx ends, Run returns its error after the kernel call in progress.
func (e *Evaluator) Run(ctx context.Context, inputs map[string]*Tensor) ([]*Tensor, error) {
	given := make([]*Tensor, len(e.program.inputs))
	for i, port := range e.program.inputs {
		given[i] = inputs[port.Name]
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if !slices.ContainsFunc(e.program.inputs, func(p Port) bool { return p.Name == name }) {
			return nil, fmt.Errorf("%s: the model has no input %q", e.label, shorten(name))
		}
	}
	return e.compute(ctx, given, nil)
}

// RunInto is Run with the inputs in the order of Inputs and outputs that are the caller's
// already, in the order of Outputs: their Shape is set, and their Data is written to where it is
// of float32 and of as many elements, and replaced otherwise. A run like the one before
// allocates nothing then, for the operators of the usual networks (docs/native-evaluation.md).
// After an error the outputs may be written to in part.
func (e *Evaluator) RunInto(ctx context.Context, inputs, outputs []*Tensor) error {
	if len(inputs) != len(e.program.inputs) || len(outputs) != len(e.program.outputs) {
		return fmt.Errorf("%s: %d inputs and %d outputs are given, the model has %d and %d",
			e.label, len(inputs), len(outputs), len(e.program.inputs), len(e.program.outputs))
	}
	if slices.Contains(outputs, nil) {
		return fmt.Errorf("%s: an output to write to is nil", e.label)
	}
	_, err := e.compute(ctx, inputs, outputs)
	return err
}

// compute is Run and RunInto; outputs is nil where the caller has none.
func (e *Evaluator) compute(ctx context.Context, inputs, outputs []*Tensor) ([]*Tensor, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the native runtime: Run after Close")
	}
	returned := false
	defer func() {
		if !returned {
			// A panic, which a caller may recover from. It left what an operation had taken where
			// nobody finds it, and threads that may compute yet, in that memory.
			e.engine.Pool.Close()
			e.begin()
		}
	}()
	results, err := e.computeLocked(ctx, inputs, outputs)
	returned = true
	return results, err
}

// computeLocked is compute by the one that holds mu.
func (e *Evaluator) computeLocked(ctx context.Context, inputs, outputs []*Tensor) (
	[]*Tensor, error,
) {
	for i := range e.program.inputs {
		port := &e.program.inputs[i]
		if inputs[i] == nil {
			return nil, fmt.Errorf("%s: the input %q is missing", e.label, shorten(port.Name))
		}
		if err := port.accepts(inputs[i]); err != nil {
			return nil, fmt.Errorf("%s: input %q: %w", e.label, shorten(port.Name), err)
		}
		// A shape and marks of its own: the caller's tensor is not touched.
		if i == len(e.given) {
			e.given = append(e.given, &Tensor{})
		}
		*e.given[i] = Tensor{Shape: append(e.given[i].Shape[:0], inputs[i].Shape...),
			Data: inputs[i].Data}
	}
	r, err := e.newRun(ctx)
	if err != nil {
		return nil, err
	}
	results, err := e.execute(r, e.given, outputs)
	for _, t := range e.given {
		t.Data = nil // the caller's
	}
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%s: %w: %w", e.label, ErrUnsupported, err)
	}
	return results, err
}

// execute runs the program with its memory planned.
func (e *Evaluator) execute(r *run, given, outputs []*Tensor) ([]*Tensor, error) {
	plan, err := e.planOf(r, given)
	if err != nil {
		return nil, err
	}
	if seen, images, part := e.parts(given); part < images {
		return e.executeParts(r, given, outputs, seen, images, part)
	}
	if err := e.arena.follow(plan); err != nil {
		return nil, err
	}
	return e.program.execute(r, given, outputs, span{})
}

// parts returns what was seen of images of a run's size, how many it has, and how many of them go
// through the graph at a time.
func (e *Evaluator) parts(given []*Tensor) (seen *image, images, part int) {
	images = e.images(given)
	if images <= smallBatch || !e.program.apart {
		return nil, images, images
	}
	if seen = e.seenOf(given); seen == nil {
		return nil, images, images
	}
	if _, ok := given[0].Data.([]float32); !ok {
		return nil, images, images
	}
	return seen, images, partOf(images, seen.elements(), e.program.constants())
}

// Held returns the bytes that the Evaluator holds beside the model's weights: what lies between the
// nodes, and what the kernels work in.
func (e *Evaluator) Held() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.arena.used
}

// Close ends the threads. Run fails after it.
func (e *Evaluator) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		e.engine.Pool.Close()
	}
	return nil
}

// accepts says whether a tensor has the type and the sizes that the port names.
func (p Port) accepts(t *Tensor) error {
	if err := t.check(); err != nil {
		return err
	}
	if p.Type != onnxpb.TensorProto_UNDEFINED && t.Type() != p.Type {
		return fmt.Errorf("it takes %s, not %s", typeName(p.Type), typeName(t.Type()))
	}
	if p.Shape == nil {
		return nil
	}
	fits := len(p.Shape) == len(t.Shape)
	for i := 0; fits && i < len(p.Shape); i++ {
		fits = p.Shape[i] < 0 || p.Shape[i] == t.Shape[i]
	}
	if !fits {
		return fmt.Errorf("wrong input shape: it takes %s, not %s",
			strings.ReplaceAll(formatShape(p.Shape), "-1", "?"), formatShape(t.Shape))
	}
	return nil
}
