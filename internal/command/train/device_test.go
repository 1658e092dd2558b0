package train

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cli"
	"slipway/internal/cuda"
	"slipway/internal/datasettest"
	"slipway/internal/kernel"
	"slipway/train"
)

// The run's own settings decide, not the flags: a run that is resumed has them from its
// checkpoint.
func TestDevicesOfRunsThatNoGPUComputes(t *testing.T) {
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	for what, config := range map[string]train.Config{
		"optimizer muon is": {Engine: builder.EngineNative,
			Optimizer: train.OptimizerConfig{Name: "muon"}},
		"a batch with class weights that is dealt to shards is": {Engine: builder.EngineNative, Shards: 2,
			Loss: train.Loss{ClassWeights: train.ClassWeights{Balanced: true}}},
		"engine gorgonia": {Engine: builder.EngineGorgonia},
	} {
		flags := train.Config{Engine: builder.EngineNative}
		chosen, err := (&options{device: deviceAuto, config: flags}).chooseDevice(config, network)
		if err != nil || chosen.device != nil {
			t.Errorf("%s: auto takes %v, %v", what, chosen.device, err)
		}
		if _, err := (&options{device: deviceCUDA, config: flags}).
			chooseDevice(config, network); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("cuda: %v, want %q", err, what)
		}
	}
}

// ofOwn is a layer that only its Computation computes.
type ofOwn struct{ Name string }

func (ofOwn) Kind() string { return "OfOwn" }

func (l ofOwn) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{Layer: l, Output: inputs[0]}, nil
}

func (ofOwn) Compute(call builder.Call) (builder.Computation, error) {
	return builder.ReLU{}.Compute(call)
}

// A network with layers that no GPU computes is trained on the CPU, or refused by the layer's name.
func TestDevicesOfNetworksThatNoGPUComputes(t *testing.T) {
	config := train.Config{Engine: builder.EngineNative}
	network, err := builder.New("own", builder.Shape{4}, builder.Dense{Units: 3}, ofOwn{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := (&options{device: deviceAuto, config: config}).chooseDevice(config, network)
	if err != nil || chosen.device != nil {
		t.Errorf("auto takes %v, %v", chosen.device, err)
	}
	_, err = (&options{device: deviceCUDA, config: config}).chooseDevice(config, network)
	if err == nil ||
		!strings.Contains(err.Error(), "-device cuda: layer ofown1 (OfOwn) has no GPU form") ||
		!strings.Contains(err.Error(), "-device cpu") {
		t.Errorf("cuda: %v", err)
	}
}

// computed is a layer that counts how often a graph asks what it computes.
type computed struct {
	builder.ReLU
	times *int
}

func (c computed) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{Layer: c, Output: inputs[0]}, nil
}

func (c computed) Kind() string { return "Computed" }

func (c computed) Compute(call builder.Call) (builder.Computation, error) {
	*c.times++
	return c.ReLU.Compute(call)
}

// Whether a GPU computes a network is not asked where there is none to compute it: the answer takes
// a graph, and weights for it.
func TestTheNetworkIsNotAskedWithoutNeed(t *testing.T) {
	times := 0
	network, err := builder.New("asked", builder.Shape{4}, computed{times: &times},
		builder.Dense{Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	devices := []string{deviceCPU}
	if missing := cuda.Inspect().Missing; missing != nil && missing.Piece == cuda.PieceBuild {
		devices = append(devices, deviceAuto)
	}
	for _, device := range devices {
		chosen, err := (&options{device: device}).
			chooseDevice(train.Config{Engine: builder.EngineNative}, network)
		if err != nil || chosen.device != nil || chosen.why != "" || times > 0 {
			t.Errorf("%s: %v, %q, %v; the layer was asked %d times", device, chosen.device, chosen.why, err,
				times)
		}
	}
}

// Where CUDA cannot be used, asking for it is a failure that names the piece and the
// remedy, and auto says what it took instead.
func TestCUDAThatIsNotThere(t *testing.T) {
	found := cuda.Inspect()
	if found.Missing == nil {
		t.Skip("there is CUDA")
	}
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-device", "cuda")...)
	if code != cli.ExitFailure {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"-device cuda", string(found.Missing.Piece), found.Missing.Reason,
		found.Missing.Remedy} {
		if !strings.Contains(errs, want) {
			t.Errorf("the error lacks %q: %s", want, errs)
		}
	}
	if _, err := os.Stat(dir + "/runs"); err == nil {
		t.Error("a run was begun all the same")
	}
	code, out, errs := runTrain(t, arguments(dir, "-device", "auto", "-epochs", "1")...)
	if code != cli.ExitOK || !strings.Contains(out, ", device cpu") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if says := strings.Contains(out, "device cpu (no CUDA: "); says != found.Built {
		t.Errorf("a build with CUDA is %t, and the line says why it is not used: %t\n%s", found.Built,
			says, out)
	}
}

// A run in TF32 does not begin on a CPU, whatever kept it from a GPU.
func TestTF32IsForAGPU(t *testing.T) {
	found := cuda.Inspect()
	if found.Missing == nil {
		t.Skip("there is CUDA")
	}
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-precision", "tf32", "-epochs", "1")...)
	for _, want := range []string{"-precision tf32: only a GPU has it", found.Missing.Reason,
		"-precision float32 trains here"} {
		if code != cli.ExitFailure || !strings.Contains(errs, want) {
			t.Errorf("exit %d, want 1 and %q: %s", code, want, errs)
		}
	}
	if _, err := os.Stat(dir + "/runs"); err == nil {
		t.Error("a run was begun all the same")
	}
	if code, out, errs := runTrain(t, arguments(dir, "-precision", "float32", "-epochs",
		"1")...); code != cli.ExitOK || !strings.Contains(out, "device cpu") {
		t.Errorf("in float32 exit %d: %s%s", code, out, errs)
	}
}

// A run in bf16 begins on a CPU that multiplies it, and on none that does not.
func TestBF16OnCPUs(t *testing.T) {
	dir := fixture(t)
	const cannot = "-precision bf16: engine native: kernel: bf16 takes AMX"
	bf16 := func(more ...string) []string {
		return arguments(dir, append([]string{"-precision", "bf16", "-epochs", "1", "-device", "cpu"},
			more...)...)
	}
	t.Run("without", func(t *testing.T) {
		t.Setenv(kernel.EnvironmentVariable, "portable")
		for want, args := range map[string][]string{
			"; a run of its own with -precision float32 trains here":         bf16(),
			"; -find-lr computes on the CPU alone: find the rate without it": bf16("-find-lr"),
		} {
			code, _, errs := runTrain(t, args...)
			if code != cli.ExitFailure || !strings.Contains(errs, cannot) || !strings.Contains(errs, want) {
				t.Errorf("exit %d, want 1, %q and %q: %s", code, cannot, want, errs)
			}
		}
		if found := cuda.Inspect(); found.Missing != nil {
			_, _, errs := runTrain(t, bf16("-device", "auto")...)
			if !strings.Contains(errs, cannot) || !strings.Contains(errs, found.Missing.Reason) {
				t.Errorf("auto: %s", errs)
			}
		}
		t.Setenv(kernel.EnvironmentVariable, "sse9")
		if code, _, errs := runTrain(t, bf16()...); code != cli.ExitFailure ||
			!strings.Contains(errs, `train: engine native: kernel: unknown SLIPWAY_KERNEL "sse9"`) ||
			strings.Contains(errs, train.PrecisionFloat32) {
			t.Errorf("exit %d: %s", code, errs)
		}
		if _, err := os.Stat(dir + "/runs"); err == nil {
			t.Error("a run was begun all the same")
		}
	})
	if err := (train.Config{Precision: train.PrecisionBF16}).CheckCPU(); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{bf16(), bf16("-find-lr")} {
		const nothing = "precision bf16: nothing of the network tiny is multiplied so on a CPU: it has no "
		code, _, errs := runTrain(t, args...)
		if code != cli.ExitFailure || !strings.Contains(errs, nothing) {
			t.Errorf("exit %d: %s", code, errs)
		}
		if _, err := os.Stat(dir + "/runs"); err == nil {
			t.Error("a run was begun all the same")
		}
	}
	conv := builder.Conv2D{Filters: 16, Kernel: builder.Square(3)}
	writeNetwork(t, dir, conv, builder.ReLU{}, conv, builder.ReLU{}, builder.GlobalAvgPool{},
		builder.Flatten{}, builder.Dense{Units: 10})
	code, out, errs := runTrain(t, bf16()...)
	if code != cli.ExitOK || !strings.Contains(out, ", bf16, ") ||
		!strings.Contains(out, ", device cpu,") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if config := string(read(t, dir+"/runs/tiny/config.json")); !strings.Contains(config,
		`"precision": "bf16"`) {
		t.Errorf("the run's record is %s", config)
	}
	if code, out, errs := runTrain(t, bf16("-find-lr", "-find-steps", "3")...); code != cli.ExitOK {
		t.Errorf("-find-lr: exit %d: %s%s", code, out, errs)
	}
	resume := []string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2", "-device",
		"cpu"}
	t.Run("resumed without", func(t *testing.T) {
		t.Setenv(kernel.EnvironmentVariable, "portable")
		before := read(t, dir+"/runs/tiny/config.json")
		code, _, errs := runTrain(t, resume...)
		if code != cli.ExitFailure || !strings.Contains(errs, cannot) ||
			!strings.Contains(errs, "and -init gives it the weights of this one") {
			t.Errorf("exit %d: %s", code, errs)
		}
		if !bytes.Equal(read(t, dir+"/runs/tiny/config.json"), before) {
			t.Error("the run's record is another")
		}
	})
	if code, out, errs := runTrain(t, resume...); code != cli.ExitOK ||
		!strings.Contains(out, ", bf16, ") || strings.Contains(out, "not bit for bit") {
		t.Errorf("resumed: exit %d: %s%s", code, out, errs)
	}
}

// Where a run in bf16 goes on by other arithmetic, it is told so.
func TestARunInBF16ThatMoves(t *testing.T) {
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	config := train.Config{Precision: train.PrecisionBF16, Epochs: 2}
	trainer, err := train.New(network, datasettest.Digits(t, 20), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	for set, want := range map[string]string{trainer.KernelSet(): "", "": "computed on a GPU"} {
		was := &train.Checkpoint{Config: trainer.Config(), KernelSet: set}
		if note := movedInBF16(was, trainer); !strings.Contains(note, want) || (note == "") != (want == "") {
			t.Errorf("from the kernels %q: %q, want %q", set, note, want)
		}
		was.Progress = train.Progress{Epochs: 2, History: train.History{{Epoch: 1}, {Epoch: 2}}}
		if note := movedInBF16(was, trainer); note != "" {
			t.Errorf("a run that is done: %q", note)
		}
	}
}

// make gpu-test runs the tests of this package that have CUDA in their names: another one that
// needs the simulator would be skipped wherever it runs.
func TestTestsOnTheSimulatorNameCUDA(t *testing.T) {
	files, err := filepath.Glob("*_gpu_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(source, -1) {
			if name := string(found[1]); !strings.Contains(name, "CUDA") {
				t.Errorf("%s: make gpu-test does not run %s", file, name)
			}
		}
	}
}
