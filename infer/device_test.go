package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCUDAAskedForAndNotThere(t *testing.T) {
	if sign := CUDASign(); sign != "" {
		t.Skipf("%s: there may be CUDA here", sign)
	}
	_, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{Device: DeviceCUDA})
	if err == nil || !strings.Contains(err.Error(), "CUDA was asked for") || !strings.Contains(err.Error(), "-device cpu") {
		t.Errorf("%v", err)
	}
}

// TestCUDAFallsBackAloud runs in a process of its own, with a libcuda.so.1 that
// is only a sign: what is behind it fails.
func TestCUDAFallsBackAloud(t *testing.T) {
	needLibrary(t)
	if os.Getenv("SLIPWAY_TEST_FALLBACK") == "1" {
		r, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{Device: DeviceAuto})
		if err != nil {
			t.Fatal(err)
		}
		info := r.Info()
		if info.Provider != "CPUExecutionProvider" || len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "CUDA was tried") {
			t.Errorf("%+v", info)
		}
		got, err := r.Run(t.Context(), testBatch(3))
		if err != nil {
			t.Fatal(err)
		}
		wantClose(t, got, golden(t))
		return
	}
	if sign := CUDASign(); sign != "" {
		t.Skipf("%s: there may be CUDA here", sign)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "libcuda.so.1"), []byte("a sign only"), 0o666); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCUDAFallsBackAloud$")
	child.Env = append(os.Environ(), "SLIPWAY_TEST_FALLBACK=1", "LD_LIBRARY_PATH="+folder)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
