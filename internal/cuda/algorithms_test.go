//go:build gpu && linux && amd64

package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cuda/simulator"
	"slipway/internal/datasettest"
	"slipway/train"
)

// searches counts the simulator's calls that measure algorithms.
func searches() (n int) {
	for _, pass := range []string{"Forward", "BackwardFilter", "BackwardData"} {
		n += simulated.Calls("cudnnFindConvolution" + pass + "AlgorithmEx")
	}
	return n
}

var convolutionNote = regexp.MustCompile(`(?m)^convolution (\d+ \d+) `)

// computedBy fits the small network and returns which algorithms its convolutions had, by pass and
// number, and the weights.
func computedBy(t *testing.T, g *gpu, precision string) (algorithms []string, learned builder.Weights) {
	t.Helper()
	return computedFor(t, g, smallNetwork(t), precision)
}

// computedFor is computedBy of another network.
func computedFor(t *testing.T, g *gpu, network *builder.Network, precision string) (
	algorithms []string, learned builder.Weights) {
	t.Helper()
	config := smallConfig()
	config.Device, config.Precision = g, precision
	simulated.Trace(true)
	trainer, err := train.New(network, datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	for _, found := range convolutionNote.FindAllStringSubmatch(simulated.Traced(), -1) {
		algorithms = append(algorithms, found[1])
	}
	simulated.Trace(false)
	slices.Sort(algorithms)
	return slices.Compact(algorithms), trainer.Weights()
}

func recordOf(t *testing.T, path string) (r record) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is measured once is kept: a run by the same file has the same algorithms and bits, whatever is
// fastest then, and measures nothing. An algorithm that adds up in any order is not taken.
func TestMeasuredAlgorithmsAreKept(t *testing.T) {
	needSimulator(t)
	path := filepath.Join(t.TempDir(), "algorithms.json")
	t.Setenv(AlgorithmsVariable, path)
	g := openDevice(t)
	if want := ", convolutions as measured in " + path + ")"; !strings.HasSuffix(g.String(), want) {
		t.Errorf("the device is %s, want it to end in %s", g, want)
	}
	simulated.Algorithm(simulator.Forward, 0, 0.5)
	simulated.Algorithm(simulator.FilterGradient, 5, 0.9) // 0 and 3 are faster, in any order
	by, want := computedBy(t, g, "")
	if fmt.Sprint(by) != "[0 0 1 5]" {
		t.Errorf("convolutions were computed by %q", by)
	}
	measured := searches()
	first := recordOf(t, path)
	if measured != len(first.Convolutions) || measured == 0 ||
		first.Device != "simulated, compute capability 8.0" || first.CUDNN != dnnVersion() {
		t.Errorf("%d searches, and recorded is %+v", measured, first)
	}
	dw, ok := first.Convolutions["dw of 8×1×6×6 by 3×1×3×3 in float32"]
	if !ok || dw.Algorithm != "WINOGRAD_NONFUSED" || dw.Math != "FMA" || !(dw.Microseconds > 0) {
		t.Errorf("dw is recorded as %+v in %+v", dw, first.Convolutions)
	}
	simulated.Algorithm(simulator.Forward, 0, 5)
	simulated.Algorithm(simulator.FilterGradient, 5, 5)
	again, weights := computedBy(t, g, "")
	if fmt.Sprint(again) != fmt.Sprint(by) || searches() != measured {
		t.Errorf("by the same file convolutions were computed by %q, with %d searches more", again,
			searches()-measured)
	}
	compareBits(t, "by the same file", weights, want)
}

// Without the file nothing is measured, and the first choice computes each of the three passes.
func TestNothingIsMeasuredUnasked(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	simulated.Algorithm(simulator.Forward, 0, 0.5)
	network := mustNew(t, "passes", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(2), NoBias: true}, builder.ReLU{},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(2), NoBias: true}, builder.Flatten{},
		builder.Dense{Units: 3})
	by, _ := computedFor(t, g, network, "")
	if fmt.Sprint(by) != "[0 1 1 1 2 1]" || searches() != 0 {
		t.Errorf("convolutions were computed by %q, after %d searches", by, searches())
	}
}

// Where cuDNN does not support the first choice, the next by its heuristics that is deterministic
// computes the same; where there is none, the error names the convolution.
func TestAnAlgorithmThatIsNotSupported(t *testing.T) {
	needSimulator(t)
	for _, searched := range []bool{false, true} {
		t.Run(fmt.Sprintf("measured=%t", searched), func(t *testing.T) {
			if searched {
				t.Setenv(AlgorithmsVariable, filepath.Join(t.TempDir(), "algorithms.json"))
			}
			g := openDevice(t)
			_, want := computedBy(t, g, "")
			simulated.Algorithm(simulator.Forward, 1, 0)
			simulated.Algorithm(simulator.FilterGradient, 1, 0)
			if searched {
				g.algorithms.Convolutions = make(map[string]recordedAlgorithm)
				if err := os.Remove(g.algorithms.path); err != nil {
					t.Fatal(err)
				}
			}
			by, weights := computedBy(t, g, "")
			if fmt.Sprint(by) != "[0 7 1 5]" {
				t.Errorf("convolutions were computed by %q", by)
			}
			for i := range want {
				if e := relativeError(weights[i].Data, want[i].Data); e > 1e-6 {
					t.Errorf("%s is %.2g of its largest off", want[i].Name, e)
				}
			}
		})
	}
	g := openDevice(t)
	for _, number := range []int{1, 2, 5, 6} { // 0 and 3 are left, in any order
		simulated.Algorithm(simulator.FilterGradient, number, 0)
	}
	config := smallConfig()
	config.Device = g
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	const wanted = "dw of 8×1×6×6 by 3×1×3×3: none of the 7 algorithms that cuDNN names is deterministic"
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err == nil ||
		!strings.Contains(err.Error(), wanted) || !strings.Contains(err.Error(), "CUDNN_STATUS_NOT_SUPPORTED") {
		t.Errorf("Fit returned %v, want %s", err, wanted)
	}
}

// In TF32 what was measured is recorded with its math type, apart from float32's.
func TestMeasuredAlgorithmsInTF32(t *testing.T) {
	needSimulator(t)
	path := filepath.Join(t.TempDir(), "algorithms.json")
	t.Setenv(AlgorithmsVariable, path)
	g := openDevice(t)
	simulated.TF32(true)
	_, want := computedBy(t, g, train.PrecisionTF32)
	kept := recordOf(t, path).Convolutions
	forward := kept["forward of 8×1×6×6 by 3×1×3×3 in TF32"]
	if forward.Algorithm != "IMPLICIT_PRECOMP_GEMM" || forward.Math != "DEFAULT" {
		t.Errorf("forward is recorded as %+v in %+v", forward, kept)
	}
	if simulated.Calls("TF32 cudnnConvolutionForward") == 0 {
		t.Error("no convolution was computed in TF32")
	}
	_, again := computedBy(t, g, train.PrecisionTF32)
	compareBits(t, "again", again, want)
}

// A file that is none, of another device, or with what no run can be repeated with, is refused by its
// name; one that cannot be written ends the run in an error.
func TestFilesOfAlgorithmsThatAreRefused(t *testing.T) {
	needSimulator(t)
	const dw = "dw of 8×1×6×6 by 3×1×3×3 in float32"
	by := func(device, algorithm, math string) string {
		return fmt.Sprintf(`{"device":%q,"cudnn":%q,"convolutions":{%q:{"algorithm":%q,"math":%q,`+
			`"microseconds":1}}}`, device, dnnVersion(), dw, algorithm, math)
	}
	whole := func(device, algorithm string) string { return by(device, algorithm, "FMA") }
	const here = "simulated, compute capability 8.0"
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "is no file of measured algorithms"},
		"something":     {`{"epochs": 3}`, "is no file of measured algorithms"},
		"other device":  {whole("X", "ALGO_1"), "was measured on X with cuDNN"},
		"in any order":  {whole(here, "ALGO_0"), "ALGO_0 FMA for " + dw + ", which is no algorithm that a run"},
		"in TF32":       {by(here, "ALGO_1", "DEFAULT"), "ALGO_1 DEFAULT for " + dw + ", which is no algorithm that a run"},
		"unknown":       {whole(here, "MAGIC"), "MAGIC FMA for " + dw + ", which is no algorithm that a run"},
		"not supported": {whole(here, "WINOGRAD"), "cudnnGetConvolutionBackwardFilterWorkspaceSize: CUDNN_STATUS_NOT_SUPPORTED"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "algorithms.json")
			if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
				t.Fatal(err)
			}
			refusal(t, path, test.want)
		})
	}
	refusal(t, filepath.Join(t.TempDir(), "none", "algorithms.json"), "no such file or directory")
	refusal(t, t.TempDir(), "is a directory")
}

// refusal expects an error that names the variable and says that, of the device or of a run.
func refusal(t *testing.T, path, want string) {
	t.Helper()
	t.Setenv(AlgorithmsVariable, path)
	simulated.Reset()
	device, err := Open()
	if err == nil {
		config := smallConfig()
		config.Device = device
		trainer, made := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if made != nil {
			t.Fatal(made)
		}
		err = trainer.Fit(t.Context(), train.Callbacks{})
		trainer.Close()
		if closed := device.Close(); closed != nil {
			t.Error(closed)
		}
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), AlgorithmsVariable) {
		t.Errorf("%s: %v, want %s and %s", path, err, AlgorithmsVariable, want)
	}
	checkSimulator(t)
}

// A search that fails, or is out of memory, ends in an error that names the convolution.
func TestFaultsOfSearches(t *testing.T) {
	needSimulator(t)
	t.Setenv(AlgorithmsVariable, filepath.Join(t.TempDir(), "algorithms.json"))
	g := openDevice(t)
	simulated.Fail("cudnnFindConvolutionBackwardFilterAlgorithmEx", 1, 5000, false)
	config := smallConfig()
	config.Device = g
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	const want = "measure the algorithms of dw of 8×1×6×6 by 3×1×3×3 in float32: cudnnFindConvolution"
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Fit returned %v, want %s", err, want)
	}
}

// Each convolution of the networks that gpu-check measures, with all that cuDNN finds for it: gpu-check
// reads what is logged, a line a convolution.
func TestEachAlgorithm(t *testing.T) {
	g := openDevice(t)
	batches := []int{32, 128}
	kinds := []arithmetic{float32s}
	if g.CheckTF32() == nil {
		kinds = append(kinds, tf32)
	}
	if simulated != nil {
		simulated.TF32(true)
		simulated.Shallow(true)
		defer simulated.Shallow(false)
		batches = []int{2}
	}
	seen := make(map[string]bool)
	for _, batch := range batches {
		for _, name := range []string{"E1", "E2", "ResNet-20"} {
			network, config, set := predicted(t, name, batch)
			s := openSession(t, g, network, config, set).(*session)
			var convolutions []*legacyConvolution
			if err := g.thread.do(func() error {
				if _, err := s.trainingProgram(batch); err != nil {
					return err
				}
				convolutions = s.passes[batch].machine.convolutions
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(convolutions) == 0 {
				t.Errorf("%s has no convolution", name)
			}
			for _, c := range convolutions {
				if seen[c.label] {
					continue
				}
				seen[c.label] = true
				logAlgorithms(t, g, name, c, kinds)
			}
		}
	}
}

func logAlgorithms(t *testing.T, g *gpu, network string, c *legacyConvolution, kinds []arithmetic) {
	t.Helper()
	var told []string
	serves := make(map[arithmetic]bool)
	if err := g.thread.do(func() error {
		for _, in := range kinds {
			if err := c.setMath(mathOf(in)); err != nil {
				return err
			}
			found, err := c.measured(pool{gpu: g})
			if err != nil {
				return err
			}
			for _, f := range found {
				if in == float32s || mathNames[f.math] != "FMA" { // those were told before
					told = append(told, c.told(f))
				}
				serves[in] = serves[in] || f.serves(in)
			}
		}
		return c.setMath(mathOf(float32s))
	}); err != nil {
		t.Fatalf("%s: %s: %v", network, c.label, err)
	}
	t.Logf("found: %s (%s): %s", c.label, network, strings.Join(told, "; "))
	for _, in := range kinds {
		if !serves[in] {
			t.Errorf("%s: %s: none of what cuDNN found serves in %v", network, c.label, in)
		}
	}
}
