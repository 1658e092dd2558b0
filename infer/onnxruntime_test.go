//go:build cgo

package infer

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/infer/port"
)

// When its last user is gone the environment is another library's to have.
func TestEnvironmentEndsWithItsLastUser(t *testing.T) {
	r, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := Library{Path: filepath.Join(t.TempDir(), "libonnxruntime.so"), Version: "other"}
	if err := acquireEnvironment(other); err == nil || !strings.Contains(err.Error(),
		"when its runtimes are closed") {
		t.Errorf("beside another library: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := acquireEnvironment(other); err == nil || strings.Contains(err.Error(), "closed") {
		t.Errorf("after it: %v, want that it cannot be loaded", err)
	}
}

// Scores of float16 need their number; only that of the images is taken from the batch.
func TestFloat16ScoresOfNoShape(t *testing.T) {
	for _, dims := range [][]int{nil, {port.Unknown, port.Unknown}} {
		r := &onnxRuntime{ports: port.Ports{ScorePort: port.ScorePort{Output: "y", OutputDims: dims}}}
		if _, err := r.newFloat16Output(2); err == nil || !strings.Contains(err.Error(),
			"no known number") {
			t.Errorf("%v: %v", dims, err)
		}
	}
}
