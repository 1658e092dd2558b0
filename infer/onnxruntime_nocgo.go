//go:build !cgo

package infer

import "slipway/onnx"

// OpenONNXRuntime fails by ErrWithoutCgo: onnxruntime is reached through C.
func OpenONNXRuntime(*onnx.Model, ONNXRuntimeOptions) (Runtime, error) {
	return nil, &LibraryError{Reasons: []error{ErrWithoutCgo}}
}
