package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
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
	// What a killed check leaves is removed with the test.
	t.Setenv("TMPDIR", t.TempDir())
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
	// The shell's own tools alone: a machine may have NVIDIA's.
	if len(system) > 0 {
		for _, tool := range []string{"sh", "cat", "mkdir", "sleep", "rm"} {
			found, err := exec.LookPath(tool)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(found, filepath.Join(path, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", path)
	t.Setenv("ONNXRUNTIME_LIB", "")
	return folder
}

// newChecker checks with the bundle in a folder; its report is in a folder of its own.
func newChecker(t *testing.T, folder string) *checker {
	t.Helper()
	return &checker{bundle: &bundle{folder: folder, scratch: t.TempDir()},
		report: newReport(filepath.Join(t.TempDir(), "report.md")), epochs: 2}
}

// reportOf makes all stages, and reads the report that was written.
func reportOf(t *testing.T, folder string, budget time.Duration) (text string, ok bool) {
	t.Helper()
	c := newChecker(t, folder)
	c.check(t.Context(), stages(), budget)
	data, err := os.ReadFile(c.path)
	if err != nil || c.err != nil {
		t.Fatal(err, c.err)
	}
	files, err := os.ReadDir(filepath.Dir(c.path))
	if err != nil || len(files) > 7 {
		t.Errorf("%d files were written, 7 are the most (%v)", len(files), err)
	}
	return string(data), c.passed()
}

func holds(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// The programs of a machine where all goes well.
const (
	goodDoctor = `echo warning >&2; echo '{"ok":true,"checks":[{"name":"CUDA training","state":"ok","found":"driver of CUDA 13.0; cuda:0 NVIDIA X"}]}'; echo done >&2`
	goodInfer  = `echo "onnxruntime 1.31.1 (CUDAExecutionProvider): Accuracy = 98.63 %"; echo warning >&2`
	// goodTrain writes the end of a run as train does, into the folder that -runs and -name say.
	goodTrain = `
while [ $# -gt 0 ]; do case "$1" in -runs) runs=$2;; -name) name=$2;; -device) device=$2;; esac; shift; done
mkdir -p "$runs/$name"
case $device in cuda) loss=0.0312;; *) loss=0.0310;; esac
echo "[{\"mean_loss\":0.2,\"seconds\":2},{\"mean_loss\":$loss,\"test_accuracy\":0.9861,\"seconds\":1.5}]" >"$runs/$name/history.json"`
	// goodTests is the executor's tests: two, the benchmark, and those that have rows of their own.
	goodTests = `case "$*" in
*test.list*) printf 'TestA\nTestTenStepsAreThoseOfTheNativeEngine\nTestFirstContact\nTestEachAlgorithm\nTestB\nok\n';;
*bench=Launch*) for i in 2 1 3; do echo "BenchmarkLaunch/e1/batch=32/00/begin_step/-/98x1-16   200   ${i}000 ns/op"
    echo "BenchmarkLaunch/e1/batch=32/01/cublasSgemm/Dense_(32,_128)/0x0   200   ${i}500 ns/op"; done
  echo "BenchmarkLaunch/e2/batch=32/07/adam/-/722x1-16   200   1250.5 ns/op";;
*bench*) for i in 1 2 3; do echo "BenchmarkStep/e1/batch=32-16   500   ${i}1500 ns/op   2500 host-ns/op  1 images/s"; done
  echo "BenchmarkStep/e1/batch=32/loss=each-16  500  30000 ns/op  9000 host-ns/op  1 images/s"
  echo "BenchmarkStep/e1/batch=32/tf32-16  500  20000 ns/op  2000 host-ns/op  1 images/s"
  echo "BenchmarkStep/e1/batch=32/bf16-16  500  15000 ns/op  2000 host-ns/op  1 images/s"
  echo "BenchmarkStep/e1/batch=32/fed-16  500  25000 ns/op  8000 host-ns/op  1 images/s"
  echo "BenchmarkStep/e1/batch=32/one-step-16  500  23000 ns/op  4000 host-ns/op  1 images/s"
  echo "BenchmarkStep/e1/batch=32/one-stream-16  500  22000 ns/op  3000 host-ns/op  1 images/s";;
*TenSteps*) printf '    training_test.go:1: e1, 10 steps: losses at most 1e-07 off\n--- PASS: TestTenStepsAreThoseOfTheNativeEngine (0.1s)\nPASS\n';;
*FirstContact*) printf '    step_bench_test.go:1: first contact: device opened 10.0 ms, first step 20.0 ms\n--- PASS: TestFirstContact (0.1s)\nPASS\n';;
*EachAlgorithm*) printf '    algorithms_test.go:1: found: forward of 32×1×28×28 by 32×1×5×5 (E1): GEMM FMA 9.10 µs, 64 bytes, in a fixed order\n'
  printf '    algorithms_test.go:1: found: dw of 8×3×9×9 by 4×3×3×3, padding 1×1 (ResNet-20): ALGO_0 FMA 2.10 µs, 0 bytes, in any order; FFT FMA: CUDNN_STATUS_NOT_SUPPORTED\n--- PASS: TestEachAlgorithm (0.1s)\nPASS\n';;
*TestA*) printf -- '=== RUN   TestA\n--- PASS: TestA (0.1s)\n    --- PASS: TestA/b (0.1s)\nPASS\n';;
*TestB*) printf -- '--- SKIP: TestB (0.0s)\n    setup_test.go:94: needs the simulator: make gpu-test sets X\nPASS\n';;
esac`
	noPackages = `case "$*" in *sys.path*) echo /nowhere;; *) exit 1;; esac`
)

func goodPrograms() map[string]string {
	return map[string]string{"doctor": goodDoctor, "train": goodTrain, "infer": goodInfer,
		"cuda.test": goodTests}
}

// Without a GPU every figure says so, and why.
func TestWithoutAGPUNothingIsMeasured(t *testing.T) {
	folder := fakeBundle(t, map[string]string{
		"doctor": `echo '{"ok":true,"checks":[{"name":"CUDA training","state":"missing","found":"driver: libcuda.so.1 is not there","remedy":"install it"}]}'`,
	}, nil)
	text, ok := reportOf(t, folder, time.Minute)
	if ok {
		t.Error("it passed")
	}
	for _, s := range stages() {
		for _, what := range s.rows {
			holds(t, text,
				"| "+what+" | not measured | not measured: no GPU: driver: libcuda.so.1 is not there")
		}
	}
}

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
	folder := fakeBundle(t, goodPrograms(), map[string]string{
		"nvidia-smi": `echo "name, clocks"; echo "X, 1980 MHz"`,
		"python3": `case "$*" in *sys.path*) echo /nowhere;; *torch_steps*) echo warning >&2
echo '{"mode":"eager","batch":32,"torch":"2.15","microseconds":700.5}'; echo '{"mode":"torch.compile","batch":32,"error":"no compiler"}';;
*jax_steps*) echo '{"mode":"jit","batch":32,"microseconds":250.25}';;
*find_spec*) echo warning >&2; echo "package: ` + onnxruntime + `";; *) exit 0;; esac`,
		"compute-sanitizer": `echo "========= ERROR SUMMARY: 0 errors"; echo warning >&2`,
		"ncu":               `echo '"ID","Kernel Name"'; echo '"0","adam"'`,
	})
	text, ok := reportOf(t, folder, time.Minute)
	if !ok {
		t.Errorf("it did not pass:\n%s", text)
	}
	holds(t, text,
		"| machine | passed | driver of CUDA 13.0; cuda:0 NVIDIA X |",
		"| first contact | passed | device opened 10.0 ms, first step 20.0 ms |",
		"| µs a step, in CUDA graphs | passed | e1 batch 32: 21.5 (host 2.5); e1 batch 32, its loss read each step: 30.0 (host 9.0); e1 batch 32 in TF32: 20.0 (host 2.0); e1 batch 32 in bf16: 15.0 (host 2.0); e1 batch 32, fed: 25.0 (host 8.0); e1 batch 32, a graph a step: 23.0 (host 4.0); e1 batch 32, in one stream: 22.0 (host 3.0) (medians",
		"| µs a step, launch by launch | passed | e1 batch 32: 21.5",
		"| µs a launch, 200 of it in one graph | passed | e1 batch 32: launches 2, 4.5 together: "+
			"cublasSgemm of Dense (32, 128) 2.50, begin_step in 98×1 blocks 2.00; "+
			"e2 batch 32: launches 1, 1.3 together: adam in 722×1 blocks 1.25 |",
		"| ten steps beside the CPU engine: losses and gradients | passed | e1, 10 steps: losses at most 1e-07 off |",
		"| cudnnFind: all algorithms of each convolution | passed | 2 convolutions, each in a row of its own |",
		"| cudnnFind: forward of 32×1×28×28 by 32×1×5×5 (E1) | passed | GEMM FMA 9.10 µs, 64 bytes, in a fixed order |",
		"| cudnnFind: dw of 8×3×9×9 by 4×3×3×3, padding 1×1 (ResNet-20) | passed | ALGO_0 FMA 2.10 µs, 0 bytes, "+
			"in any order; FFT FMA: CUDNN_STATUS_NOT_SUPPORTED |",
		"| PyTorch's step of E1, µs | passed | eager batch 32: 700.5; torch.compile batch 32: no compiler |",
		"| JAX's step of E1, µs | passed | jit batch 32: 250.2 |",
		"| the executor's tests | passed | 1 passed, 0 failed, 1 are for the simulator (TestB),",
		"| E1 trained on the GPU and on the CPU | passed | 2 epochs; GPU: mean loss 0.0312, test accuracy 98.61 %, 1.50 s the last epoch; CPU: mean loss 0.0310",
		"| e1.onnx through onnxruntime's CUDA provider | passed | onnxruntime 1.31.1 (CUDAExecutionProvider): Accuracy = 98.63 % |",
		"| kernels of a step (ncu) | passed | 2 lines",
		"| compute-sanitizer memcheck | passed | ========= ERROR SUMMARY: 0 errors |")
}

// A part that fails is a verdict with its reason, and takes no figure of another part away.
func TestFailuresAreVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		program, script string
		want            []string
	}{
		"doctor says nothing": {"doctor", `echo "doctor: cannot open /dev/x" >&2; exit 1`, []string{
			"| machine | FAILED | doctor -json says nothing of CUDA training: exit status 1: doctor: cannot open /dev/x; the check goes on",
			"| first contact | passed |", "| E1 trained on the GPU and on the CPU | passed |"}},
		"doctor answers half of it": {"doctor", `echo '{"checks":[{"name":"CUDA'`,
			[]string{"| machine | FAILED |", "| first contact | passed |"}},
		"no memory": {"train",
			`echo "train: device cuda:0: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2)"; exit 1`, []string{
				"| E1 trained on the GPU and on the CPU | FAILED | GPU: train -device cuda: exit status 1: train: device cuda:0: cuMemAlloc",
				"| first contact | passed |"}},
		"another accuracy": {"train", strings.Replace(goodTrain, "loss=0.0312", "loss=0.5", 1), []string{
			"| E1 trained on the GPU and on the CPU | FAILED | 2 epochs; GPU: mean loss 0.5000"}},
		"the CPU answers": {"infer", `echo "onnxruntime (CPUExecutionProvider): Accuracy = 98 %"`,
			[]string{
				"| e1.onnx through onnxruntime's CUDA provider | FAILED |"}},
		"a launch fails": {"cuda.test", strings.Replace(goodTests, `722x1-16   200   1250.5 ns/op";;`,
			`722x1-16   200   1250.5 ns/op"; echo "--- FAIL: BenchmarkLaunch"; exit 1;;`, 1), []string{
			"| µs a launch, 200 of it in one graph | FAILED | e1 batch 32: launches 2, 4.5 together: ",
			"adam in 722×1 blocks 1.25; then exit status 1", "| first contact | passed |"}},
		"launches are not timed": {"cuda.test", strings.Replace(goodTests, `*bench=Launch*)`,
			`*bench=Launch*) echo PASS;; *nothing*)`, 1), []string{
			"| µs a launch, 200 of it in one graph | FAILED | the benchmark told no time"}},
		"a test fails, and its process passes": {"cuda.test",
			strings.Replace(goodTests, `--- PASS: TestA (0.1s)`, `--- FAIL: TestA (0.1s)`, 1), []string{
				"| the executor's tests | FAILED | 0 passed, 1 failed", "; FAIL TestA: ",
				"| first contact | passed |"}},
		"a test passes, and its process fails": {"cuda.test",
			strings.Replace(goodTests, `printf -- '=== RUN   TestA`,
				`trap 'exit 3' EXIT; printf -- '=== RUN   TestA`, 1), []string{
				"FAIL TestA: exit status 3"}},
		"a process ends without a verdict": {"cuda.test", strings.Replace(goodTests, `*TestA*)`,
			`*TestA*) echo "CUDA error 700" >&2; kill -KILL $$;; *TestC*)`, 1), []string{
			"FAIL TestA: signal: killed: CUDA error 700"}},
		"a test is skipped on a GPU": {"cuda.test",
			strings.Replace(goodTests, `needs the simulator: make`, `neither a GPU nor: make`, 1), []string{
				"1 passed, 1 failed", "SKIP TestB: setup_test.go:94: neither a GPU"}},
		"a part of a test is skipped": {"cuda.test", strings.Replace(goodTests, `    --- PASS: TestA/b`,
			`    --- SKIP: TestA/b`, 1), []string{
			"FAIL TestA: --- SKIP: TestA/b"}},
		"a search fails": {"cuda.test", strings.Replace(goodTests, `--- PASS: TestEachAlgorithm`,
			`    algorithms_test.go:9: E1: no memory\n--- FAIL: TestEachAlgorithm`, 1), []string{
			"of each convolution | FAILED | 2 convolutions, each in a row of its own; FAIL: ", "E1: no memory",
			"(E1) | passed | GEMM FMA 9.10 µs", "| E1 trained on the GPU and on the CPU | passed |"}},
		"a search is skipped": {"cuda.test", strings.Replace(goodTests, `*EachAlgorithm*)`,
			`*EachAlgorithm*) printf -- '--- SKIP: TestEachAlgorithm\n    setup_test.go:50: neither a GPU nor\nPASS\n';; *x*)`,
			1), []string{"of each convolution | FAILED | 0 convolutions, each in a row of its own; SKIP: setup_test.go:50: neither"}},
		"a search says nothing": {"cuda.test", strings.ReplaceAll(goodTests, `found: `, `sought: `), []string{
			"of each convolution | FAILED | the test passed and did not say what it found"}},
		"a search dies": {"cuda.test", strings.Replace(goodTests,
			`\n--- PASS: TestEachAlgorithm (0.1s)\nPASS\n'`, `\n'; kill -KILL $$`, 1), []string{
			"of each convolution | FAILED | 2 convolutions, each in a row of its own; FAIL: ", "signal: killed",
			"(E1) | passed | GEMM FMA 9.10 µs", "| the executor's tests | passed |"}},
		"ten steps are off": {"cuda.test", strings.Replace(goodTests, `--- PASS: TestTenSteps`,
			`--- FAIL: TestTenSteps`, 1), []string{
			"losses and gradients | FAILED | e1, 10 steps: losses at most 1e-07 off FAIL:"}},
		"ten steps say nothing": {"cuda.test", strings.Replace(goodTests, `e1, 10 steps`, `e1, 9 steps`,
			1), []string{
			"losses and gradients | FAILED | the test passed and did not say what it compared"}},
		"fewer rounds are told as such": {"cuda.test",
			strings.Replace(goodTests, `for i in 1 2 3; do echo`, `for i in 1; do echo`, 1), []string{
				"in CUDA graphs | passed | e1 batch 32: 11.5", "(medians of 1 rounds of 500 steps)"}},
		"the benchmark ends with an error": {"cuda.test", strings.Replace(goodTests, `1 images/s";;`,
			`1 images/s"; echo "CUDA error 719"; exit 2;;`, 1), []string{
			"in CUDA graphs | FAILED | e1 batch 32: 21.5 (host 2.5)", "; then exit status 2: ",
			"CUDA error 719"}},
		"the benchmark tells nothing": {"cuda.test",
			strings.Replace(goodTests, `*bench*)`, `*bench*) exit 0;; *x*)`, 1), []string{
				"in CUDA graphs | FAILED | the benchmark told no time"}},
		"no tests are listed": {"cuda.test", strings.Replace(goodTests, `*test.list*)`,
			`*test.list*) exit 1;; *x*)`, 1), []string{
			"| the executor's tests | FAILED | the list of tests: exit status 1, 0 names"}},
	} {
		t.Run(name, func(t *testing.T) {
			programs := goodPrograms()
			if programs[test.program] == test.script {
				t.Fatal("nothing is planted")
			}
			programs[test.program] = test.script
			folder := fakeBundle(t, programs, map[string]string{"python3": noPackages})
			t.Setenv("ONNXRUNTIME_LIB", "/some/libonnxruntime.so")
			text, ok := reportOf(t, folder, time.Minute)
			if ok != (name == "fewer rounds are told as such") {
				t.Errorf("passed %t:\n%s", ok, text)
			}
			holds(t, text, test.want...)
		})
	}
}

// A peer that fails is not our failure; what it told before stays.
func TestAPeerThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   string
		ok     bool
	}{
		"it is not there": {`exit 1`,
			"| PyTorch's step of E1, µs | not measured | not measured: no PyTorch with CUDA: exit status 1",
			true},
		"it dies": {`case "$*" in *torch_steps*) echo '{"mode":"eager","batch":32,"microseconds":700.5}'; kill -KILL $$;; *jax*) exit 1;; *) exit 0;; esac`,
			"| PyTorch's step of E1, µs | passed | eager batch 32: 700.5; not measured: the rest: signal: killed",
			true},
		"no mode works": {`case "$*" in *torch_steps*) echo '{"mode":"eager","batch":32,"error":"no kernel"}';; *jax*) exit 1;; *) exit 0;; esac`,
			"| PyTorch's step of E1, µs | FAILED | eager batch 32: no kernel", false},
	} {
		t.Run(name, func(t *testing.T) {
			text, ok := reportOf(t, fakeBundle(t, goodPrograms(), map[string]string{"python3": test.script}),
				time.Minute)
			if ok != test.ok {
				t.Errorf("passed %t:\n%s", ok, text)
			}
			holds(t, text, test.want)
		})
	}
}

// A program that hangs is ended with what it started; what was told before stays, the others come
// in turn while there is time, and the rest says that there was none.
func TestTheBudgetEndsWhatHangs(t *testing.T) {
	hangs := filepath.Join(t.TempDir(), "hangs")
	programs := goodPrograms()
	programs["cuda.test"] = strings.Replace(goodTests, `*TenSteps*)`,
		`*TenSteps*) echo "e1, 10 steps: losses at most 1e-07 off"; echo >`+hangs+
			`; sleep 600 & sleep 600;; *x*)`, 1)
	c := newChecker(t, fakeBundle(t, programs, map[string]string{"python3": noPackages}))
	// The time ends when the program hangs, however long the others took.
	ctx, end := context.WithCancelCause(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(hangs); err == nil {
				end(errors.New("the time of a GPU has ended"))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	c.check(ctx, stages(), time.Hour)
	text := c.text()
	holds(t, text, "| first contact | passed |",
		"losses and gradients | not measured | not measured: stopped after",
		"it had said: e1, 10 steps: losses at most 1e-07 off |",
		"| E1 trained on the GPU and on the CPU | not measured | not measured: stopped: the time of a GPU has ended |",
		"| compute-sanitizer memcheck | not measured | not measured: stopped: the time of a GPU has ended |")
}

// A search that hangs is ended, and what it found before stays.
func TestASearchThatHangs(t *testing.T) {
	programs := goodPrograms()
	programs["cuda.test"] = strings.Replace(goodTests, `printf '    algorithms_test.go:1: found: dw`,
		`sleep 600; printf '    algorithms_test.go:1: found: dw`, 1)
	c := newChecker(t, fakeBundle(t, programs, map[string]string{"python3": noPackages}))
	c.gpu = true
	c.expect(rowFind)
	ctx, end := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if data, err := os.ReadFile(c.path); err == nil && strings.Contains(string(data), "GEMM FMA 9.10") {
				end()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	checkAlgorithms(ctx, c)
	holds(t, c.text(), "(E1) | passed | GEMM FMA 9.10 µs",
		"of each convolution | passed | 1 convolutions, each in a row of its own; not measured: the rest: stopped after")
}

// Where the budget is spent, the rest says so.
func TestASpentBudget(t *testing.T) {
	text, ok := reportOf(t, fakeBundle(t, goodPrograms(), map[string]string{"python3": noPackages}),
		time.Nanosecond)
	if ok {
		t.Error("it passed")
	}
	for _, s := range stages() {
		for _, what := range s.rows {
			holds(t, text, "| "+what+" | not measured | not measured: stopped: the budget was spent |")
		}
	}
}

// Ctrl-C ends the check; the report says so.
func TestAnInterruptedCheck(t *testing.T) {
	c := newChecker(t, fakeBundle(t, goodPrograms(), map[string]string{"python3": noPackages}))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt signal received"))
	c.check(ctx, stages(), time.Minute)
	holds(t, c.text(), "| machine | not measured | not measured: stopped: interrupt signal received |")
}

// Whatever ends the check itself, what was known is in the files.
func TestAKilledCheckLeavesWhatWasKnown(t *testing.T) {
	programs := goodPrograms()
	programs["cuda.test"] = strings.Replace(goodTests, `*TenSteps*)`,
		`*TenSteps*) echo "some figure"; exec sleep 5;; *x*)`, 1)
	program := filepath.Join(t.TempDir(), "gpu-check")
	if text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	folder := fakeBundle(t, programs, map[string]string{"python3": noPackages})
	if err := os.Rename(program, filepath.Join(folder, "gpu-check")); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(folder, "gpu-check")
	report := filepath.Join(t.TempDir(), "out.md")
	process := exec.Command(program, "-o", report)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	tests := strings.TrimSuffix(report, ".md") + "-tests.txt"
	for {
		if data, err := os.ReadFile(tests); err == nil && strings.Contains(string(data), "some figure") {
			break
		}
		time.Sleep(20 * time.Millisecond) // the test's own limit ends it
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err == nil {
		t.Error("it was not killed")
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, string(data), "| first contact | passed | device opened 10.0 ms",
		"| µs a step, in CUDA graphs | passed | e1 batch 32: 21.5",
		"| E1 trained on the GPU and on the CPU | not measured | not measured: the check did not come to it |")
	if data, err := os.ReadFile(tests); err != nil || !strings.Contains(string(data), "some figure") {
		t.Errorf("the tests' file lacks what was printed: %v\n%s", err, data)
	}
}

// A report that cannot be written is told before any time is spent.
func TestAReportThatCannotBeWritten(t *testing.T) {
	if _, err := run(t.Context(), filepath.Join(t.TempDir(), "none", "report.md"), time.Minute,
		1); err == nil || !strings.Contains(err.Error(), "write the report") {
		t.Errorf("%v", err)
	}
}

// What a program prints without end does not fill the disk.
func TestALongStory(t *testing.T) {
	c := newChecker(t,
		fakeBundle(t, nil,
			map[string]string{"talker": `i=0; while [ $i -lt 30000 ]; do echo "a line of some fifty characters, again and again"; i=$((i+1)); done; echo end`}))
	seen := 0
	r := c.run(t.Context(), observed{part: "other", see: func(string) { seen++ }}, "talker")
	info, err := os.Stat(strings.TrimSuffix(c.path, ".md") + "-other.txt")
	if err != nil || r.err != nil || seen != 30001 || info.Size() > mostWritten+1000 {
		t.Errorf("%d lines, %v, %v, %v", seen, info, err, r.err)
	}
}

// Libraries of a Python environment are taken where they are of CUDA 13, behind those
// that the caller chose.
func TestLibrariesAreThoseOfTheRelease(t *testing.T) {
	older, newer := t.TempDir(), t.TempDir()
	for _, file := range []string{older + "/nvidia/cudnn/lib/libcudnn.so.9",
		older + "/nvidia/cublas/lib/libcublasLt.so.12",
		newer + "/nvidia/cudnn/lib/libcudnn.so.9", newer + "/nvidia/cu13/lib/libcublas.so.13",
		newer + "/nvidia/cu13/lib/libcublasLt.so.13"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	folder := fakeBundle(t, map[string]string{"doctor": `echo "$LD_LIBRARY_PATH"`},
		map[string]string{"python3": `printf '%s\n' ` + older + " " + newer})
	c := newChecker(t, folder)
	c.findLibraries(t.Context())
	found := newer + "/nvidia/cudnn/lib:" + newer + "/nvidia/cu13/lib"
	for own, want := range map[string]string{"": found, "/own": "/own:" + found} {
		t.Setenv("LD_LIBRARY_PATH", own)
		if got, err := c.output(t.Context(), "machine", "bin/doctor"); err != nil ||
			strings.TrimSpace(got) != want {
			t.Errorf("with LD_LIBRARY_PATH %q the programs have %q, want %q (%v)", own, got, want, err)
		}
	}
}

// The programs write into the scratch folder as their home, and Python still finds the
// caller's own packages.
func TestPythonFindsTheCallersPackages(t *testing.T) {
	folder := fakeBundle(t, nil, map[string]string{"python3": `echo "$HOME $PYTHONUSERBASE"`})
	c := newChecker(t, folder)
	t.Setenv("HOME", "/home/caller")
	for own, want := range map[string]string{"": "/home/caller/.local", "/packages": "/packages"} {
		t.Setenv("PYTHONUSERBASE", own)
		if got, err := c.output(t.Context(), "machine", "python3"); err != nil ||
			strings.TrimSpace(got) != c.scratch+" "+want {
			t.Errorf("with PYTHONUSERBASE %q Python has %q, want %q and %q (%v)", own, got, c.scratch, want,
				err)
		}
	}
}
