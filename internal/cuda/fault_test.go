//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// Codes of the driver that the faults have.
const (
	errorOutOfMemory   = 2   // CUDA_ERROR_OUT_OF_MEMORY
	errorECC           = 214 // CUDA_ERROR_ECC_UNCORRECTABLE
	errorOutOfResource = 701 // CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
	errorLaunchFailed  = 719 // CUDA_ERROR_LAUNCH_FAILED
	errorDNNExecution  = 5000
	errorBLASExecution = 13
)

// Each fault ends a run in an error that names the call; the checkpoint saved last
// is whole, and a run on the CPU goes on from it.
func TestFaultsEndInAnErrorAndLeaveTheCheckpoint(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		name  string
		call  string
		after int
		code  int
		loss  bool
		want  string
	}{
		{"out of memory at the first allocation", "cuMemAlloc_v2", 1, errorOutOfMemory, false, "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2); end other programs on the device or train with a smaller -batch"},
		{"out of memory later", "cuMemAlloc_v2", 25, errorOutOfMemory, false, "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY"},
		{"a copy to the device", "cuMemcpyHtoDAsync_v2", 3, errorLaunchFailed, false, "cuMemcpyHtoDAsync: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"a copy from the device", "cuMemcpyDtoHAsync_v2", 1, errorLaunchFailed, false, "cuMemcpyDtoHAsync: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"a launch that is refused", "cuLaunchKernel adam", 1, errorOutOfResource, false, "cuLaunchKernel adam: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)"},
		{"a launch inside of the network", "cuLaunchKernel bias_relu", 2, errorOutOfResource, false, "cuLaunchKernel bias_relu"},
		{"a convolution", "cudnnConvolutionForward", 1, errorDNNExecution, false, "cudnnConvolutionForward: CUDNN_STATUS_EXECUTION_FAILED (5000): cudnnConvolutionForward was to fail"},
		{"a convolution's gradient", "cudnnConvolutionBackwardFilter", 2, errorDNNExecution, false, "cudnnConvolutionBackwardFilter"},
		{"a product", "cublasSgemm_v2", 2, errorBLASExecution, false, "cublasSgemm: CUBLAS_STATUS_EXECUTION_FAILED (13)"},
		{"a descriptor", "cudnnSetTensor4dDescriptor", 1, 2000, false, "cudnnSetTensor4dDescriptor: CUDNN_STATUS_BAD_PARAM (2000)"},
		{"the beginning of a capture", "cuStreamBeginCapture_v2", 1, errorLaunchFailed, false, "cuStreamBeginCapture: CUDA_ERROR_LAUNCH_FAILED (719); SLIPWAY_CUDA_GRAPHS=0 runs without CUDA graphs"},
		{"a graph", "cuGraphInstantiateWithFlags", 1, errorOutOfMemory, false, "cuGraphInstantiate: CUDA_ERROR_OUT_OF_MEMORY (2); SLIPWAY_CUDA_GRAPHS=0"},
		{"the end of a graph that was instantiated", "cuGraphDestroy", 1, errorLaunchFailed, false, "cuGraphInstantiate: CUDA_ERROR_LAUNCH_FAILED (719); SLIPWAY_CUDA_GRAPHS=0"},
		{"a graph's launch", "cuGraphLaunch", 4, errorLaunchFailed, false, "cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"a kernel that fails while it runs", "running adam", 5, errorLaunchFailed, false, "cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"the device lost in a wait", "cuStreamSynchronize", 9, errorECC, true, "cuStreamSynchronize: CUDA_ERROR_ECC_UNCORRECTABLE (214)"},
		{"the device lost in a graph", "cuGraphLaunch", 2, errorECC, true, "cuGraphLaunch: CUDA_ERROR_ECC_UNCORRECTABLE (214)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := openDevice(t)
			folder := t.TempDir()
			run, _, err := train.CreateRun(folder + "/run")
			if err != nil {
				t.Fatal(err)
			}
			config := smallConfig()
			config.Epochs = 2
			first, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			save := func(trainer *train.Trainer) func() error {
				return func() error {
					_, err := run.WriteCheckpoint(trainer.Checkpoint())
					return err
				}
			}
			if err := first.Fit(t.Context(), train.Callbacks{Save: save(first)}); err != nil {
				t.Fatal(err)
			}

			checkpoint, path, damaged, err := run.Latest()
			if err != nil || len(damaged) > 0 {
				t.Fatal(err, damaged)
			}
			config.Epochs, config.Device = 4, g
			broken, err := train.Resume(checkpoint, datasettest.Bars(t, 60), config)
			if err != nil {
				t.Fatal(err)
			}
			defer broken.Close()
			simulated.Fail(test.call, test.after, test.code, test.loss)
			err = broken.Fit(t.Context(), train.Callbacks{Save: save(broken)})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "device cuda:0") {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			t.Log(err)

			again, samePath, damaged, err := run.Latest()
			if err != nil || len(damaged) > 0 || samePath != path {
				t.Fatalf("after the fault the checkpoint is %s (%v, damaged %v), want %s", samePath, err, damaged, path)
			}
			config.Device = nil
			resumed, err := train.Resume(again, datasettest.Bars(t, 60), config)
			if err != nil {
				t.Fatal(err)
			}
			defer resumed.Close()
			if err := resumed.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			if history := resumed.Progress().History; len(history) != 4 || !(history[3].MeanLoss < history[0].MeanLoss) {
				t.Errorf("after going on, the history is %+v", history)
			}
			simulated.Reset()
		})
	}
}

// A failure while the device is opened leaves nothing behind and names its call.
func TestFaultsWhileOpening(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		call  string
		piece Piece
		want  string
	}{
		{"cuInit", PieceDevice, "cuInit: CUDA_ERROR_NO_DEVICE (100)"},
		{"cuDeviceGetCount", PieceDevice, "cuDeviceGetCount: CUDA_ERROR_NO_DEVICE (100)"},
		{"cuDevicePrimaryCtxRetain", "", "cuDevicePrimaryCtxRetain: CUDA_ERROR_NO_DEVICE (100)"},
		{"cuCtxSetCurrent", "", "cuCtxSetCurrent: CUDA_ERROR_NO_DEVICE (100)"},
		{"cuStreamCreate", "", "cuStreamCreate"},
		{"cuModuleLoadData", PieceKernels, "cuModuleLoadData"},
		{"cuModuleGetFunction", PieceKernels, "cuModuleGetFunction accumulate"},
		{"cudnnCreate", "", "cudnnCreate"},
		{"cudnnSetStream", "", "cudnnSetStream"},
		{"cublasCreate_v2", "", "cublasCreate: a cuBLAS status that the simulator has no name for (15); cuBLAS needs a driver"},
		{"cuMemAlloc_v2", "", "cuBLAS's workspace"},
		{"cublasSetWorkspace_v2", "", "cublasSetWorkspace"},
	} {
		t.Run(test.call, func(t *testing.T) {
			simulated.Reset()
			simulated.Fail(test.call, 1, 100, false)
			device, err := Open()
			if err == nil {
				device.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if test.piece != "" && !strings.Contains(err.Error(), "CUDA is not usable: "+string(test.piece)) {
				t.Errorf("%v, want the piece %s", err, test.piece)
			}
			checkSimulator(t)
		})
	}
}

// A driver or a library of an older CUDA release is a piece that is missing: the error
// has both releases, and what to install.
func TestOtherReleasesAreMissingPieces(t *testing.T) {
	needSimulator(t)
	built := 1000 * release()
	for _, test := range []struct {
		name  string
		set   func()
		piece Piece
		want  string
	}{
		{"the driver", func() { simulated.Driver(built - 910) }, PieceDriver,
			fmt.Sprintf("it serves CUDA %d.9, this build needs CUDA %d; install a newer NVIDIA driver", release()-1, release())},
		{"cuDNN", func() { simulated.CUDNN(built - 910) }, PieceCUDNN,
			fmt.Sprintf(") is built with CUDA %d, this build needs CUDA %d; install cuDNN 9 for CUDA %d", release()-1, release(), release())},
		{"cuDNN of a newer release", func() { simulated.CUDNN(built + 1000) }, PieceCUDNN, fmt.Sprintf("is built with CUDA %d", release()+1)},
		{"cuDNN of another minor release", func() { simulated.CUDNN(built + 10) }, "", ""},
		{"a newer driver", func() { simulated.Driver(built + 1000) }, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulated.Reset()
			defer simulated.Reset()
			test.set()
			found := Inspect().Missing
			if test.piece == "" {
				if found != nil {
					t.Errorf("%v, want nothing to be missing", found)
				}
				return
			}
			if found == nil || found.Piece != test.piece || !strings.Contains(found.Error(), test.want) {
				t.Errorf("%v, want the piece %s and %q", found, test.piece, test.want)
			}
			if _, err := Open(); err == nil {
				t.Error("it opened")
			}
		})
	}
}

// A product that failed leaves no mark on the next: cu/blas would answer with its first
// error for good.
func TestAProductFailsByItself(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	memory := pool{gpu: g}
	var failed, next error
	if err := g.thread.do(func() error {
		a, err := memory.allocateFloats("a matrix", alignment)
		if err != nil {
			return err
		}
		if err := upload(g, a, []float32{2}); err != nil {
			return err
		}
		c := a.part(4, 4)
		simulated.Fail("cublasSgemm_v2", 1, errorBLASExecution, false)
		failed = product(g.blas, float32s, plain, plain, 1, 1, 1, a, 1, a, 1, c, 1)
		next = product(g.blas, float32s, plain, plain, 1, 1, 1, a, 1, a, 1, c, 1)
		return errors.Join(waitFor(g.stream), memory.free())
	}); err != nil {
		t.Fatal(err)
	}
	if failed == nil || next != nil {
		t.Errorf("the product that fails: %v, the next: %v", failed, next)
	}
}

// What a device's program could not free is not freed again.
func TestFaultAProgramIsClosedTwice(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	var s *session
	config := smallConfig()
	config.Device = recorder{g, func(own *session, _ int) error { s = own; return nil }}
	trainer := fit(t, config)
	defer trainer.Close()
	simulated.Fail("cuGraphExecDestroy", 1, errorLaunchFailed, false)
	if err := g.thread.do(s.programs[8].close); err == nil || !strings.Contains(err.Error(), "cuGraphExecDestroy") {
		t.Errorf("error %v, want that of cuGraphExecDestroy", err)
	}
	if err := g.thread.do(s.programs[8].close); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// A session needs no more memory than the device has, and says which tensor did not
// fit.
func TestFaultTooLittleMemory(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	defer simulated.Memory(8 << 30)
	simulated.Memory(blasWorkspace + 32<<10)
	config := smallConfig()
	config.BatchSize, config.Device = 60, g
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err == nil || !strings.Contains(err.Error(), "compile a step of 60 images: node ") || !strings.Contains(err.Error(), "smaller -batch") {
		t.Errorf("error %v, want the node and the remedy", err)
	}
}

// Bad arguments are errors, not reads of the device's memory.
func TestSessionRejects(t *testing.T) {
	g := openDevice(t)
	var s *session
	config := smallConfig()
	config.Device = recorder{g, func(own *session, _ int) error { s = own; return nil }}
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	order := make([]int, 60)
	order[59] = 60
	set := datasettest.Bars(t, 5)
	logits := make([]float32, 15)
	for name, call := range map[string]func() error{
		"an order with a place outside": func() error { return s.BeginEpoch(order, 0, nil) },
		"a short order":                 func() error { return s.BeginEpoch(order[:5], 0, nil) },
		"a first image outside":         func() error { return s.BeginEpoch(order[:59], 60, nil) },
		"weights of none":               func() error { return s.Load(device.State{}) },
		"images that the set lacks":     func() error { _, _, err := s.Evaluate(set, 3, 3, false, logits); return err },
		"no images":                     func() error { _, _, err := s.Evaluate(set, 0, 0, false, nil); return err },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	loss, _, err := s.Evaluate(set, 0, 5, false, logits)
	if err != nil || math.IsNaN(loss) {
		t.Errorf("after all that: loss %v, %v", loss, err)
	}
}
