package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestCUDAAskedForAndNotThere(t *testing.T) {
	if sign := CUDASign(); sign != "" {
		t.Skipf("%s: there may be CUDA here", sign)
	}
	_, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{Device: DeviceCUDA})
	if err == nil || !strings.Contains(err.Error(), "CUDA was asked for") ||
		!strings.Contains(err.Error(), "-device cpu") {
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
		if info.Provider != "CPUExecutionProvider" || len(info.Notes) != 1 ||
			!strings.Contains(info.Notes[0], "CUDA was tried") {
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
	if err := os.WriteFile(filepath.Join(folder, "libcuda.so.1"), []byte("a sign only"),
		0o666); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCUDAFallsBackAloud$")
	child.Env = append(os.Environ(), "SLIPWAY_TEST_FALLBACK=1", "LD_LIBRARY_PATH="+folder)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A sign of CUDA is a file that is there, and none where no device is to be seen.
func TestSignOfCUDA(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("signs are known on Linux alone")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "libcuda.so.1"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LD_LIBRARY_PATH", t.TempDir()+string(filepath.ListSeparator)+folder)
	for visible, want := range map[string]bool{"": false, "-1": false, "0": true} {
		t.Setenv("CUDA_VISIBLE_DEVICES", visible)
		sign := CUDASign()
		if (sign != "") != want {
			t.Errorf("where %q is visible the sign is %q", visible, sign)
		}
		if _, err := os.Stat(sign); want && err != nil {
			t.Error(err)
		}
	}
}

// What is not asked for is as the documentation has it: all threads, and the CPU without a word
// where nothing speaks for CUDA.
func TestOpenWithoutOptions(t *testing.T) {
	r, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info := r.Info()
	if info.Threads != runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads, want %d", info.Threads, runtime.GOMAXPROCS(0))
	}
	if CUDASign() == "" && (len(info.Notes) != 0 || info.Device != "cpu") {
		t.Errorf("%+v", info)
	}
}
