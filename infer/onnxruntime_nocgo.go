//go:build !cgo

package infer

import (
	"context"

	"slipway/onnx"
)

// OpenONNXRuntime fails by ErrWithoutCgo: onnxruntime is reached through C.
func OpenONNXRuntime(context.Context, *onnx.Model, ONNXRuntimeOptions) (Runtime, error) {
	return nil, &LibraryError{Reasons: []error{ErrWithoutCgo}}
}
