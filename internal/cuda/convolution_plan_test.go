//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/ops"
	"slipway/train"
)

// mustPlanned returns a network of two convolutions: with a ReLU behind the first, and without one
// behind the second, whose bias nothing but cuDNN adds.
func mustPlanned(t testing.TB, first builder.Conv2D) *builder.Network {
	t.Helper()
	return mustNew(t, "planned", builder.Shape{4, 9, 8}, first, builder.ReLU{},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(2)},
		builder.AvgPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
}

// compiled returns the machine of a network's training graph.
func compiled(t *testing.T, g *gpu, graph *train.LossGraph) *Machine {
	t.Helper()
	return compiledIn(t, g, graph, float32s)
}

// compiledIn is compiled, with products in that arithmetic.
func compiledIn(t *testing.T, g *gpu, graph *train.LossGraph, in arithmetic) *Machine {
	t.Helper()
	var machine *Machine
	if err := g.thread.do(func() (err error) {
		machine, err = newMachine(g, machineOptions{
			Wanted:   append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...),
			Products: in, Images: graph.Input,
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	return machine
}

// forwards returns how each convolution is computed, in order.
func forwards(m *Machine) (all []string) {
	for _, l := range m.launches {
		if l.name == "cudnnBackendExecute" || l.name == "cudnnConvolutionForward" {
			all = append(all, l.name+": "+l.how)
		}
	}
	return all
}

// A convolution with a bias is one call of cuDNN's graph API where that has an engine for it, with
// the ReLU behind it; which, or why not, is noted. Each is that of Gorgonia's TapeMachine.
func TestConvolutionsByTheGraphAPI(t *testing.T) {
	square := builder.Square
	const graphAPI, legacy = "cudnnBackendExecute", "cudnnConvolutionForward"
	for _, test := range []struct {
		name      string
		first     builder.Conv2D
		off       bool
		simulated string // of the first convolution
	}{
		{"plain", builder.Conv2D{Filters: 6, Kernel: square(3)}, false, graphAPI + ": cuDNN's engine 0"},
		{"oblong", builder.Conv2D{Filters: 6, Kernel: builder.Size{Height: 3, Width: 2},
			Padding: builder.Size{Height: 1, Width: 0}}, false, graphAPI + ": cuDNN's engine 0"},
		{"groups", builder.Conv2D{Filters: 6, Kernel: square(3), Groups: 2}, false, graphAPI},
		{"strides", builder.Conv2D{Filters: 6, Kernel: square(3),
			Stride: builder.Size{Height: 2, Width: 1}}, false, graphAPI + ": cuDNN's engine 0"},
		{"dilation", builder.Conv2D{Filters: 6, Kernel: square(2),
			Dilation: builder.Size{Height: 2, Width: 3}}, false,
			legacy + ": the operation graph: cudnnBackendFinalize: CUDNN_STATUS_NOT_SUPPORTED (3000)"},
		{"off", builder.Conv2D{Filters: 6, Kernel: square(3)}, true,
			legacy + ": SLIPWAY_CUDNN_PLANS is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.off {
				t.Setenv(PlansVariable, "0")
			}
			graph := plainGraph(t, mustPlanned(t, test.first), train.Config{Seed: 4}, 3)
			t.Run("values", func(t *testing.T) { compareWithTape(t, graph, 2e-5) })
			how := forwards(compiled(t, openDevice(t), graph))
			t.Logf("%q", how)
			if len(how) != 2 {
				t.Fatalf("%d convolutions, want 2: %q", len(how), how)
			}
			if simulated != nil && !strings.HasPrefix(how[0], test.simulated) {
				t.Errorf("the first convolution is made by %q, want %q", how[0], test.simulated)
			}
			if want := graphAPI + ": cuDNN's engine 44"; simulated != nil && !test.off && how[1] != want {
				t.Errorf("the second convolution is made by %q, want %q", how[1], want)
			}
		})
	}
}

// Where the ReLU of a plan hid that a weight is not a number, the loss would not say so either.
func TestAPlanHidesNoNaN(t *testing.T) {
	graph := plainGraph(t, mustPlanned(t, builder.Conv2D{Filters: 6, Kernel: builder.Square(3)}),
		train.Config{Seed: 4}, 3)
	machine := compiled(t, openDevice(t), graph)
	weights := graph.Parameters[0].Value().Data().([]float32)
	weights[0] = float32(math.NaN())
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	for _, node := range sorted(machine.options.Wanted) {
		if kindOf(node) != ops.ReLUForward {
			continue
		}
		values, err := machine.Float32s(node)
		if err != nil {
			t.Fatal(err)
		}
		area := node.Shape()[2] * node.Shape()[3]
		for i, v := range values[:area] { // of the first filter
			if v == v {
				t.Fatalf("value %d behind the ReLU is %v, want NaN", i, v)
			}
		}
		return
	}
	t.Fatal("there is no ReLU")
}

// Whatever fails while a plan is made, the legacy call takes its place, the reason is noted, and
// nothing is left of the plan. Without the heuristics there are still the engines to fall back to.
func TestAFailedPlanFallsBack(t *testing.T) {
	needSimulator(t)
	network := mustPlanned(t, builder.Conv2D{Filters: 6, Kernel: builder.Square(3)})
	const legacy = "cudnnConvolutionForward: "
	for _, test := range []struct {
		call  string
		after int
		want  string
	}{
		{"cudnnBackendCreateDescriptor", 1,
			legacy + "x: cudnnBackendCreateDescriptor: CUDNN_STATUS_EXECUTION_FAILED"},
		{"cudnnBackendSetAttribute", 3, legacy + "x: cudnnBackendSetAttribute"},
		{"cudnnBackendFinalize", 5, legacy + "y: cudnnBackendFinalize"},
		{"cudnnBackendFinalize", 13, legacy + "the operation graph: cudnnBackendFinalize"},
		{"cudnnBackendFinalize", 14, "cudnnBackendExecute: cuDNN's engine 0"}, // the heuristics
	} {
		t.Run(fmt.Sprint(test.call, test.after), func(t *testing.T) {
			g := openDevice(t)
			graph := plainGraph(t, network, train.Config{Seed: 4}, 3)
			simulated.Fail(test.call, test.after, errorDNNExecution, false)
			how := forwards(compiled(t, g, graph))
			if len(how) != 2 || !strings.HasPrefix(how[0], test.want) {
				t.Errorf("%q, want the first to be made by %q", how, test.want)
			}
		})
	}
}

// A plan runs once by itself, is captured with the step, and is not called again. A run with plans
// has the native engine's history, and the same bits each time.
func TestPlansAreCaptured(t *testing.T) {
	network := mustNew(t, "captured", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
	fitted := func(t *testing.T, config train.Config) *train.Trainer {
		trainer, err := train.New(network, datasettest.Bars(t, 64), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(trainer.Close)
		if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	config := smallConfig()
	native := fitted(t, config).Progress().History
	var bits []builder.Weights
	for range 2 {
		t.Run("on the device", func(t *testing.T) {
			config.Device = openDevice(t)
			trainer := fitted(t, config)
			bits = append(bits, trainer.Weights())
			for i, got := range trainer.Progress().History {
				if want := native[i].MeanLoss; math.Abs(got.MeanLoss-want) > 1e-4*math.Abs(want) {
					t.Errorf("epoch %d: %v, the native engine has %v", i+1, got.MeanLoss, want)
				}
			}
			// Two convolutions, in the first step and in the capture of the second.
			if calls := 4; simulated != nil && simulated.Calls("cudnnBackendExecute") != calls {
				t.Errorf("%d calls in 24 steps, want %d", simulated.Calls("cudnnBackendExecute"), calls)
			}
		})
	}
	if !reflect.DeepEqual(bits[0], bits[1]) {
		t.Error("two runs have other weights")
	}
}

// A plan that fails while it runs is named.
func TestAPlanThatFailsIsNamed(t *testing.T) {
	needSimulator(t)
	graph := plainGraph(t, mustPlanned(t, builder.Conv2D{Filters: 6, Kernel: builder.Square(3)}),
		train.Config{Seed: 4}, 3)
	machine := compiled(t, openDevice(t), graph)
	simulated.Fail("cudnnBackendExecute", 2, errorDNNExecution, false)
	const want = "cudnnBackendExecute: CUDNN_STATUS_EXECUTION_FAILED (5000)"
	if err := machine.RunAll(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The simulator knows a graph that is wrong, as the real cuDNN does (TestRealGraphAPIRefuses).
func TestGraphsThatAreRefused(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	if err := g.thread.do(func() error { testGraphsThatAreRefused(t); return nil }); err != nil {
		t.Fatal(err)
	}
	if simulated.Violations() == "" {
		t.Error("the simulator saw nothing wrong")
	}
	simulated.Reset()
}

func testGraphsThatAreRefused(t *testing.T) {
	t.Helper()
	good := realConvolutions()["3x3"]
	good.rectifier = true
	for name, change := range map[string]func(f *fusedConvolution){
		"an output that is too small": func(f *fusedConvolution) { f.y = tensor.Shape{8, 24, 31, 32} },
		"an output of other images":   func(f *fusedConvolution) { f.y = tensor.Shape{7, 24, 32, 32} },
		"an output of other filters":  func(f *fusedConvolution) { f.y = tensor.Shape{8, 25, 32, 32} },
		"a dimension of 0":            func(f *fusedConvolution) { f.x = tensor.Shape{8, 16, 0, 32} },
		"a stride of 0":               func(f *fusedConvolution) { f.window.StrideWidth = 0 },
		"a negative padding":          func(f *fusedConvolution) { f.window.PaddingHeight = -1 },
		"a dilation of 0":             func(f *fusedConvolution) { f.dilationHeight = 0 },
	} {
		changed, d := good, new(descriptors)
		change(&changed)
		changed.operations(d)
		if d.err == nil || !strings.Contains(d.err.Error(), "CUDNN_STATUS_BAD_PARAM") {
			t.Errorf("%s: %v, want CUDNN_STATUS_BAD_PARAM", name, d.err)
		}
		t.Logf("%s: %v", name, d.err)
		if err := d.destroy(); err != nil {
			t.Error(err)
		}
	}
	d := new(descriptors)
	defer func() {
		if err := d.destroy(); err != nil {
			t.Error(err)
		}
	}()
	x := d.tensor("x", identityX, good.x, false)
	if d.err != nil {
		t.Fatal(d.err)
	}
	if d.finalize("x", x); d.err == nil {
		t.Error("a tensor is finalized twice")
	}
}
