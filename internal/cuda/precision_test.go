//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/train"
)

// everyProduct returns a network with a convolution for each way in which there is one, dense
// layers that cuBLAS computes, and their gradients. A last layer of at most 16 outputs is computed
// with the loss, by no library.
func everyProduct(t *testing.T, outputs int) *builder.Network {
	t.Helper()
	square := builder.Square
	return mustNew(t, "products", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 6, Kernel: square(3)}, builder.ReLU{}, // the graph API, strict
		builder.Conv2D{Filters: 6, Kernel: square(2)}, // the graph API, with a mean behind it
		builder.AvgPool2D{Kernel: square(2), Stride: square(1)},
		builder.Conv2D{Filters: 8, Kernel: square(3), Groups: 2, Padding: square(1)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: square(2)}, // the legacy call
		builder.Flatten{}, builder.Dense{Units: 40}, builder.ReLU{}, builder.Dense{Units: outputs})
}

// Of products that are to be in TF32 all are, by whatever call, and of the others none. What they
// come to is off by about what TF32 rounds.
func TestProductsInTF32(t *testing.T) {
	needSimulator(t)
	calls := []string{"cudnnConvolutionForward", "cudnnConvolutionBackwardFilter",
		"cudnnConvolutionBackwardData", "cudnnBackendExecute", "cublasGemmEx"}
	graph := plainGraph(t, everyProduct(t, 20), train.Config{Seed: 4}, 5)
	gradients := make(map[arithmetic][][]float32)
	for _, in := range []arithmetic{float32s, tf32} {
		t.Run(in.String(), func(t *testing.T) {
			g := openDevice(t)
			simulated.TF32(in == tf32)
			machine := compiledIn(t, g, graph, in)
			launched := make(map[string]int)
			for _, l := range machine.launches {
				launched[l.name]++
			}
			if err := machine.RunAll(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%q", forwards(machine))
			for _, call := range calls {
				want := 0
				if in == tf32 {
					if want = launched[call]; want == 0 {
						t.Errorf("there is no %s", call)
					}
				}
				if got := simulated.Calls("TF32 " + call); got != want {
					t.Errorf("%d of %d launches of %s were in TF32, want %d", got, launched[call], call, want)
				}
			}
			if n := launched["cublasSgemm"]; in == tf32 && n > 0 {
				t.Errorf("%d products are in float32", n)
			}
			for _, node := range graph.Gradients {
				values, err := machine.Float32s(node)
				if err != nil {
					t.Fatal(err)
				}
				gradients[in] = append(gradients[in], values)
			}
		})
	}
	// A value is rounded by at most 2⁻¹¹ of itself; a gradient goes through ten products.
	const least, most = 1e-6, 20.0 / (1 << 11)
	for i, node := range graph.Gradients {
		e := relativeError(gradients[tf32][i], gradients[float32s][i])
		t.Logf("%s is %.2g of its largest value off", nodeName(node), e)
		if e < least || e > most {
			t.Errorf("%s is %g of its largest value off, want %g to %g", nodeName(node), e, least, most)
		}
	}
}

// An engine without tensor cores is passed over for the legacy call, which has them, and so is one
// that notes more of its arithmetic.
func TestPlansInTF32(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		first builder.Conv2D
		want  string
	}{
		{builder.Conv2D{Filters: 6, Kernel: builder.Square(3)},
			"cudnnBackendExecute: cuDNN's engine 52"},
		{builder.Conv2D{Filters: 6, Kernel: builder.Square(3),
			Stride: builder.Size{Height: 2, Width: 1}}, "cudnnConvolutionForward: none of the 4 " +
			"engines that cuDNN offers is deterministic in TF32"},
	} {
		t.Run(test.want, func(t *testing.T) {
			g := openDevice(t)
			simulated.TF32(true)
			graph := plainGraph(t, mustPlanned(t, test.first), train.Config{Seed: 4}, 3)
			how := forwards(compiledIn(t, g, graph, tf32))
			if want := "cudnnBackendExecute: cuDNN's engine 51"; len(how) != 2 ||
				how[0] != test.want || how[1] != want {
				t.Errorf("%q, want %q and %q", how, test.want, want)
			}
		})
	}
}

// The simulator rounds what is multiplied to 10 bits, to an even one of two that are as near, and
// what it adds up to no less than float32.
func TestTheSimulatorRoundsToTF32(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	simulated.TF32(true)
	const bit = 1.0 / (1 << 10) // the last of TF32 behind 1
	for _, test := range []struct{ value, want float32 }{
		{1, 1}, {1 + bit, 1 + bit}, {1 + bit/2, 1}, {1 + 3*bit/2, 1 + 2*bit}, {1 + bit/2 + bit/512, 1 + bit},
		{-1 - 3*bit/2, -1 - 2*bit}, {2 - bit/4, 2}, {float32(math.Inf(-1)), float32(math.Inf(-1))},
		{math.MaxFloat32, float32(math.Inf(1))},
	} {
		for in, want := range map[arithmetic]float32{float32s: test.value, tf32: test.want} {
			if got := productOf(t, g, in, test.value); got != want {
				t.Errorf("%v·1 in %v is %v, want %v", test.value, in, got, want)
			}
		}
	}
	if got := productOf(t, g, tf32, float32(math.NaN())); got == got {
		t.Errorf("NaN·1 is %v", got)
	}
}

// productOf returns value·1, computed on the device.
func productOf(t *testing.T, g *gpu, in arithmetic, value float32) float32 {
	t.Helper()
	memory, got := pool{gpu: g}, make([]float32, 1)
	if err := g.thread.do(func() error {
		all, err := memory.allocateFloats("three matrices", 3)
		if err != nil {
			return err
		}
		a, b, c := all.part(0, 4), all.part(4, 4), all.part(8, 4)
		err = errors.Join(upload(g, a, []float32{value}), upload(g, b, []float32{1}),
			product(g.blas, in, plain, plain, 1, 1, 1, a, 1, b, 1, c, 1), download(g, got, c))
		return errors.Join(err, memory.free())
	}); err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// A run in TF32 learns almost what one in float32 does, the same bits each time, and is evaluated in
// float32: what it is judged by is what the exported model answers.
func TestARunInTF32(t *testing.T) {
	network, set := everyProduct(t, 3), datasettest.Bars(t, 60)
	var losses []float64
	var bits []builder.Weights
	for _, precision := range []string{"", train.PrecisionTF32, train.PrecisionTF32} {
		t.Run(precision, func(t *testing.T) {
			config := smallConfig()
			config.Epochs, config.Device, config.Precision = 4, openDevice(t), precision
			if simulated != nil {
				simulated.TF32(precision == train.PrecisionTF32)
			}
			trainer, err := train.New(network, set, config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			history, before := trainer.Progress().History, calledInTF32()
			losses = append(losses, history[len(history)-1].MeanLoss)
			bits = append(bits, trainer.Weights())
			if _, err := trainer.Evaluate(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			if after := calledInTF32(); after != before {
				t.Errorf("%d products of an evaluation are in TF32", after-before)
			}
		})
	}
	if !reflect.DeepEqual(bits[1], bits[2]) || losses[1] != losses[2] {
		t.Errorf("two runs come to the losses %v, and other weights", losses[1:])
	}
	off := math.Abs(losses[1]-losses[0]) / losses[0]
	t.Logf("the last mean loss is %v in float32 and %v in TF32, %.2g off", losses[0], losses[1], off)
	if off > 1e-2 || simulated != nil && off < 1e-6 {
		t.Errorf("the last mean loss is %g off that of float32, want 1e-6 to 1e-2", off)
	}
}

// calledInTF32 returns how many products the simulator has computed in TF32.
func calledInTF32() (n int) {
	if simulated == nil {
		return 0
	}
	for _, call := range []string{"cudnnConvolutionForward", "cudnnBackendExecute", "cublasGemmEx"} {
		n += simulated.Calls("TF32 " + call)
	}
	return n
}

// Before compute capability 8.0 the libraries would compute in float32 without a word.
func TestTF32NeedsTensorCoresThatHaveIt(t *testing.T) {
	for capability, refused := range map[string]bool{
		"7.5": true, "8.0": false, "8.9": false, "10.0": false, "12.0": false, "": true} {
		g := &gpu{info: DeviceInfo{Capability: capability}}
		err := g.CheckTF32()
		if (err != nil) != refused {
			t.Errorf("capability %q: %v", capability, err)
		}
	}
	needSimulator(t)
	simulated.Reset()
	simulated.Capability(75)
	device, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := device.Close(); err != nil {
			t.Error(err)
		}
	}()
	config := smallConfig()
	config.Device, config.Precision = device, train.PrecisionTF32
	const want = "TF32 needs compute capability 8.0 or newer, this GPU has 7.5"
	if _, err := config.WithDefaults(everyProduct(t, 3)); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
