//go:build gpu && linux && amd64

// Package simulator puts stand-ins for NVIDIA's driver, cuDNN, cuBLAS and cuBLASLt in their
// place, for tests on a machine without a GPU.
//
// They are the C++ files in folder src, with Slipway's own kernels compiled for the
// host. What they check and how is in src/simulator.h. scripts/build-cuda-simulator
// builds them.
package simulator

// #include <dlfcn.h>
// #include <stdlib.h>
//
// static void call_void(void *f) { ((void (*)(void))f)(); }
// static void call_fill(void *f, unsigned pattern) { ((void (*)(unsigned))f)(pattern); }
// static void call_version(void *f, int version) { ((void (*)(int))f)(version); }
// static void call_memory(void *f, size_t bytes) { ((void (*)(size_t))f)(bytes); }
// static void call_fail(void *f, const char *call, long after, int code, int loss) { ((void (*)(const char *, long, int, int))f)(call, after, code, loss); }
// static long call_calls(void *f, const char *call) { return ((long (*)(const char *))f)(call); }
// static void call_switch(void *f, int on) { ((void (*)(int))f)(on); }
// static void call_algorithm(void *f, int pass, int algorithm, double times) { ((void (*)(int, int, double))f)(pass, algorithm, times); }
// static void call_speed(void *f, double launch, double byte) { ((void (*)(double, double))f)(launch, byte); }
// static double call_time(void *f) { return ((double (*)(void))f)(); }
// static const char *call_text(void *f) { return ((const char *(*)(void))f)(); }
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Variable names the simulator's file.
const Variable = "SLIPWAY_CUDA_SIMULATOR"

// DevicesVariable names the number of devices of the machine, 1 without it, of which
// CUDA_VISIBLE_DEVICES may list some. Ranks are processes, each with a device of its own.
const DevicesVariable = "SLIPWAY_SIMULATOR_DEVICES"

// PatienceVariable names how many seconds a rank waits within NCCL for others before its device is
// taken to be stuck: long without it.
const PatienceVariable = "SLIPWAY_SIMULATOR_NCCL_SECONDS"

// FreshNaN is the pattern that fresh memory has unless Fill chose another: a NaN
// as a float32, −1 as an index.
const FreshNaN = 0xffffffff

// Simulator is the loaded stand-in. There is one in a process, which computes on one device.
// DevicesVariable says how many the process is shown.
type Simulator struct{ handle unsafe.Pointer }

// Load has the program find the simulator instead of CUDA's libraries. It comes
// before the first call of any.
func Load(path string) (*Simulator, error) {
	for _, variable := range []string{"SLIPWAY_CUDA_DRIVER", "SLIPWAY_CUDNN", "SLIPWAY_CUBLAS",
		"SLIPWAY_CUBLASLT", "SLIPWAY_NCCL"} {
		if err := os.Setenv(variable, path); err != nil {
			return nil, fmt.Errorf("simulator: %w", err)
		}
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_GLOBAL)
	if handle == nil {
		return nil, fmt.Errorf("simulator: %s", C.GoString(C.dlerror()))
	}
	return &Simulator{handle}, nil
}

func (s *Simulator) function(name string) unsafe.Pointer {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.dlsym(s.handle, text)
}

// Reset forgets calls, violations, faults, the loss of the device, other versions, capabilities and
// algorithms, that TF32 and bfloat16 are wanted, and that NaN is hidden; what is live stays.
func (s *Simulator) Reset() { C.call_void(s.function("simulator_reset")) }

// Fill chooses the pattern of memory that is allocated from now on.
func (s *Simulator) Fill(pattern uint32) {
	C.call_fill(s.function("simulator_fill"), C.uint(pattern))
}

// Memory sets the size of the device's memory.
func (s *Simulator) Memory(bytes int64) {
	C.call_memory(s.function("simulator_memory"), C.size_t(bytes))
}

// Driver sets the CUDA release that the driver serves: 12090 is 12.9.
func (s *Simulator) Driver(version int) {
	C.call_version(s.function("simulator_driver"), C.int(version))
}

// CUDNN sets the CUDA release that cuDNN is built with.
func (s *Simulator) CUDNN(version int) {
	C.call_version(s.function("simulator_cudnn"), C.int(version))
}

// Capability sets the device's compute capability: 75 is 7.5. It is 80 unless set.
func (s *Simulator) Capability(capability int) {
	C.call_version(s.function("simulator_capability"), C.int(capability))
}

// TF32 says whether somebody wants products in TF32: a call that asks for it is a violation if not.
// A device before compute capability 8.0 computes them in float32.
func (s *Simulator) TF32(wanted bool) {
	C.call_switch(s.function("simulator_tf32"), number(wanted))
}

// BF16 says whether somebody wants tensors of bfloat16: a call that takes them is a violation if not.
// A device before compute capability 8.0 does not take them.
func (s *Simulator) BF16(wanted bool) {
	C.call_switch(s.function("simulator_bf16"), number(wanted))
}

// HidesNaN says whether all of cuBLASLt's ReLUs make a 0 of a NaN. One algorithm does in any case.
func (s *Simulator) HidesNaN(all bool) {
	C.call_switch(s.function("simulator_hides_nan"), number(all))
}

// Passes of a convolution whose algorithms Algorithm tells of.
const (
	Forward = iota
	FilterGradient
	DataGradient
)

// Algorithm says how many times as long as the first choice one of a pass's algorithms takes, by
// cuDNN's number; with 0 it is not supported.
func (s *Simulator) Algorithm(pass, algorithm int, times float64) {
	C.call_algorithm(s.function("simulator_algorithm"), C.int(pass), C.int(algorithm), C.double(times))
}

// Speed begins the streams' time at 0, and says how many microseconds each launch takes, whatever it
// does, and each byte that is copied from the host.
func (s *Simulator) Speed(launch, copiedByte float64) {
	C.call_speed(s.function("simulator_speed"), C.double(launch), C.double(copiedByte))
}

// Time is when all that was launched is done, in microseconds since Speed.
func (s *Simulator) Time() float64 { return float64(C.call_time(s.function("simulator_time"))) }

// Fail has the call of that name fail with the code the after-th time from now on, 1
// being the next. A kernel's launch is "cuLaunchKernel NAME" or any "cuLaunchKernel",
// and its run, whose failure shows at a later call, "running NAME".
// After the loss of a device every call fails.
func (s *Simulator) Fail(call string, after, code int, losesDevice bool) {
	text := C.CString(call)
	defer C.free(unsafe.Pointer(text))
	C.call_fail(s.function("simulator_fail"), text, C.long(after), C.int(code), number(losesDevice))
}

// Calls returns how often the call was made. How often one has computed in TF32 is counted under
// "TF32" before its name, which for cuBLAS's products is cublasGemmEx, and of bfloat16 under "bf16".
func (s *Simulator) Calls(call string) int {
	text := C.CString(call)
	defer C.free(unsafe.Pointer(text))
	return int(C.call_calls(s.function("simulator_calls"), text))
}

// Trace begins to note what work calls and touches, from nothing on, or ends it.
func (s *Simulator) Trace(on bool) { C.call_switch(s.function("simulator_trace"), number(on)) }

// Shallow has convolutions and products of matrices write some numbers, and compute nothing, and
// kernels run in one order: for those who want to know what a step launches, and not what comes of it.
func (s *Simulator) Shallow(on bool) { C.call_switch(s.function("simulator_shallow"), number(on)) }

func number(on bool) C.int {
	if on {
		return 1
	}
	return 0
}

// Traced returns what was noted since Trace, as package trace reads it.
func (s *Simulator) Traced() string { return C.GoString(C.call_text(s.function("simulator_traced"))) }

// Violations lists what a call's documentation forbids and was done all the same,
// reads of memory that was never written among it; one a line.
func (s *Simulator) Violations() string {
	return C.GoString(C.call_text(s.function("simulator_violations")))
}

// Live lists what has not been freed, by kind.
func (s *Simulator) Live() string { return C.GoString(C.call_text(s.function("simulator_live"))) }
