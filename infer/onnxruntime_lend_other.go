//go:build cgo && !linux

package infer

import (
	"errors"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/onnx"
)

// loan is none: here onnx.Open leaves no weights in a file.
type loan struct{}

func lend(*onnx.File, map[string]bool, Library, *ort.SessionOptions) (*loan, error) {
	return nil, errors.ErrUnsupported
}

func (*loan) settle() error { return nil }

func (*loan) check() error { return nil }

// Close does nothing.
func (*loan) Close() {}
