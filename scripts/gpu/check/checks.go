package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const noGPU = "no GPU"

// checkMachine says what the machine is, and whether it can train on CUDA at all.
func checkMachine(ctx context.Context, b *bundle, r *report, _ int) {
	doctor := b.run(ctx, time.Minute, "bin/doctor", "-json")
	var found struct {
		Checks []struct{ Name, State, Found, Remedy string }
	}
	if err := json.Unmarshal([]byte(doctor.answer), &found); err != nil {
		r.add("machine", failed, fmt.Sprintf("doctor -json: %v: %s", err, lastLines(doctor.text, 3)))
		b.why = "doctor failed"
		return
	}
	var lines []string
	for _, check := range found.Checks {
		lines = append(lines, fmt.Sprintf("%-18s %-8s %s", check.Name, check.State, check.Found))
		if check.Name == "CUDA training" {
			b.gpu, b.why = check.State == "ok", noGPU+": "+check.Found
			if b.gpu {
				r.add("machine", passed, check.Found)
			} else {
				r.missing("machine", b.why+"; "+check.Remedy)
			}
		}
	}
	r.section("doctor", strings.Join(lines, "\n"))
	if has("nvidia-smi") {
		r.section("nvidia-smi", b.run(ctx, time.Minute, "nvidia-smi").text)
	}
}

var stepsPattern = regexp.MustCompile(`(e[12], 10 steps: .*)`)

// checkTests runs the executor's tests: every node against plain loops, ten steps of
// E1 and E2 against the native engine, and the counting of launches and copies.
func checkTests(ctx context.Context, b *bundle, r *report, _ int) {
	const what = "executor's tests"
	if !b.gpu {
		r.missing(what, b.why)
		r.missing("gradients and losses beside the CPU engine", b.why)
		return
	}
	tests := b.run(ctx, 10*time.Minute, "bin/cuda.test", "-test.v", "-test.timeout=9m")
	count := func(mark string) int { return strings.Count(tests.text, "--- "+mark) }
	figures := fmt.Sprintf("%d passed, %d failed, %d skipped, %.0f s", count("PASS"), count("FAIL"), count("SKIP"), tests.seconds)
	if tests.err != nil || count("PASS") == 0 {
		r.add(what, failed, fmt.Sprintf("%s: %v", figures, tests.err))
		r.section("executor's tests", lastLines(tests.text, 120))
	} else {
		r.add(what, passed, figures)
	}
	compared := stepsPattern.FindAllString(tests.text, -1)
	if len(compared) == 0 {
		r.add("gradients and losses beside the CPU engine", failed, "the tests did not say")
		return
	}
	r.add("gradients and losses beside the CPU engine", passed, strings.Join(compared, "; "))
}

// epochRecord is a line of a run's history.json.
type epochRecord struct {
	MeanLoss     float64  `json:"mean_loss"`
	TestAccuracy *float64 `json:"test_accuracy"`
	Seconds      float64  `json:"seconds"`
}

// checkTraining trains E1 and E2 on the GPU and on the CPU, from one seed.
func checkTraining(ctx context.Context, b *bundle, r *report, epochs int) {
	for _, experiment := range []string{"e1", "e2"} {
		what := fmt.Sprintf("%s trained for %d epochs", strings.ToUpper(experiment), epochs)
		if !b.gpu {
			r.missing(what, b.why)
			continue
		}
		var last [2]epochRecord
		err := error(nil)
		for i, device := range []string{"cuda", "cpu"} {
			var history []epochRecord
			if history, err = trainOn(ctx, b, experiment, device, epochs); err != nil {
				break
			}
			last[i] = history[len(history)-1]
		}
		if err != nil {
			r.add(what, failed, err.Error())
			continue
		}
		gpu, cpu := last[0], last[1]
		// Two runs whose sums are rounded in another order part after some hundred
		// steps; both learn. One run's accuracy has a spread of about 0.2 points.
		verdict := passed
		if math.Abs(*gpu.TestAccuracy-*cpu.TestAccuracy) > 0.01 || math.Abs(gpu.MeanLoss-cpu.MeanLoss) > 0.1*cpu.MeanLoss+0.02 {
			verdict = failed
		}
		r.add(what, verdict, fmt.Sprintf("GPU: mean loss %.4f, test accuracy %.2f %%, %.2f s the last epoch; CPU: %.4f, %.2f %%, %.2f s",
			gpu.MeanLoss, 100**gpu.TestAccuracy, gpu.Seconds, cpu.MeanLoss, 100**cpu.TestAccuracy, cpu.Seconds))
	}
}

func trainOn(ctx context.Context, b *bundle, experiment, device string, epochs int) ([]epochRecord, error) {
	name := experiment + "-" + device
	done := b.run(ctx, 15*time.Minute, "bin/train", "-experiment", experiment, "-device", device, "-name", name, "-runs", filepath.Join(b.scratch, "runs"),
		"-data-dir", filepath.Join(b.folder, "data"), "-epochs", strconv.Itoa(epochs))
	if done.err != nil {
		return nil, fmt.Errorf("train -device %s: %w: %s", device, done.err, lastLines(done.text, 3))
	}
	raw, err := os.ReadFile(filepath.Join(b.scratch, "runs", name, "history.json"))
	if err != nil {
		return nil, err
	}
	var history []epochRecord
	if err := json.Unmarshal(raw, &history); err != nil {
		return nil, fmt.Errorf("history of %s: %w", name, err)
	}
	if len(history) == 0 || history[len(history)-1].TestAccuracy == nil {
		return nil, fmt.Errorf("history of %s has no test accuracy", name)
	}
	return history, nil
}

var benchPattern = regexp.MustCompile(`BenchmarkStep/(e[12])/batch=(\d+)\S*\s+\d+\s+([\d.]+) ns/op`)

// checkSteps times a step.
func checkSteps(ctx context.Context, b *bundle, r *report, _ int) {
	const what = "time of a step"
	if !b.gpu {
		r.missing(what, b.why)
		return
	}
	bench := b.run(ctx, 10*time.Minute, "bin/cuda.test", "-test.run=^$", "-test.bench=Step", "-test.benchtime=2000x", "-test.count=5", "-test.timeout=9m")
	times := make(map[string][]float64)
	var order []string
	for _, found := range benchPattern.FindAllStringSubmatch(bench.text, -1) {
		key := fmt.Sprintf("%s batch %s", found[1], found[2])
		if times[key] == nil {
			order = append(order, key)
		}
		if nanoseconds, err := strconv.ParseFloat(found[3], 64); err == nil {
			times[key] = append(times[key], nanoseconds/1000)
		}
	}
	if bench.err != nil || len(order) == 0 {
		r.add(what, failed, fmt.Sprintf("%v: %s", bench.err, lastLines(bench.text, 5)))
		return
	}
	var figures []string
	for _, key := range order {
		figures = append(figures, fmt.Sprintf("%s: %.1f µs", key, median(times[key])))
	}
	r.add(what, passed, strings.Join(figures, "; ")+" (medians of 5 rounds of 2000 steps)")
}

// checkPyTorch times PyTorch's step of E1 beside it.
func checkPyTorch(ctx context.Context, b *bundle, r *report, _ int) {
	const what = "PyTorch's step of E1"
	switch {
	case !b.gpu:
		r.missing(what, b.why)
		return
	case !has("python3") || b.run(ctx, 2*time.Minute, "python3", "-c", "import torch; assert torch.cuda.is_available()").err != nil:
		r.missing(what, "no PyTorch with CUDA")
		return
	}
	steps := b.run(ctx, 15*time.Minute, "python3", filepath.Join(b.folder, "torch_steps.py"), "32", "128", "512")
	var figures []string
	for line := range strings.Lines(steps.answer) {
		var one struct {
			Mode, Torch, Error string
			Batch              int
			Microseconds       float64
		}
		if json.Unmarshal([]byte(line), &one) != nil {
			continue
		}
		if one.Error != "" {
			figures = append(figures, fmt.Sprintf("%s batch %d: %s", one.Mode, one.Batch, one.Error))
			continue
		}
		figures = append(figures, fmt.Sprintf("%s batch %d: %.1f µs", one.Mode, one.Batch, one.Microseconds))
	}
	if steps.err != nil || len(figures) == 0 {
		r.add(what, failed, fmt.Sprintf("%v: %s", steps.err, lastLines(steps.text, 5)))
		return
	}
	r.add(what, passed, strings.Join(figures, "; "))
}

// checkInference evaluates the exported graphs through onnxruntime's CUDA provider.
func checkInference(ctx context.Context, b *bundle, r *report, _ int) {
	for _, model := range []string{"e1", "e2"} {
		what := model + ".onnx through onnxruntime's CUDA provider"
		if !b.gpu {
			r.missing(what, b.why)
			continue
		}
		library := onnxruntimeLibrary(ctx, b)
		if library == "" {
			r.missing(what, "no CUDA build of onnxruntime: install onnxruntime-gpu, or set ONNXRUNTIME_LIB")
			continue
		}
		done := b.run(ctx, 5*time.Minute, "bin/infer", "-model", filepath.Join(b.folder, "graphs", model+".onnx"), "-data", "t10k", "-device", "cuda", "-library", library)
		if done.err != nil || !strings.Contains(done.text, "CUDAExecutionProvider") {
			r.add(what, failed, fmt.Sprintf("%v: %s", done.err, lastLines(done.text, 3)))
			continue
		}
		r.add(what, passed, lastLines(done.answer, 2))
	}
}

// onnxruntimeLibrary is the file of a CUDA build, empty if there is none.
func onnxruntimeLibrary(ctx context.Context, b *bundle) string {
	if own := os.Getenv("ONNXRUNTIME_LIB"); own != "" {
		return own
	}
	found := b.run(ctx, time.Minute, "python3", "-c", "import importlib.util as u; print(u.find_spec('onnxruntime').submodule_search_locations[0])")
	if found.err != nil {
		return ""
	}
	folder := filepath.Join(strings.TrimSpace(found.answer), "capi")
	if _, err := os.Stat(filepath.Join(folder, "libonnxruntime_providers_cuda.so")); err != nil {
		return ""
	}
	libraries, err := filepath.Glob(filepath.Join(folder, "libonnxruntime.so.*"))
	if err != nil || len(libraries) == 0 {
		return ""
	}
	return libraries[0]
}

// checkSanitizer runs a whole small run under NVIDIA's checkers of memory.
func checkSanitizer(ctx context.Context, b *bundle, r *report, _ int) {
	for _, tool := range []string{"memcheck", "initcheck", "racecheck"} {
		what := "compute-sanitizer " + tool
		switch {
		case !b.gpu:
			r.missing(what, b.why)
			continue
		case !has("compute-sanitizer"):
			r.missing(what, "no compute-sanitizer")
			continue
		}
		done := b.run(ctx, 10*time.Minute, "compute-sanitizer", "--tool", tool, "--error-exitcode", "9",
			filepath.Join(b.folder, "bin", "cuda.test"), "-test.run=TestARunHasTheSameBits")
		if done.err != nil {
			r.add(what, failed, fmt.Sprintf("%v: %s", done.err, lastLines(done.text, 3)))
			continue
		}
		r.add(what, passed, lastLines(done.answer, 1))
	}
}

func median(values []float64) float64 {
	sorted := append([]float64(nil), values...)
	for i := range sorted {
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[len(sorted)/2]
}
