package builder

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/kernel"
)

// Engines that a network can be lowered to. All are Gorgonia's graph,
// differentiation and TapeMachine.
const (
	// EngineNative uses operators of Slipway's own throughout, on vectorised
	// kernels.
	EngineNative = "native"
	// EngineGorgonia uses Gorgonia's stock operators, and Slipway's plain ones
	// where those are wrong or missing. It is slow, and is what the native
	// engine is checked against.
	EngineGorgonia = "gorgonia"

	// EnginePlain is the graph that an executor for a device of its own compiles:
	// operators of Slipway's own throughout, each of which ops.Describe describes,
	// on the public layout. It also runs here, as plain loops: the oracle of such
	// an executor, and not among EngineNames, since nobody would train with it.
	EnginePlain = "plain"

	// DefaultEngine is the engine used where none is named.
	DefaultEngine = EngineNative
)

// EngineNames lists the engines there are to choose from.
func EngineNames() []string { return []string{EngineNative, EngineGorgonia} }

// Engine is what a network's graph computes with. Close it to end its threads.
type Engine struct {
	name    string
	kernels kernel.Engine
	bf16    bool
}

// NewEngine returns the engine of that name. The native engine computes on that
// many threads, one for each core if 0, with the kernels preferred on the CPU
// or those that the environment variable SLIPWAY_KERNEL names; its results do
// not depend on the number of threads. Gorgonia decides on threads itself.
func NewEngine(name string, threads int) (*Engine, error) {
	if name != EnginePlain && !slices.Contains(EngineNames(), name) {
		return nil, fmt.Errorf("unknown engine %q; there are %s", name, strings.Join(EngineNames(), ", "))
	}
	engine := &Engine{name: name}
	if name == EngineNative {
		kernels, err := kernel.NewEngine("", threads)
		if err != nil {
			return nil, fmt.Errorf("engine %s: %w", name, err)
		}
		engine.kernels = kernels
	}
	return engine, nil
}

// Name returns EngineNative, EngineGorgonia or EnginePlain.
func (e *Engine) Name() string { return e.name }

// CheckBF16 reports why MultiplyBF16 is not for this engine, nil if it is: for the native engine,
// on a CPU with AMX.
func (e *Engine) CheckBF16() error {
	if e.name != EngineNative {
		return fmt.Errorf("engine %s multiplies float32 alone; engine %s has bf16", e.name, EngineNative)
	}
	if err := e.kernels.CheckBF16(); err != nil {
		return fmt.Errorf("engine %s: %w", e.name, err)
	}
	return nil
}

// MultiplyBF16 has the graphs for training (LowerOptions.Training) that are lowered from now on
// round what convolutions multiply to bfloat16, 8 bits of mantissa, and sum in float32, in the
// passes that take less time so (docs/native-engine.md): those of 16 channels and filters, or a
// multiple, that are neither grouped nor dilated nor end in a max pooling; Lowered.BF16 counts them.
// Dense layers, values between the layers, gradients, weights and statistics stay float32. Other
// graphs multiply float32.
func (e *Engine) MultiplyBF16() error {
	if err := e.CheckBF16(); err != nil {
		return err
	}
	e.bf16 = true
	return nil
}

// Kernels returns what the native engine's operators compute with, those apart that MultiplyBF16 is
// about.
func (e *Engine) Kernels() (kernels kernel.Engine, native bool) {
	return e.kernels, e.name == EngineNative
}

// String names the engine, its kernels, what it multiplies in training unless that is float32, and
// its threads.
func (e *Engine) String() string {
	if e.name != EngineNative {
		return e.name
	}
	kernels := e.kernels.Set.Name()
	if e.bf16 {
		kernels += ", bf16"
	}
	threads := e.kernels.Pool.Threads()
	if threads == 1 {
		return fmt.Sprintf("%s (%s, 1 thread)", e.name, kernels)
	}
	return fmt.Sprintf("%s (%s, %d threads)", e.name, kernels, threads)
}

// Close ends the engine's threads. Graphs lowered with it work on, on the
// caller's thread alone.
func (e *Engine) Close() {
	if e.name == EngineNative {
		e.kernels.Pool.Close()
	}
}
