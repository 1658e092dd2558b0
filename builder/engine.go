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

// Kernels returns what the native engine's operators compute with.
func (e *Engine) Kernels() (kernels kernel.Engine, native bool) {
	return e.kernels, e.name == EngineNative
}

// String names the engine, its kernels and threads.
func (e *Engine) String() string {
	if e.name != EngineNative {
		return e.name
	}
	threads := e.kernels.Pool.Threads()
	if threads == 1 {
		return fmt.Sprintf("%s (%s, 1 thread)", e.name, e.kernels.Set.Name())
	}
	return fmt.Sprintf("%s (%s, %d threads)", e.name, e.kernels.Set.Name(), threads)
}

// Close ends the engine's threads. Graphs lowered with it work on, on the
// caller's thread alone.
func (e *Engine) Close() {
	if e.name == EngineNative {
		e.kernels.Pool.Close()
	}
}
