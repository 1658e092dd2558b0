//go:build !linux

package onnx

import (
	"errors"
	"os"
)

// mapFile is an error: here no runtime takes weights from a model's file.
func mapFile(*os.File, int) ([]byte, func(), error) { return nil, nil, errors.ErrUnsupported }
