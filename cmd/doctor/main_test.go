package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cuda"
)

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// examined runs doctor -json and returns its checks by name.
func examined(t *testing.T) (code int, r report, byName map[string]check) {
	t.Helper()
	code, stdout, stderr := runCommand(t, "-json")
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %s%s", err, stdout, stderr)
	}
	byName = make(map[string]check)
	for _, c := range r.Checks {
		if c.Found == "" || c.Name == "" {
			t.Errorf("%+v says nothing", c)
		}
		byName[c.Name] = c
	}
	return code, r, byName
}

func TestEverythingNeededIsHere(t *testing.T) {
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	code, r, checks := examined(t)
	if code != 0 || !r.OK {
		t.Fatalf("exit %d: %+v", code, r)
	}
	for name, want := range map[string]string{"Go": "go version go1.", "onnxruntime": "libonnxruntime", "MNIST test set": "10000 images", "CPU": "cores"} {
		if c := checks[name]; c.State != stateOK || !c.Needed || !strings.Contains(c.Found, want) || c.Remedy != "" {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	if code, stdout, _ := runCommand(t); code != 0 || !strings.Contains(stdout, "Everything that is needed") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// The line names what there is, and the first piece that is not, with its remedy.
func TestCUDATrainingIsDownToTheFirstMissingPiece(t *testing.T) {
	all := cuda.Inspection{Built: true, Driver: "13.0", Devices: []cuda.DeviceInfo{{Name: "NVIDIA X", Capability: "9.0", Memory: 80 << 30}},
		CUDNN: "9.28.1 (libcudnn.so.9)", CUBLAS: "libcublas.so.13"}
	c := checkTraining(all)
	for _, want := range []string{"CUDA 13.0", "cuda:0 NVIDIA X, compute capability 9.0, 80.0 GiB", "cuDNN 9.28.1 (libcudnn.so.9)", "cuBLAS libcublas.so.13"} {
		if c.State != stateOK || !strings.Contains(c.Found, want) || c.Remedy != "" {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	c = checkTraining(cuda.Inspection{Built: true, Driver: "13.0", Missing: &cuda.MissingError{Piece: cuda.PieceDevice, Reason: "the driver sees no GPU", Remedy: "look at nvidia-smi"}})
	if c.State != stateMissing || c.Needed || !strings.Contains(c.Found, "CUDA 13.0; device: the driver sees no GPU") || c.Remedy != "look at nvidia-smi" {
		t.Errorf("%+v", c)
	}
	if found := cuda.Inspect(); !found.Built && !strings.Contains(checkTraining(found).Remedy, "make gpu") {
		t.Errorf("%+v", checkTraining(found))
	}
}

func TestMissingThingsAreNamedWithTheirRemedy(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	t.Setenv("CC", "")
	t.Setenv("HOME", empty)
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv("ONNXRUNTIME_LIB", filepath.Join(empty, "libonnxruntime.so"))
	t.Setenv("SLIPWAY_KERNEL", "nonsense")
	code, r, checks := examined(t)
	if code != 1 || r.OK {
		t.Errorf("exit %d, ok %t", code, r.OK)
	}
	for name, want := range map[string]check{
		"Go":                 {State: stateMissing, Needed: true, Remedy: "install Go"},
		"C compiler":         {State: stateMissing, Needed: true, Remedy: "gcc or clang"},
		"kernels":            {State: stateDamaged, Needed: true, Remedy: "unset SLIPWAY_KERNEL"},
		"make":               {State: stateMissing, Needed: false, Remedy: "install make"},
		"pip or npm":         {State: stateMissing, Needed: true, Remedy: "ONNXRUNTIME_LIB"},
		"onnxruntime":        {State: stateMissing, Needed: true, Remedy: "make setup"},
		"MNIST training set": {State: stateMissing, Needed: false, Remedy: "dataset fetch"},
	} {
		if c := checks[name]; c.State != want.State || c.Needed != want.Needed || !strings.Contains(c.Remedy, want.Remedy) {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if _, stdout, _ := runCommand(t); !strings.Contains(stdout, "MISSING  onnxruntime") || !strings.Contains(stdout, "→ make setup") {
		t.Errorf("%s", stdout)
	}
}

func TestUsage(t *testing.T) {
	if code, _, stderr := runCommand(t, "-jsno"); code != 2 || !strings.Contains(stderr, "json") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, stdout, _ := runCommand(t, "-h"); code != 0 || !strings.Contains(stdout, "remedy") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := runCommand(t, "-version"); code != 0 || !strings.HasPrefix(stdout, "doctor ") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}
