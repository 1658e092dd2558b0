//go:build !cgo

package native_test

import (
	"testing"

	"slipway/infer"
	"slipway/infer/native"
	"slipway/onnx"
)

func startONNXRuntime(t *testing.T) {
	t.Helper()
	t.Skip(infer.ErrWithoutCgo)
}

func inONNXRuntime(*testing.T, *onnx.Model, []*native.Tensor) ([]*native.Tensor, error) {
	return nil, infer.ErrWithoutCgo
}
