package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeBundle is a bundle whose programs are shell scripts that print what the real
// ones do; its PATH has the given programs of the system and no others.
func fakeBundle(t *testing.T, bundled, system map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	write := func(path, script string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range bundled {
		write(filepath.Join(folder, "bin", name), script)
	}
	path := filepath.Join(folder, "path")
	for name, script := range system {
		write(filepath.Join(path, name), script)
	}
	t.Setenv("PATH", path+":/bin:/usr/bin")
	if len(system) == 0 {
		t.Setenv("PATH", path)
	}
	t.Setenv("ONNXRUNTIME_LIB", "")
	return folder
}

func reportOf(t *testing.T, folder string) (text string, ok bool) {
	t.Helper()
	b := &bundle{folder: folder, scratch: t.TempDir()}
	r := newReport()
	checkMachine(t.Context(), b, r, 2)
	checkTests(t.Context(), b, r, 2)
	checkTraining(t.Context(), b, r, 2)
	checkSteps(t.Context(), b, r, 2)
	checkPyTorch(t.Context(), b, r, 2)
	checkInference(t.Context(), b, r, 2)
	checkSanitizer(t.Context(), b, r, 2)
	return r.text(), r.passed()
}

// Without a GPU every figure says so, and why.
func TestWithoutAGPUNothingIsMeasured(t *testing.T) {
	folder := fakeBundle(t, map[string]string{
		"doctor": `echo '{"ok":true,"checks":[{"name":"CUDA training","state":"missing","found":"driver: libcuda.so.1 is not there","remedy":"install it"}]}'`,
	}, nil)
	text, _ := reportOf(t, folder)
	for _, what := range []string{"machine", "executor's tests", "gradients and losses beside the CPU engine", "E1 trained for 2 epochs", "E2 trained for 2 epochs",
		"time of a step", "PyTorch's step of E1", "e1.onnx through onnxruntime's CUDA provider", "e2.onnx through onnxruntime's CUDA provider", "compute-sanitizer memcheck"} {
		if want := "| " + what + " | not measured | not measured: no GPU: driver: libcuda.so.1 is not there"; !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// fakeHistory is the end of a run as train writes it, into the folder that -runs and
// -name say.
const fakeTrain = `
while [ $# -gt 0 ]; do case "$1" in -runs) runs=$2;; -name) name=$2;; -device) device=$2;; esac; shift; done
mkdir -p "$runs/$name"
case $device in cuda) loss=0.0312;; *) loss=0.0310;; esac
echo "[{\"mean_loss\":0.2,\"seconds\":2},{\"mean_loss\":$loss,\"test_accuracy\":0.9861,\"seconds\":1.5}]" >"$runs/$name/history.json"`

// On a GPU every row has its figures, read from what the programs print.
func TestWithAGPUEveryRowHasFigures(t *testing.T) {
	onnxruntime := t.TempDir()
	for _, file := range []string{"libonnxruntime_providers_cuda.so", "libonnxruntime.so.1.31.1"} {
		if err := os.MkdirAll(onnxruntime+"/capi", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(onnxruntime, "capi", file), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	folder := fakeBundle(t, map[string]string{
		"doctor": `echo warning >&2; echo '{"ok":true,"checks":[{"name":"CUDA training","state":"ok","found":"driver of CUDA 13.0; cuda:0 NVIDIA X"}]}'; echo done >&2`,
		"train":  fakeTrain,
		"infer":  `echo "onnxruntime 1.31.1 (CUDAExecutionProvider): Accuracy = 98.63 %"; echo warning >&2`,
		"cuda.test": `case "$*" in *bench*) for i in 1 2 3; do echo "BenchmarkStep/e1/batch=32-16   2000   ${i}1500 ns/op   1 images/s"; done;;
*) printf -- '--- PASS: TestA\n    training_test.go:1: e1, 10 steps: losses at most 1e-07 off\n--- SKIP: TestB\nPASS\n';; esac`,
	}, map[string]string{
		"python3": `case "$*" in *sys.path*) echo /nowhere;; *torch_steps*) echo '{"mode":"eager","batch":32,"torch":"2.15","microseconds":700.5}'; echo '{"mode":"torch.compile","batch":32,"error":"no compiler"}';;
*find_spec*) echo warning >&2; echo "` + onnxruntime + `";; *) exit 0;; esac`,
		"compute-sanitizer": `echo "========= ERROR SUMMARY: 0 errors"; echo warning >&2`,
	})
	text, ok := reportOf(t, folder)
	if !ok {
		t.Errorf("it did not pass:\n%s", text)
	}
	for _, want := range []string{
		"| machine | passed | driver of CUDA 13.0; cuda:0 NVIDIA X |",
		"| executor's tests | passed | 1 passed, 0 failed, 1 skipped",
		"e1, 10 steps: losses at most 1e-07 off",
		"| E1 trained for 2 epochs | passed | GPU: mean loss 0.0312, test accuracy 98.61 %, 1.50 s the last epoch; CPU: 0.0310",
		"| time of a step | passed | e1 batch 32: 21.5 µs (medians",
		"eager batch 32: 700.5 µs; torch.compile batch 32: no compiler",
		"| e1.onnx through onnxruntime's CUDA provider | passed | onnxruntime 1.31.1 (CUDAExecutionProvider): Accuracy = 98.63 % |",
		"| compute-sanitizer memcheck | passed | ========= ERROR SUMMARY: 0 errors |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// What fails is a verdict with its reason, and the exit is a failure.
func TestFailuresAreVerdicts(t *testing.T) {
	folder := fakeBundle(t, map[string]string{
		"doctor":    `echo '{"ok":true,"checks":[{"name":"CUDA training","state":"ok","found":"cuda:0 NVIDIA X"}]}'`,
		"train":     `echo "train: device cuda:0: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2)"; exit 1`,
		"infer":     `exit 1`,
		"cuda.test": `echo "--- FAIL: TestA"; exit 1`,
	}, map[string]string{"python3": `case "$*" in *find_spec*) echo /nowhere;; *) exit 1;; esac`})
	text, ok := reportOf(t, folder)
	if ok {
		t.Error("it passed")
	}
	for _, want := range []string{"| executor's tests | FAILED | 0 passed, 1 failed", "| E1 trained for 2 epochs | FAILED | train -device cuda: exit status 1: train: device cuda:0: cuMemAlloc",
		"| time of a step | FAILED |", "| PyTorch's step of E1 | not measured | not measured: no PyTorch with CUDA |",
		"| e1.onnx through onnxruntime's CUDA provider | not measured | not measured: no CUDA build of onnxruntime"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// Libraries of a Python environment are taken where they are of CUDA 13, behind those
// that the caller chose.
func TestLibrariesAreThoseOfTheRelease(t *testing.T) {
	older, newer := t.TempDir(), t.TempDir()
	for _, file := range []string{older + "/nvidia/cudnn/lib/libcudnn.so.9", older + "/nvidia/cublas/lib/libcublasLt.so.12",
		newer + "/nvidia/cudnn/lib/libcudnn.so.9", newer + "/nvidia/cu13/lib/libcublas.so.13", newer + "/nvidia/cu13/lib/libcublasLt.so.13"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	folder := fakeBundle(t, map[string]string{"doctor": `echo "$LD_LIBRARY_PATH"`},
		map[string]string{"python3": `printf '%s\n' ` + older + " " + newer})
	b := &bundle{folder: folder, scratch: t.TempDir()}
	b.findLibraries(t.Context())
	found := newer + "/nvidia/cudnn/lib:" + newer + "/nvidia/cu13/lib"
	for own, want := range map[string]string{"": found, "/own": "/own:" + found} {
		t.Setenv("LD_LIBRARY_PATH", own)
		if got := strings.TrimSpace(b.run(t.Context(), time.Minute, "bin/doctor").text); got != want {
			t.Errorf("with LD_LIBRARY_PATH %q the programs have %q, want %q", own, got, want)
		}
	}
}

// The programs write into the scratch folder as their home, and Python still finds the
// caller's own packages.
func TestPythonFindsTheCallersPackages(t *testing.T) {
	folder := fakeBundle(t, nil, map[string]string{"python3": `echo "$HOME $PYTHONUSERBASE"`})
	b := &bundle{folder: folder, scratch: t.TempDir()}
	t.Setenv("HOME", "/home/caller")
	for own, want := range map[string]string{"": "/home/caller/.local", "/packages": "/packages"} {
		t.Setenv("PYTHONUSERBASE", own)
		if got := strings.TrimSpace(b.run(t.Context(), time.Minute, "python3").text); got != b.scratch+" "+want {
			t.Errorf("with PYTHONUSERBASE %q Python has %q, want %q and %q", own, got, b.scratch, want)
		}
	}
}
