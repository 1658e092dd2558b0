package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// DigestKey is the key in the metadata of a file's Digest.
const DigestKey = "slipway.sha256"

// Digest covers all metadata but itself, and every tensor's name, type, shape and data, so that a
// flipped bit anywhere in the file is found. It is a sha256 in hex.
func (f *File) Digest() string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		if key != DigestKey {
			fmt.Fprintf(sum, "%q %q\n", key, f.Metadata[key])
		}
	}
	for _, tensor := range f.Tensors {
		fmt.Fprintf(sum, "%q %s %v %d\n", tensor.Name, tensor.DType, tensor.Shape, len(tensor.Data))
		sum.Write(tensor.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// verify compares the file with the digest in its metadata, where there is one.
func (f *File) verify() error {
	want, ok := f.Metadata[DigestKey]
	for key := range f.Metadata {
		if !ok && nearly(key, DigestKey) {
			return &Error{Err: ErrDigest, Detail: fmt.Sprintf("its metadata has %s, which was %s; %s",
				quote(key), DigestKey, anotherCopy)}
		}
	}
	if !ok {
		return nil
	}
	if got := f.Digest(); got != want {
		return &Error{Err: ErrDigest,
			Detail: fmt.Sprintf("its content has the sha256 %s, its metadata says %s; %s", got, want,
				anotherCopy)}
	}
	return nil
}

const anotherCopy = "take another copy, or make it again"

// nearly reports whether the texts differ in one byte: a flipped bit in the key hides the digest.
func nearly(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	differ := 0
	for i := range len(a) {
		if a[i] != b[i] {
			differ++
		}
	}
	return differ == 1
}
