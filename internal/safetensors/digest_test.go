package safetensors

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Each bit of a file that Write has written is one that Read misses where it is flipped.
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	file := &File{
		Metadata: map[string]string{"format": "pt"},
		Tensors: []Tensor{NewFloat32("conv1.weight", []int{2, 3}, []float32{1, -2, 3, 0, 5, 6}),
			NewFloat32("conv1.bias", []int{2}, []float32{0.5, 0})},
	}
	if err := Write(path, file); err != nil {
		t.Fatal(err)
	}
	if _, ok := file.Metadata[DigestKey]; ok {
		t.Error("Write has changed what it was given")
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil || read.Metadata[DigestKey] != file.Digest() {
		t.Fatalf("%v: the digest is %q, want %q", err, read.Metadata[DigestKey], file.Digest())
	}
	for bit := range 8 * len(whole) {
		whole[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
		var wrong *Error
		if read, err := Read(path); !errors.As(err, &wrong) {
			t.Errorf("bit %d of byte %d, in %q: %v, metadata %v", bit%8, bit/8,
				whole[max(0, bit/8-9):bit/8+1], err, read.Metadata)
		}
		whole[bit/8] ^= 1 << (bit % 8)
	}
}
