//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cuda/simulator"
	"slipway/internal/datasettest"
	"slipway/internal/ops"
	"slipway/train"
)

// dense returns a network of dense layers of so many outputs each, with a ReLU between two of them.
func dense(t testing.TB, inputs int, units ...int) *builder.Network {
	t.Helper()
	var layers []builder.Layer
	for i, n := range units {
		if i > 0 {
			layers = append(layers, builder.ReLU{})
		}
		layers = append(layers, builder.Dense{Units: n})
	}
	name := fmt.Sprint("dense-", inputs)
	for _, n := range units {
		name += fmt.Sprint("-", n)
	}
	return mustNew(t, name, builder.Shape{inputs}, layers...)
}

// products returns how each product of dense layers forward is computed, in order.
func products(m *Machine) (all []string) {
	for _, l := range m.launches {
		if strings.HasPrefix(l.name, "cublas") && !strings.Contains(l.of, "Gradient") {
			all = append(all, l.name+": "+l.how)
		}
	}
	return all
}

// launchCount is how many launches a machine has, and how many of them add a bias.
type launchCount struct{ all, biases int }

// compiledProducts is products of a graph, and how many launches it has, on a device of its own.
func compiledProducts(t *testing.T, name string, graph *train.LossGraph) (all []string,
	count launchCount) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		machine := compiled(t, openDevice(t), graph)
		all, count.all = products(machine), len(machine.launches)
		for _, l := range machine.launches {
			if l.name == "cudnnAddTensor" || l.name == "bias_relu" {
				count.biases++
			}
		}
		t.Logf("%+v launches, products %q", count, all)
	})
	return all, count
}

// A dense layer with its bias is one launch of cuBLASLt's, with the ReLU behind it, of any shape;
// its values, and all gradients, are those of Gorgonia's TapeMachine, and of cuBLAS.
func TestDenseLayersByCuBLASLt(t *testing.T) {
	const light = "cublasLtMatmul: cuBLASLt's algorithm "
	for _, test := range []struct {
		network *builder.Network
		light   int // of the products, of which the last one's bias is the loss's
		back    int // of the gradients of weights
		batches []int
	}{
		{dense(t, 5, 8, 4, 20), 2, 0, []int{1, 3, 70}},
		{dense(t, 1, 1, 1, 17), 2, 0, []int{1, 2}}, // one input, one output
		{dense(t, 37, 1, 31, 19), 2, 0, []int{1, 7, 33}},
		{dense(t, 64, 129, 3, 18), 2, 0, []int{1, 32}},
		{mustNew(t, "tanh", builder.Shape{6}, builder.Dense{Units: 7}, builder.Tanh{},
			builder.Dense{Units: 5}, builder.Sigmoid{}, builder.Dense{Units: 21}), 2, 2, []int{1, 9}},
		{mustNew(t, "dropout", builder.Shape{6}, builder.Dense{Units: 7}, builder.ReLU{},
			builder.Dropout{P: 0.3}, builder.Dense{Units: 20}), 0, 0, []int{1, 9}},
	} {
		for _, batch := range test.batches {
			t.Run(fmt.Sprintf("%s/%d", test.network.Name(), batch), func(t *testing.T) {
				graph := plainGraph(t, test.network, train.Config{Seed: 4}, batch)
				t.Run("values", func(t *testing.T) { compareWithTape(t, graph, 2e-5) })
				how, with := compiledProducts(t, "with", graph)
				n := 0
				for _, h := range how {
					if strings.HasPrefix(h, light) {
						n++
					}
				}
				if simulated != nil && n != test.light {
					t.Errorf("%d products are by cuBLASLt, want %d: %q", n, test.light, how)
				}
				t.Setenv(EpiloguesVariable, "0")
				why, without := compiledProducts(t, "without", graph)
				for i, h := range why {
					if want := "cublasSgemm: " + EpiloguesVariable + " is 0"; how[i] != h && h != want {
						t.Errorf("product %d without cuBLASLt is %q, want %q", i, h, want)
					}
				}
				if simulated != nil && without.all-with.all != n+test.back ||
					without.biases-with.biases != n {
					t.Errorf("%+v launches, and %+v without cuBLASLt: want %d fewer, and %d back", with,
						without, n, test.back)
				}
			})
		}
	}
}

// behindReLUs returns what comes out of each ReLU that has memory, whatever asks for it.
func behindReLUs(t *testing.T, m *Machine) (all [][]float32) {
	t.Helper()
	for _, node := range sorted(m.options.Wanted) {
		if kindOf(node) != ops.ReLUForward || m.fusion.hidden[node] {
			continue
		}
		values, err := m.Float32s(node)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values)
	}
	return all
}

// A NaN goes through the ReLU of a product, wherever it comes from. Where all of cuBLASLt's ReLUs
// hide it, none is taken; where some do, the first that does not is.
func TestAnEpilogueHidesNoNaN(t *testing.T) {
	for _, hides := range []bool{false, true} {
		for parameter, of := range []string{"weight", "bias"} {
			t.Run(fmt.Sprintf("all=%t/%s", hides, of), func(t *testing.T) {
				g := openDevice(t)
				want := "cublasLtMatmul: cuBLASLt's algorithm 13"
				if simulated != nil {
					simulated.HidesNaN(hides)
				}
				if hides {
					needSimulator(t)
					want = "cublasSgemm: none of the 3 algorithms that cuBLASLt offers will do: " +
						"the ReLU of algorithm 13 makes 0 of NaN"
				}
				graph := plainGraph(t, dense(t, 5, 8, 4, 20), train.Config{Seed: 4}, 3)
				machine := compiled(t, g, graph)
				how := products(machine)
				t.Logf("%q", how)
				if simulated != nil && how[0] != want {
					t.Errorf("the first product is %q, want %q", how[0], want)
				}
				values := graph.Parameters[parameter].Value().Data().([]float32)
				values[0] = float32(math.NaN())
				if err := machine.RunAll(); err != nil {
					t.Fatal(err)
				}
				for i, v := range behindReLUs(t, machine)[0] {
					if i%8 == 0 && v == v {
						t.Errorf("value %d behind the ReLU is %v, want NaN", i, v)
					}
				}
			})
		}
	}
}

// Whatever fails while a plan is made, cuBLAS computes the product, the reason is noted, and
// nothing is left of the plan; the values are the same.
func TestAFailedEpilogueFallsBack(t *testing.T) {
	needSimulator(t)
	graph := plainGraph(t, dense(t, 5, 8, 4, 20), train.Config{Seed: 4}, 3)
	compute := func(t *testing.T, g *gpu) (values [][]float32, how []string) {
		machine := compiled(t, g, graph)
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		how = products(machine)
		return behindReLUs(t, machine), how
	}
	var want [][]float32
	t.Run("nothing", func(t *testing.T) { want, _ = compute(t, openDevice(t)) })
	for call, most := range map[string]int{"cublasLtMatmulDescCreate": 1,
		"cublasLtMatrixLayoutCreate": 3, "cublasLtMatmulDescSetAttribute": 4,
		"cublasLtMatmulPreferenceCreate": 1, "cublasLtMatmulPreferenceSetAttribute": 6,
		"cublasLtMatmulAlgoGetHeuristic": 1} {
		for after := 1; after <= most; after++ {
			t.Run(fmt.Sprint(call, after), func(t *testing.T) {
				g := openDevice(t)
				simulated.Fail(call, after, errorBLASExecution, false)
				values, how := compute(t, g)
				if !strings.HasPrefix(how[0], "cublasSgemm: ") || !strings.Contains(how[0],
					call+": CUBLAS_STATUS_EXECUTION_FAILED (13)") {
					t.Errorf("the first product is %q", how[0])
				}
				if !strings.HasPrefix(how[1], "cublasLtMatmul: ") {
					t.Errorf("the second product is %q", how[1])
				}
				for i := range want {
					if !slices.Equal(values[i], want[i]) {
						t.Errorf("ReLU %d has other values", i)
					}
				}
			})
		}
	}
	t.Run("an algorithm", func(t *testing.T) {
		g := openDevice(t)
		simulated.Fail("cublasLtMatmul", 1, errorBLASExecution, false) // 20 is tried, then 13
		if _, how := compute(t, g); how[0] != "cublasLtMatmul: cuBLASLt's algorithm 13" {
			t.Errorf("the first product is %q", how[0])
		}
	})
	t.Run("the handle", func(t *testing.T) {
		simulated.Reset()
		simulated.Fail("cublasLtCreate", 1, errorBLASExecution, false)
		device, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := device.Close(); err != nil {
				t.Error(err)
			}
			checkSimulator(t)
		})
		const why = "cublasLtCreate: CUBLAS_STATUS_EXECUTION_FAILED (13)"
		if !strings.Contains(device.String(), ", no cuBLASLt: "+why) {
			t.Errorf("%v does not say why it does without cuBLASLt", device)
		}
		if _, how := compute(t, device.(*gpu)); how[0] != "cublasSgemm: "+why {
			t.Errorf("the first product is %q", how[0])
		}
	})
}

// A call that fails in a step ends the run in an error that names it. What was tried is freed.
func TestFaultsOfAnEpilogue(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		call  string
		after int
		code  int
		want  string
	}{
		// Of two products with a ReLU each tries two algorithms.
		{"cublasLtMatmul", 5, errorBLASExecution,
			"(cuBLASLt's algorithm 13): cublasLtMatmul: CUBLAS_STATUS_EXECUTION_FAILED (13)"},
		{"cuMemsetD32Async", 1, errorLaunchFailed,
			"cuMemsetD32Async: CUDA_ERROR_LAUNCH_FAILED (719)"},
	} {
		t.Run(test.call, func(t *testing.T) {
			g := openDevice(t)
			config := smallConfig()
			config.Device = g
			network := mustNew(t, "dense", builder.Shape{1, 6, 6}, builder.Flatten{},
				builder.Dense{Units: 9}, builder.ReLU{}, builder.Dense{Units: 7}, builder.ReLU{},
				builder.Dense{Units: 20})
			trainer, err := train.New(network, datasettest.Bars(t, 64), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			simulated.Fail(test.call, test.after, test.code, false)
			if err := trainer.Fit(t.Context(), train.Callbacks{}); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// A device without the library computes, and says why it does without.
func TestWithoutCuBLASLt(t *testing.T) {
	if os.Getenv(opensChild) != "" {
		device, err := Open()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(device, Inspect().CUBLASLT)
		graph := plainGraph(t, dense(t, 5, 8, 4, 20), train.Config{Seed: 4}, 3)
		machine := compiled(t, device.(*gpu), graph)
		fmt.Println(products(machine))
		if err := machine.RunAll(); err != nil {
			t.Error(err)
		}
		return
	}
	needSimulator(t)
	for file, want := range map[string][]string{
		"/nowhere/libcublasLt.so.13": {"no cuBLASLt: /nowhere/libcublasLt.so.13: cannot open",
			"none (/nowhere/libcublasLt.so.13: cannot open", "cublasSgemm: /nowhere"},
		"libm.so.6": {"no cuBLASLt: cublasLtCreate: ", "its library lacks cublasLtCreate"},
	} {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		process.Env = append(os.Environ(), simulator.Variable+"=", "SLIPWAY_CUBLASLT="+file,
			opensChild+"=1")
		out, err := process.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: it lacks %q: %s", file, w, out)
			}
		}
	}
}
