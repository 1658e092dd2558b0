//go:build gpu && linux && amd64

package cuda

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/cu"
)

// kernelsPTX is kernels/kernels.cu, compiled by scripts/cuda-kernels.
//
//go:embed kernels/kernels.ptx
var kernelsPTX string

// kernelNames lists the entry points of kernels.ptx that this package launches.
func kernelNames() []string {
	return []string{
		"begin_step", "softmax_loss", "binary_loss", "penalty", "penalise", "activation_penalty_gradient", "add", "dropout",
		"bias_relu", "relu_gradient", "narrow_gradient",
		"adam", "sgd", "rmsprop", "lion", "accumulate", "gradient_norm", "average_weights",
		"moment_sums", "product_sums", "finish_sums", "set_means", "spread", "batch_norm_forward", "batch_norm_gradient",
		"set_norm_forward", "set_norm_gradient", "activation_forward", "activation_gradient", "scale",
		"prelu", "drop_sets", "copy_rows", "pad_forward", "pad_gradient", "window_max_forward", "window_max_gradient",
		"window_mean_forward", "window_mean_gradient", "depthwise_forward", "depthwise_input_gradient",
		"depthwise_weight_gradient",
		"take_shard", "add_shards", "book_shards",
	}
}

// halfKernelsPTX is the same with maps in bf16.
//
//go:embed kernels/bf16.ptx
var halfKernelsPTX string

// bf16Suffix is what the names of its entry points end with.
const bf16Suffix = "_bf16"

// halfKernelNames lists these, without the suffix.
func halfKernelNames() []string {
	return []string{
		"begin_step", "softmax_loss", "binary_loss", "add", "dropout", "bias_relu", "relu_gradient",
		"narrow_gradient", "moment_sums", "product_sums", "finish_sums", "set_means", "spread",
		"batch_norm_forward", "batch_norm_gradient", "set_norm_forward", "set_norm_gradient",
		"activation_forward", "activation_gradient", "scale", "prelu", "drop_sets", "copy_rows",
		"pad_forward", "pad_gradient", "window_max_forward", "window_max_gradient",
		"window_mean_forward", "window_mean_gradient", "depthwise_forward",
		"depthwise_input_gradient", "depthwise_weight_gradient",
		"narrow", "widen", "add_bias", "bias_gradient", "scale_channels",
	}
}

// threadsPerBlock is that of every launch: a multiple of the warp that any GPU
// takes.
const threadsPerBlock = 256

// launch is one piece of work for the stream.
type launch struct {
	// name is that of the kernel or of the library's call.
	name string
	// of names the graph's node that it computes, if there is one.
	of string
	// how says how a library computes it, or why not otherwise, where there is a choice.
	how string
	// blocks and rows are the grid of a kernel of Slipway's, 0 of a library's call.
	blocks, rows int
	// run puts it into a stream: into that of the steps, whatever it is told, if it is fixed.
	run   func(on *lane) error
	fixed bool
	place place
	// workspace is what a call of cuDNN's needs, in bytes.
	workspace int64
	// gradient says that it makes gradients of parameters alone, of what is there behind so many
	// launches of its machine's, and reads that it reads such (machine_beside.go).
	gradient, reads bool
	behind          int
}

// runAll puts the launches into their streams. What comes into that of the steps from then on is
// behind all of them, also where one has failed.
func runAll(g *gpu, launches []launch) error {
	for _, l := range launches {
		g.count.Launches++
		if err := g.put(l); err != nil {
			return errors.Join(l.failed(err), g.second.join(g.stream))
		}
	}
	return g.second.join(g.stream)
}

// failed says which launch it was.
func (l launch) failed(err error) error {
	switch {
	case l.how != "":
		return fmt.Errorf("%s (%s): %w", l.of, l.how, err)
	case l.of != "":
		return fmt.Errorf("%s: %w", l.of, err)
	}
	return err
}

// kernel is a launch of one of Slipway's kernels on that many threads by that many
// rows (blockIdx.y). An argument is a *buffer, nil for a null pointer, or a number
// of the kernel's own type: int means its 64-bit unsigned count.
func (g *gpu) kernel(name string, threads, rows int, arguments ...any) (launch, error) {
	function, ok := g.functions[name]
	if !ok {
		return launch{}, fmt.Errorf("there is no kernel %q", name)
	}
	if len(arguments) > maxArguments {
		return launch{}, fmt.Errorf("kernel %s: %d arguments, a launch takes %d", name, len(arguments), maxArguments)
	}
	slots := make([]uint64, len(arguments))
	for i, argument := range arguments {
		switch value := argument.(type) {
		case *buffer:
			if value != nil {
				slots[i] = uint64(value.address)
			}
		case int:
			slots[i] = uint64(value)
		case uint64:
			slots[i] = value
		case int32:
			slots[i] = uint64(uint32(value))
		case float32:
			slots[i] = uint64(math.Float32bits(value))
		case float64:
			slots[i] = math.Float64bits(value)
		default:
			return launch{}, fmt.Errorf("kernel %s: argument %d is a %T", name, i, argument)
		}
	}
	blocks := (threads + threadsPerBlock - 1) / threadsPerBlock
	if blocks < 1 || blocks > math.MaxInt32 || rows < 1 || rows > 65535 {
		return launch{}, fmt.Errorf("kernel %s: %d threads by %d rows are more than one launch has, or none", name, threads, rows)
	}
	call := "cuLaunchKernel " + name
	return launch{name: name, blocks: blocks, rows: rows, run: func(on *lane) error {
		return launchKernel(call, function, blocks, rows, on.stream, slots)
	}}, nil
}

// loadKernels has the driver compile the kernels for the device.
func (g *gpu) loadKernels() error {
	var err error
	if g.module, err = cu.LoadData(kernelsPTX); err != nil {
		return called("cuModuleLoadData", err)
	}
	g.functions = make(map[string]cu.Function)
	return g.find(g.module, kernelNames(), "")
}

// loadHalfKernels does so with the kernels of maps in bf16, once.
func (g *gpu) loadHalfKernels() error {
	if g.halves != (cu.Module{}) {
		return nil
	}
	module, err := cu.LoadData(halfKernelsPTX)
	if err != nil {
		return fmt.Errorf("kernels for bf16: %w", called("cuModuleLoadData", err))
	}
	if err := g.find(module, halfKernelNames(), bf16Suffix); err != nil {
		return errors.Join(fmt.Errorf("kernels for bf16: %w", err),
			called("cuModuleUnload", module.Unload()))
	}
	g.halves = module
	return nil
}

// find notes where a module has its entry points.
func (g *gpu) find(module cu.Module, names []string, suffix string) error {
	for _, name := range slices.Sorted(slices.Values(names)) {
		name += suffix
		function, err := module.Function(name)
		if err != nil {
			return called("cuModuleGetFunction "+name, err)
		}
		g.functions[name] = function
	}
	return nil
}
