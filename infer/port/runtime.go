package port

import (
	"context"
	"errors"
)

// ErrUnsupported says that a runtime cannot run a model, which another one may.
// The error that is it names the runtime.
var ErrUnsupported = errors.New("the runtime does not support the model")

// Unsupported is an error that is ErrUnsupported, in words of its own.
type Unsupported struct{ Reason error }

func (e Unsupported) Error() string { return e.Reason.Error() }

// Is reports whether the target is ErrUnsupported.
func (e Unsupported) Is(target error) bool { return target == ErrUnsupported }

func (e Unsupported) Unwrap() error { return e.Reason }

// A Runtime runs one image classifier. Package infer has three, and a type of your own may be one:
// docs/add-a-runtime.md.
type Runtime interface {
	// Info says what runs the model: the provider in use, not the one asked for.
	Info() Info
	// Run returns the scores of a batch, N×K. A runtime whose graph has a fixed
	// batch size takes a batch of any size all the same. When ctx ends, Run
	// returns its error.
	Run(ctx context.Context, batch Batch) (Logits, error)
	// Close frees what the runtime holds. Run fails after it.
	Close() error
}

// Info names a runtime and what it runs on.
type Info struct {
	// Runtime is "onnxruntime", "native" or "onnx-go".
	Runtime string
	// Version of the runtime, as the runtime itself gives it.
	Version string
	// Provider is ONNX Runtime's execution provider that the graph runs on,
	// CPUExecutionProvider or CUDAExecutionProvider; the kernel set, such as "avx2",
	// for native; "Gorgonia" for onnx-go.
	Provider string
	// Device is "cpu" or "cuda:0".
	Device string
	// Threads that one Run computes with.
	Threads int
	// Library is the shared library's file, empty when there is none.
	Library string
	// Notes are what the user must hear, such as a fallback from CUDA to the CPU.
	Notes []string
}

// A Batch is N images of C channels, H rows and W columns: N×C×H×W, row-major,
// in the units that the network was trained on.
type Batch struct {
	N, C, H, W int
	Pixels     []float32
}

// Logits are the scores of N images for K classes, N×K, row-major: logits, or
// probabilities when the model ends in a softmax.
type Logits struct {
	N, K   int
	Values []float32
}

// Row returns image i's K scores, not a copy of them.
func (l Logits) Row(i int) []float32 { return l.Values[i*l.K : (i+1)*l.K] }

// Label returns the index of image i's largest score, the lowest one of equals,
// and -1 when a score is NaN: such an image has no answer.
func (l Logits) Label(i int) int {
	best := -1
	for k, v := range l.Row(i) {
		if v != v {
			return -1
		}
		if best < 0 || v > l.Row(i)[best] {
			best = k
		}
	}
	return best
}

// Append adds the rows of other, which has as many classes.
func (l *Logits) Append(other Logits) {
	l.N += other.N
	l.K = other.K
	l.Values = append(l.Values, other.Values...)
}
