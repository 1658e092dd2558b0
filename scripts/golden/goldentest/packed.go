package goldentest

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"slipway/internal/safetensors"
)

// ReadPacked reads a golden file of tensors that is compressed by gzip: images are, of
// which there are many.
func ReadPacked(path string) (*safetensors.File, error) {
	packed, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := safetensors.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}
