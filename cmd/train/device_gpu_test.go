//go:build gpu && linux && amd64

package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"slipway/internal/cuda/simulator"
	"slipway/train"
)

// The command trains on the device from beginning to end, and a CPU goes on from its
// checkpoint. On the simulator the process finds it in the place of CUDA's libraries.
func TestTrainOnCUDA(t *testing.T) {
	library := os.Getenv(simulator.Variable)
	if library == "" {
		t.Skipf("needs the simulator: make gpu-test sets %s", simulator.Variable)
	}
	dir := fixture(t)
	command := func(args ...string) string {
		t.Helper()
		process := exec.CommandContext(t.Context(), os.Args[0], arguments(dir, args...)...)
		if args[0] == "-resume" {
			process.Args = append([]string{os.Args[0]}, args...)
		}
		process.Env = append(os.Environ(), actAsTrain+"=1", "SLIPWAY_CUDA_DRIVER="+library, "SLIPWAY_CUDNN="+library, "SLIPWAY_CUBLAS="+library)
		var out, errs bytes.Buffer
		process.Stdout, process.Stderr = &out, &errs
		if err := process.Run(); err != nil {
			t.Fatalf("%v: %s%s", err, out.String(), errs.String())
		}
		return out.String()
	}
	out := command("-device", "cuda", "-epochs", "2", "-name", "gpu")
	for _, want := range []string{"engine cuda, device cuda:0 (simulated, compute capability 7.5, cuDNN 9.", "Epoch [2/2], Step [12/12], Loss: ", "test accuracy ", "Accuracy = "} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if auto := command("-epochs", "2", "-name", "auto"); !strings.Contains(auto, "device cuda:0 (simulated") {
		t.Errorf("auto did not take the device:\n%s", auto)
	}
	command("-device", "cpu", "-epochs", "2", "-name", "cpu")
	var losses []float64
	for _, name := range []string{"gpu", "auto", "cpu"} {
		history := readHistory(t, dir+"/runs/"+name)
		losses = append(losses, history[1].MeanLoss)
	}
	if losses[0] != losses[1] || math.Abs(losses[0]-losses[2]) > 1e-4*losses[2] {
		t.Errorf("mean losses %v: on the device twice and on the CPU", losses)
	}

	resumed := command("-resume", "-name", "gpu", "-runs", dir+"/runs", "-epochs", "4", "-test", "none", "-device", "cpu")
	if !strings.Contains(resumed, "device cpu") || !strings.Contains(resumed, "Epoch [4/4]") {
		t.Errorf("%s", resumed)
	}
	run, err := train.OpenRun(dir + "/runs/gpu")
	if err != nil {
		t.Fatal(err)
	}
	if checkpoint, _, _, err := run.Latest(); err != nil || checkpoint.Progress.Epochs != 4 {
		t.Errorf("%v", err)
	}
}
