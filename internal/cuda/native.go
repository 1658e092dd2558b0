//go:build gpu && linux && amd64

package cuda

// #include "native.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"
)

// Packages cu, cu/dnn and cu/blas keep their C handles to themselves, and have no call
// for a stream or a workspace. Each of these types has its handle as its first
// field; TestHandlesAreTheFirstFields fails should another version not.

func dnnHandle(context *cudnn.Context) unsafe.Pointer { return firstWord(unsafe.Pointer(context)) }

func blasHandle(blas *cublas.Standard) unsafe.Pointer { return firstWord(unsafe.Pointer(blas)) }

func tensorHandle(descriptor *cudnn.TensorDescriptor) unsafe.Pointer {
	return firstWord(unsafe.Pointer(descriptor))
}

func filterHandle(filter *cudnn.Filter) unsafe.Pointer { return firstWord(unsafe.Pointer(filter)) }

func convolutionHandle(convolution *cudnn.Convolution) unsafe.Pointer {
	return firstWord(unsafe.Pointer(convolution))
}

func firstWord(p unsafe.Pointer) unsafe.Pointer { return *(*unsafe.Pointer)(p) }

// A callError is a CUDA call that failed.
type callError struct {
	call string
	// code is the library's own number, name its name for it.
	code int
	name string
	// detail is what the library says beside it, "" if nothing.
	detail string
	// lacking names the entry points that the library lacks, if that may be why.
	lacking string
}

func (e *callError) Error() string {
	text := fmt.Sprintf("%s: %s (%d)", e.call, e.name, e.code)
	if e.detail != "" {
		text += ": " + e.detail
	}
	if e.lacking != "" {
		text += "; its library lacks " + e.lacking
	}
	return text
}

// outOfMemory reports whether the device had no memory left.
func (e *callError) outOfMemory() bool { return e.name == "CUDA_ERROR_OUT_OF_MEMORY" }

// newCallError is the error of a call that failed. An entry point that the library
// lacks answers absent.
func newCallError(call string, code, absent C.int, name string, l library) *callError {
	if name == "" {
		name = "unknown error"
	}
	e := &callError{call: call, code: int(code), name: name}
	if code == absent {
		e.lacking = l.lacks()
	}
	return e
}

// driverCall is the error of a driver call's result, nil if it succeeded.
func driverCall(call string, result C.int) error {
	if result == 0 {
		return nil
	}
	return newCallError(call, result, C.CUDA_SHIM_NO_DRIVER, C.GoString(C.slipway_driver_error(result)), libraryDriver)
}

// dnnCall and blasCall are driverCall for the two libraries.
func dnnCall(call string, status C.int) error {
	if status == 0 {
		return nil
	}
	e := newCallError(call, status, C.CUDA_SHIM_NO_CUDNN, C.GoString(C.slipway_dnn_error(status)), libraryCUDNN)
	// Of the thread's last error: that of the call, on the device's thread.
	var message [512]C.char
	C.slipway_dnn_last_error(&message[0], C.size_t(len(message)))
	e.detail = strings.TrimSpace(C.GoString(&message[0]))
	return e
}

func blasCall(call string, status C.int) error {
	if status == 0 {
		return nil
	}
	return newCallError(call, status, C.CUDA_SHIM_NO_CUBLAS, C.GoString(C.slipway_blas_error(status)), libraryCUBLAS)
}

// called names the call of an error of package cu, cu/dnn or cu/blas, whose
// errors are the libraries' numbers under types of their own, some with words around.
func called(call string, err error) error {
	if err == nil {
		return nil
	}
	cause := err
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next
	}
	if value := reflect.ValueOf(cause); value.Kind() == reflect.Int {
		code := C.int(value.Int())
		switch cause.(type) {
		case cudnn.Status:
			return dnnCall(call, code)
		case cublas.Status:
			return blasCall(call, code)
		default:
			return driverCall(call, code)
		}
	}
	return fmt.Errorf("%s: %w", call, err)
}

// executable is a captured stream, ready to be launched.
type executable struct{ graph C.CUgraphExec }

func stream(s cu.Stream) C.CUstream { return *(*C.CUstream)(unsafe.Pointer(&s)) }

func beginCapture(s cu.Stream) error {
	return driverCall("cuStreamBeginCapture", C.slipway_capture_begin(stream(s)))
}

func endCapture(s cu.Stream) (executable, error) {
	var e executable
	err := driverCall("cuStreamEndCapture or cuGraphInstantiate", C.slipway_capture_end(stream(s), &e.graph))
	return e, err
}

func (e executable) launch(s cu.Stream) error {
	return driverCall("cuGraphLaunch", C.slipway_graph_launch(e.graph, stream(s)))
}

func (e executable) destroy() error {
	return driverCall("cuGraphExecDestroy", C.slipway_graph_destroy(e.graph))
}

const maxArguments = C.SLIPWAY_ARGUMENTS

// launchKernel launches a kernel, whose arguments are the first bytes of the values. Launch
// of package cu keeps pointers in C memory that it has not set: Go's collector, at
// work, reads what was there before as a pointer of Go's.
func launchKernel(call string, function cu.Function, blocks, rows int, s cu.Stream, values []uint64) error {
	return driverCall(call, C.slipway_launch(*(*C.CUfunction)(unsafe.Pointer(&function)), C.uint(blocks), C.uint(rows), threadsPerBlock,
		stream(s), (*C.ulonglong)(unsafe.SliceData(values)), C.int(len(values))))
}

func waitFor(s cu.Stream) error {
	return driverCall("cuStreamSynchronize", C.slipway_stream_wait(stream(s)))
}

func copyAsync(destination, source cu.DevicePtr, bytes int64, s cu.Stream) error {
	return driverCall("cuMemcpyDtoDAsync", C.slipway_copy_async(C.CUdeviceptr(destination), C.CUdeviceptr(source), C.size_t(bytes), stream(s)))
}

func zeroAsync(destination cu.DevicePtr, bytes int64, s cu.Stream) error {
	return driverCall("cuMemsetD32Async", C.slipway_zero_async(C.CUdeviceptr(destination), C.size_t(bytes/4), stream(s)))
}

// allocateHost returns memory of the host that stays in its place, so that the device can copy from
// it by itself. cu.MemFreeHost frees it.
func allocateHost(bytes int64) (unsafe.Pointer, error) {
	var memory unsafe.Pointer
	err := driverCall("cuMemHostAlloc", C.slipway_host_allocate(&memory, C.size_t(bytes)))
	return memory, err
}

func setDNNStream(context *cudnn.Context, s cu.Stream) error {
	return dnnCall("cudnnSetStream", C.slipway_dnn_set_stream(dnnHandle(context), stream(s)))
}

func setBLASStream(blas *cublas.Standard, s cu.Stream) error {
	return blasCall("cublasSetStream", C.slipway_blas_set_stream(blasHandle(blas), stream(s)))
}

// setBLASWorkspace gives cuBLAS memory of ours, so that it allocates none in a
// step or in a capture.
func setBLASWorkspace(blas *cublas.Standard, b *buffer) error {
	return blasCall("cublasSetWorkspace", C.slipway_blas_set_workspace(blasHandle(blas), C.CUdeviceptr(b.address), C.size_t(b.bytes)))
}

// form is how a product takes a matrix.
type form C.int

const (
	plain form = iota
	transposed
)

// arithmetic is how a product takes the numbers that it multiplies. It adds up in float32.
type arithmetic C.int

const (
	float32s arithmetic = iota // as they are
	tf32                       // rounded to TF32, 10 bits of mantissa
	bf16                       // bfloat16, as which they are kept
)

func (a arithmetic) String() string {
	switch a {
	case tf32:
		return "TF32"
	case bf16:
		return "bf16"
	}
	return "float32"
}

// productCall is the call that computes a product.
func productCall(in arithmetic) string {
	if in != float32s {
		return "cublasGemmEx"
	}
	return "cublasSgemm"
}

// product computes C = op(A)·op(B), columns first, C rows×columns and inner the length
// of the sums. Sgemm of package cu/blas would answer with its first error for good.
func product(blas *cublas.Standard, in arithmetic, ta, tb form, rows, columns, inner int, a *buffer, lda int, b *buffer, ldb int, c *buffer, ldc int) error {
	return blasCall(productCall(in), C.slipway_blas_product(blasHandle(blas), C.int(in), C.int(ta), C.int(tb), C.int(rows), C.int(columns), C.int(inner),
		C.CUdeviceptr(a.address), C.int(lda), C.CUdeviceptr(b.address), C.int(ldb), C.CUdeviceptr(c.address), C.int(ldc)))
}

func dnnVersion() string {
	version := int(C.slipway_dnn_version()) // 91002 is 9.10.2
	return fmt.Sprintf("%d.%d.%d", version/10000, version/100%100, version%100)
}

// dnnRelease is the CUDA release that the loaded cuDNN is built with.
func dnnRelease() int { return int(C.slipway_dnn_runtime()) / 1000 } // 13000 is 13.0

func blasVersion(blas *cublas.Standard) (string, error) {
	var version C.int // 130001 is 13.0.1
	if err := blasCall("cublasGetVersion", C.slipway_blas_version(blasHandle(blas), &version)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%d.%d", version/10000, version/100%100, version%100), nil
}

// setMath has a convolution computed in float32 or in TF32. Package cu/dnn sets a math type
// before it sets the rest of the descriptor, of which cuDNN's documentation does not say
// that it stays.
func setMath(conv *cudnn.Convolution, in arithmetic) error {
	return dnnCall("cudnnSetConvolutionMathType", C.slipway_dnn_set_math(convolutionHandle(conv), C.int(in)))
}

// setGroups has a convolution divide its channels into groups, after the rest of the descriptor as setMath.
func setGroups(conv *cudnn.Convolution, groups int) error {
	return dnnCall("cudnnSetConvolutionGroupCount", C.slipway_dnn_set_groups(convolutionHandle(conv), C.int(groups)))
}

// isFMA reads back what setMath set.
func isFMA(conv *cudnn.Convolution) (bool, error) {
	var fma C.int
	err := dnnCall("cudnnGetConvolutionMathType", C.slipway_dnn_is_fma(convolutionHandle(conv), &fma))
	return fma != 0, err
}

// destroyFilter frees what package cu/dnn v0.9.6 never does.
func destroyFilter(filter *cudnn.Filter) error {
	return dnnCall("cudnnDestroyFilterDescriptor", C.slipway_dnn_destroy_filter(filterHandle(filter)))
}

// library is one that the shim loads.
type library int

const (
	libraryDriver   library = C.CUDA_SHIM_DRIVER
	libraryCUDNN    library = C.CUDA_SHIM_CUDNN
	libraryCUBLAS   library = C.CUDA_SHIM_CUBLAS
	libraryCUBLASLT library = C.CUDA_SHIM_CUBLASLT
)

// load returns the library's file, or why there is none.
func (l library) load() (path, reason string) {
	var text [1024]C.char
	file := C.cuda_shim_library(C.int(l), &text[0], C.int(len(text)))
	if file == nil {
		return "", C.GoString(&text[0])
	}
	return C.GoString(file), ""
}

// lacks names the entry points that were called and that the library, although loaded,
// does not have.
func (l library) lacks() string {
	var names [1024]C.char
	C.cuda_shim_missing(C.int(l), &names[0], C.int(len(names)))
	return C.GoString(&names[0])
}

// release is the CUDA release whose headers this program was built with: 13.
func release() int { return C.CUDA_VERSION / 1000 }

// initialise starts the driver.
func initialise() error { return driverCall("cuInit", C.cuda_shim_init()) }

// symbol is an entry point that this program may call.
type symbol struct {
	name    string
	library library
	// found says that the loaded library has it.
	found bool
}

// symbols looks every entry point up, which loads the libraries.
func symbols() []symbol {
	all := make([]symbol, C.cuda_shim_symbols())
	for i := range all {
		var of C.int
		all[i].name = C.GoString(C.cuda_shim_symbol(C.int(i), &of))
		all[i].library = library(of)
		all[i].found = C.cuda_shim_has(C.int(i)) != 0
	}
	return all
}
