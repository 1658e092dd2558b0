//go:build gpu && linux && amd64

package cuda

// #include "native.h"
// #include "native_light.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
)

// EpiloguesVariable is the environment variable that turns cuBLASLt off when it is "0": products
// are then cuBLAS's, and what comes behind them has launches of its own.
const EpiloguesVariable = "SLIPWAY_CUBLASLT_EPILOGUES"

// lightBLAS is cuBLASLt, which computes a product with what comes behind it, its epilogue, in one
// launch. The handle keeps neither a stream nor a workspace: a call is told both, so that one
// serves all lanes.
type lightBLAS struct {
	gpu    *gpu
	handle C.cublasLtHandle_t
}

// openLightBLAS makes the handle. The error says why there is none, without which training goes on.
func openLightBLAS(g *gpu) (*lightBLAS, error) {
	if os.Getenv(EpiloguesVariable) == "0" {
		return nil, errors.New(EpiloguesVariable + " is 0")
	}
	if path, reason := libraryCUBLASLT.load(); path == "" {
		return nil, errors.New(reason)
	}
	l := &lightBLAS{gpu: g}
	if err := lightCall("cublasLtCreate", C.cublasLtCreate(&l.handle)); err != nil {
		return nil, err
	}
	return l, nil
}

// lightName names the library in the device's description, or says why it does without.
func (g *gpu) lightName() string {
	if g.light == nil {
		return fmt.Sprintf("no cuBLASLt: %v", g.unlit)
	}
	version := int(C.cublasLtGetVersion()) // 130001 is 13.0.1
	return fmt.Sprintf("cuBLASLt %d.%d.%d", version/10000, version/100%100, version%100)
}

// close frees the handle.
func (l *lightBLAS) close() error {
	if l == nil {
		return nil
	}
	return lightCall("cublasLtDestroy", C.cublasLtDestroy(l.handle))
}

// lightCall is driverCall for cuBLASLt, whose statuses are cuBLAS's.
func lightCall(call string, status C.cublasStatus_t) error {
	if status == C.CUBLAS_STATUS_SUCCESS {
		return nil
	}
	name := C.GoString(C.slipway_blas_error(C.int(status)))
	return newCallError(call, C.int(status), C.CUDA_SHIM_NO_CUBLAS, name, libraryCUBLASLT)
}
