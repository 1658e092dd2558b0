//go:build gpu && linux && amd64

package train

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/cuda/simulator"
	"slipway/internal/kernel"
	"slipway/train"
)

// simulated returns a function that runs the command as a process which finds the
// simulator in the place of CUDA's libraries, and returns its exit code and output.
func simulated(t *testing.T) func(args ...string) (code int, output string) {
	t.Helper()
	library := os.Getenv(simulator.Variable)
	if library == "" {
		t.Skipf("needs the simulator: make gpu-test sets %s", simulator.Variable)
	}
	return func(args ...string) (int, string) {
		t.Helper()
		process := exec.CommandContext(t.Context(), os.Args[0], args...)
		process.Env = append(os.Environ(), actAsTrain+"=1", "SLIPWAY_CUDA_DRIVER="+library,
			"SLIPWAY_CUDNN="+library, "SLIPWAY_CUBLAS="+library,
			"SLIPWAY_CUBLASLT="+library, "SLIPWAY_NCCL="+library)
		output, err := process.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return process.ProcessState.ExitCode(), string(output)
	}
}

// The command trains on the device from beginning to end, and a CPU goes on from its
// checkpoint.
func TestTrainOnCUDA(t *testing.T) {
	execute := simulated(t)
	dir := fixture(t)
	command := func(args ...string) string {
		t.Helper()
		if args[0] != "-resume" {
			args = arguments(dir, args...)
		}
		code, output := execute(args...)
		if code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, output)
		}
		return output
	}
	out := command("-device", "cuda", "-epochs", "2", "-name", "gpu")
	for _, want := range []string{
		"engine cuda, device cuda:0 (simulated, compute capability 8.0, cuDNN 9.",
		"Epoch [2/2], Step [12/12], Loss: ", "test accuracy ", "Accuracy = "} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if auto := command("-epochs", "2", "-name", "auto"); !strings.Contains(auto,
		"device cuda:0 (simulated") {
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

	resumed := command("-resume", "-name", "gpu", "-runs", dir+"/runs", "-epochs", "4", "-test",
		"none", "-device", "cpu")
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

// A run that a GPU cannot compute goes on on the CPU where -device auto is left to
// choose, and -device cuda is refused.
func TestResumeWhatCUDADoesNotDo(t *testing.T) {
	execute := simulated(t)
	for _, test := range []struct {
		name            string
		settings        []string
		line, complaint string
	}{
		{"optimizer", []string{"-optimizer", "muon"},
			"device cpu (optimizer muon is computed on the CPU alone)",
			"optimizer muon is computed on the CPU alone"},
		{"engine", []string{"-engine", "gorgonia"}, "engine gorgonia, device cpu",
			"-device cuda does not go with engine gorgonia"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := fixture(t)
			if code, output := execute(arguments(dir,
				append(test.settings, "-epochs", "1")...)...); code != cli.ExitOK {
				t.Fatalf("exit %d: %s", code, output)
			}
			resume := []string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2", "-test",
				"none"}
			if code, output := execute(append(resume, "-device", "cuda")...); code != cli.ExitFailure ||
				!strings.Contains(output, test.complaint) {
				t.Errorf("with -device cuda exit %d: %s", code, output)
			}
			if code, output := execute(resume...); code != cli.ExitOK ||
				!strings.Contains(output, test.line) {
				t.Errorf("exit %d: %s", code, output)
			}
		})
	}
}

// What makes a batch anew in each step is fed to the device, and the run goes on there.
func TestBatchesAreFedOnCUDA(t *testing.T) {
	execute := simulated(t)
	dir := fixture(t)
	var losses []float64
	for _, device := range []string{"cuda", "cpu"} {
		args := arguments(dir, "-device", device, "-epochs", "2", "-name", device, "-augment",
			"shift=1", "-mixup", "0.4", "-sampling", "balanced")
		if code, output := execute(args...); code != cli.ExitOK ||
			strings.Contains(output, "engine cuda") != (device == "cuda") {
			t.Fatalf("exit %d: %s", code, output)
		}
		losses = append(losses, readHistory(t, dir+"/runs/"+device)[1].MeanLoss)
	}
	if math.Abs(losses[0]-losses[1]) > 1e-4*losses[1] {
		t.Errorf("mean losses %v on the device and on the CPU", losses)
	}
	resume := []string{"-resume", "-name", "cuda", "-runs", dir + "/runs", "-epochs", "3", "-test",
		"none", "-device", "cuda"}
	if code, output := execute(resume...); code != cli.ExitOK ||
		!strings.Contains(output, "Epoch [3/3]") {
		t.Errorf("exit %d: %s", code, output)
	}
}

// A run with all that its optimizer may do, and batches that are fed, goes on on a GPU, whichever it
// began on.
func TestCUDAWithARecipe(t *testing.T) {
	execute := simulated(t)
	recipe := []string{"-schedule", "cosine", "-schedule-epochs", "2", "-freeze", "trunk",
		"-freeze-until", "2", "-lr", "head=0.01,*=0.001", "-clip-norm", "1", "-ema", "0.9",
		"-accumulate", "2", "-optimizer", "adamw", "-weight-decay", "0.1", "-decay", "weights",
		"-augment", "shift=1", "-mixup", "0.4"}
	for _, began := range []string{"cuda", "cpu"} {
		dir := fixture(t)
		if code, output := execute(arguments(dir, append(recipe, "-epochs", "1", "-device",
			began)...)...); code != cli.ExitOK || strings.Contains(output, "engine cuda") != (began == "cuda") {
			t.Fatalf("exit %d: %s", code, output)
		}
		resume := []string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2", "-test",
			"none", "-device", "cuda"}
		if code, output := execute(resume...); code != cli.ExitOK ||
			!strings.Contains(output, "engine cuda") || !strings.Contains(output, "Epoch [2/2]") {
			t.Errorf("exit %d: %s", code, output)
		}
	}
}

// Pixels that are measured on the training set are fed on a GPU, too.
func TestCUDAWithMeasuredPixels(t *testing.T) {
	execute := simulated(t)
	dir := fixture(t)
	start := arguments(dir, "-pixels", "measured", "-epochs", "1")
	if code, output := execute(append(start, "-device", "cuda")...); code != cli.ExitOK ||
		!strings.Contains(output, "engine cuda") {
		t.Fatalf("exit %d: %s", code, output)
	}
	resume := []string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2", "-test",
		"none"}
	if code, output := execute(append(resume, "-device", "cuda")...); code != cli.ExitOK ||
		!strings.Contains(output, "engine cuda") {
		t.Errorf("exit %d: %s", code, output)
	}
}

// A run in less than float32 says so where it begins and in its folder, learns almost what one in
// float32 does, and goes on in that precision, which not every CPU has.
func TestTrainInLessThanFloat32OnCUDA(t *testing.T) {
	for _, reduced := range []string{"tf32", "bf16"} {
		t.Run(reduced, func(t *testing.T) { trainIn(t, reduced) })
	}
}

func trainIn(t *testing.T, lower string) {
	execute := simulated(t)
	dir := fixture(t)
	var losses []float64
	for _, precision := range []string{"float32", lower} {
		reduced := precision == lower
		code, output := execute(arguments(dir, "-device", "cuda", "-epochs", "2", "-name", precision,
			"-precision", precision)...)
		if code != cli.ExitOK || strings.Contains(output, ", products in "+lower+",") != reduced {
			t.Fatalf("%s: exit %d: %s", precision, code, output)
		}
		config, err := os.ReadFile(dir + "/runs/" + precision + "/config.json")
		if err != nil || strings.Contains(string(config), `"precision": "`+lower+`"`) != reduced {
			t.Errorf("%s: %v, %s", precision, err, config)
		}
		losses = append(losses, readHistory(t, dir+"/runs/"+precision)[1].MeanLoss)
	}
	if off := math.Abs(losses[1]-losses[0]) / losses[0]; off == 0 || off > 1e-2 {
		t.Errorf("mean losses %v in float32 and %s: %g off, want a little", losses, lower, off)
	}
	resume := []string{"-resume", "-name", lower, "-runs", dir + "/runs", "-epochs", "3", "-test",
		"none"}
	t.Setenv(kernel.EnvironmentVariable, "portable") // which multiplies float32 alone
	if code, output := execute(append(resume, "-device", "cpu")...); code != cli.ExitFailure ||
		!strings.Contains(output, "-precision "+lower) ||
		!strings.Contains(output, "; a run of its own with -precision float32 trains here") {
		t.Errorf("on the CPU exit %d: %s", code, output)
	}
	finished := slices.Concat(resume, []string{"-epochs", "2", "-device", "cpu"})
	if code, output := execute(finished...); code != cli.ExitOK ||
		!strings.Contains(output, "2 epochs are done") {
		t.Errorf("a finished run on the CPU: exit %d: %s", code, output)
	}
	if code, output := execute(append(resume, "-precision", "float32")...); code != cli.ExitUsage ||
		!strings.Contains(output, "-precision does not apply to -resume") {
		t.Errorf("in another precision exit %d: %s", code, output)
	}
	if code, output := execute(resume...); code != cli.ExitOK ||
		!strings.Contains(output, ", products in "+lower+",") || !strings.Contains(output, "Epoch [3/3]") {
		t.Errorf("exit %d: %s", code, output)
	}
}

// -device cpu never touches the driver, not even for a run in TF32, which it cannot go on with. The
// loader tells what it loads.
func TestDeviceCPULeavesCUDAAlone(t *testing.T) {
	execute := simulated(t)
	dir := fixture(t)
	for _, precision := range []string{"float32", "tf32"} {
		if code, output := execute(arguments(dir, "-device", "cuda", "-epochs", "1", "-name", precision,
			"-precision", precision)...); code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, output)
		}
	}
	t.Setenv("LD_DEBUG", "files")
	for _, precision := range []string{"float32", "tf32"} {
		for device, loads := range map[string]bool{"cpu": false, "auto": true} {
			_, output := execute("-resume", "-name", precision, "-runs", dir+"/runs", "-epochs", "2",
				"-test", "none", "-device", device)
			if strings.Contains(output, os.Getenv(simulator.Variable)) != loads {
				t.Errorf("%s on %s: the driver is loaded: %t, want %t", precision, device, !loads, loads)
			}
		}
	}
}
