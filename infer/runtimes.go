package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/infer/port"
	"slipway/internal/nearest"
	"slipway/onnx"
)

// Names of the runtimes, as OpenRuntime and Info have them.
const (
	RuntimeONNXRuntime = "onnxruntime"
	RuntimeNative      = "native"
	RuntimeONNXGo      = "onnx-go"
	// RuntimeTrainer is that of a Reference, which no OpenRuntime opens.
	RuntimeTrainer = "trainer"
)

// RuntimeOptions are the choices for OpenRuntime; a runtime passes over those
// that are not for it.
type RuntimeOptions struct {
	// Device, Threads, Output and TF32 are as in ONNXRuntimeOptions.
	Device  Device
	Threads int
	Output  string
	TF32    bool
	// Library is onnxruntime's shared library; empty to search for it.
	Library string
	// Worker runs onnx-go's worker, as ONNXGoOptions.Command does.
	Worker []string
	// Batch is onnx-go's graph's batch size for a model that leaves it open, 0 for the default.
	Batch int
	// Plain asks for the same function rounded otherwise: onnxruntime without its graph
	// optimizations, native on the portable kernels. onnx-go has one way alone and is refused.
	Plain bool
}

// RuntimeNames lists the runtimes that OpenRuntime opens, in the order of comparison.
func RuntimeNames() []string { return []string{RuntimeONNXRuntime, RuntimeNative, RuntimeONNXGo} }

// CheckRuntimeName refuses the name of no runtime and says which is nearest.
func CheckRuntimeName(name string) error {
	if names := RuntimeNames(); !slices.Contains(names, name) {
		return fmt.Errorf("unknown runtime %q: %s%s", name, strings.Join(names, ", "),
			nearest.Hint(name, names))
	}
	return nil
}

// OpenRuntime opens a model, which is of LoadModel or checked, in the runtime of
// that name.
func OpenRuntime(ctx context.Context, name string, model *onnx.Model,
	options RuntimeOptions) (Runtime, error) {
	switch name {
	case RuntimeONNXRuntime:
		return OpenONNXRuntime(ctx, model, ONNXRuntimeOptions{
			Device: options.Device, Threads: options.Threads, Library: options.Library,
			Output: options.Output, TF32: options.TF32, Unoptimized: options.Plain,
		})
	case RuntimeNative:
		kernels := ""
		if options.Plain {
			kernels = "portable"
		}
		return OpenNative(ctx, model, NativeOptions{Threads: options.Threads, Output: options.Output,
			Kernels: kernels, Direct: options.Plain})
	case RuntimeONNXGo:
		if options.Plain {
			return nil, port.Unsupported{Reason: errors.New("onnx-go computes a graph in one way alone")}
		}
		return OpenONNXGo(ctx, model, ONNXGoOptions{
			Command: options.Worker, Batch: options.Batch, Threads: options.Threads, Output: options.Output,
		})
	}
	return nil, CheckRuntimeName(name)
}
