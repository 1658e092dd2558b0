//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"
)

// lane is a stream, with the handles of the two libraries that put their work there. Each lane has
// handles of its own: a handle works on one stream at a time, and what it keeps beside its
// arguments, such as cuBLAS's workspace, belongs to the work that is under way.
type lane struct {
	number int       // 0 of the steps' own, 1 of the one beside it
	stream cu.Stream // not there yet if it is the zero value
	dnn    *cudnn.Context
	blas   *cublas.Standard
	// workspace is that of cuBLAS and of cuBLASLt, whose calls here come one after another.
	workspace *buffer
}

// blasWorkspace is what cuBLAS's documentation asks for on the newest GPUs.
const blasWorkspace = 32 << 20

// openStream makes the stream: the default one cannot be captured.
func (l *lane) openStream() (err error) {
	l.stream, err = cu.MakeStream(cu.NonBlocking)
	return called("cuStreamCreate", err)
}

// openLibraries makes the handles. What was made when it fails, closeLibraries frees.
func (l *lane) openLibraries(memory *pool) error {
	if err := guarded(func() error { l.dnn = cudnn.NewContext(); return nil }); err != nil {
		return fmt.Errorf("cudnnCreate: %w; cuDNN needs a driver as new as its own release", err)
	}
	if err := setDNNStream(l.dnn, l.stream); err != nil {
		return err
	}
	blas := new(cublas.Standard)
	if err := blas.Init(); err != nil {
		return fmt.Errorf("%w; cuBLAS needs a driver as new as its own release",
			called("cublasCreate", err))
	}
	l.blas = blas
	if err := setBLASStream(l.blas, l.stream); err != nil {
		return err
	}
	workspace, err := memory.allocate("cuBLAS's workspace", blasWorkspace)
	if err != nil {
		return err
	}
	l.workspace = workspace
	return setBLASWorkspace(l.blas, workspace)
}

// closeLibraries frees the handles, before the stream that they work on and their memory.
func (l *lane) closeLibraries() (all []error) {
	if l.blas != nil {
		all = append(all, called("cublasDestroy", l.blas.Close()))
	}
	if l.dnn != nil {
		all = append(all, called("cudnnDestroy", l.dnn.Close()))
	}
	l.blas, l.dnn = nil, nil
	return all
}

func (l *lane) closeStream() error {
	if l.stream == (cu.Stream{}) {
		return nil
	}
	err := called("cuStreamDestroy", l.stream.Destroy())
	l.stream = cu.Stream{}
	return err
}
