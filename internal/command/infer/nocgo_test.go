//go:build !cgo

package infer

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/infer"
)

// A program that needs no other file has no onnxruntime: native answers, which is
// said, and whoever asks for onnxruntime is told why there is none.
func TestWithoutCgoNativeAnswersAndOnnxruntimeIsRefused(t *testing.T) {
	// The tests' own library is asked for by name, and what is asked for is not replaced.
	t.Setenv(infer.LibraryVariable, "")
	data := smallData(t, 20)
	code, stdout, stderr := runCommand(t, "-model", testModel("small.onnx"), "-data", data, "-json")
	if d := decoded(t, stdout); code != 0 || d["runtime"] != "native" ||
		!strings.Contains(stderr, infer.ErrWithoutCgo.Error()) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	for name, args := range map[string][]string{
		"-runtime": {"-runtime", "onnxruntime"},
		"-library": {"-library", filepath.Join(t.TempDir(), "libonnxruntime.so")},
	} {
		code, stdout, stderr := runCommand(t, append(args, "-model", testModel("small.onnx"), "-data",
			data)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, infer.ErrWithoutCgo.Error()) {
			t.Errorf("%s: exit %d: %s%s", name, code, stdout, stderr)
		}
	}
}
