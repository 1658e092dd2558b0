//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/cuda/simulator"
	"slipway/internal/datasettest"
	"slipway/train"
)

// besides returns the launches that are in the second stream, and how often that waits for the one
// of the steps.
func besides(launches []launch) (names []string, forks int) {
	behind := true
	for _, l := range launches {
		if l.place != beside {
			behind = true
			continue
		}
		if names = append(names, l.name); behind {
			forks++
		}
		behind = false
	}
	return names, forks
}

// computedIn runs the graph in one stream or two, and returns the values of the nodes that are
// asked for, and the launches.
func computedIn(t *testing.T, g *gpu, graph *train.LossGraph, oneStream bool) (values [][]float32,
	launches []launch) {
	t.Helper()
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	var machine *Machine
	if err := g.thread.do(func() (err error) {
		machine, err = newMachine(g, machineOptions{Wanted: wanted, OneStream: oneStream})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	launches = machine.launches
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	for _, node := range wanted {
		value, err := machine.Float32s(node)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := machine.Close(); err != nil {
		t.Fatal(err)
	}
	return values, launches
}

// sameInTwoStreams holds what the graph comes to in two streams to the bits that it comes to in
// one, by the same launches, and returns which of these are in the second.
func sameInTwoStreams(t *testing.T, graph *train.LossGraph) []string {
	t.Helper()
	g := openDevice(t)
	want, inOne := computedIn(t, g, graph, true)
	got, inTwo := computedIn(t, g, graph, false)
	for i := range want {
		of := []builder.Tensor{{Name: fmt.Sprint("value ", i), Data: got[i]}}
		compareBits(t, "in two streams", of, []builder.Tensor{{Name: of[0].Name, Data: want[i]}})
	}
	names := func(launches []launch) (all []string) {
		for _, l := range launches {
			all = append(all, l.name+" of "+l.of)
		}
		slices.Sort(all)
		return all
	}
	if one, two := names(inOne), names(inTwo); !slices.Equal(one, two) {
		t.Errorf("the launches are %q, in one stream %q", two, one)
	}
	if aside, _ := besides(inOne); len(aside) > 0 {
		t.Errorf("in one stream %q are beside it", aside)
	}
	aside, _ := besides(inTwo)
	return aside
}

// Gradients that are computed in the second stream have the bits of those in one, of every layer of
// the registry and in the families; and those of the layers that have parameters are there.
func TestTwoStreamsHaveTheBitsOfOne(t *testing.T) {
	const convolution, product = "cudnnConvolutionBackwardFilter", "cublasSgemm"
	seen := make(map[string]bool) // a launch that is beside the steps, of a kind
	for i, c := range builder.Cases() {
		kind := c.Layer.Kind()
		t.Run(fmt.Sprintf("%d-%s", i, kind), func(t *testing.T) {
			graph := plainGraph(t, behindLayers(t, c), train.Config{Seed: 4}, 3)
			for _, name := range sameInTwoStreams(t, graph) {
				seen[kind+" "+name] = true
			}
		})
	}
	wanted := []string{
		"Conv2D " + convolution, "Conv2D depthwise_weight_gradient", "Conv2D finish_sums",
		"Conv2D cudnnConvolutionBackwardBias", "Dense " + product,
		"GroupNorm product_sums", "GroupNorm finish_sums", "LayerNorm product_sums",
		"PReLU product_sums", "Scale product_sums",
	}
	if simulated != nil { // another cuBLASLt may have no algorithm for both gradients
		wanted = append(wanted, "Dense cublasLtMatmul")
	}
	for _, want := range wanted {
		if !seen[want] {
			t.Errorf("no launch of %s is in the second stream", want)
		}
	}
	for name, network := range families(t) {
		t.Run(name, func(t *testing.T) {
			penalised := train.Config{Seed: 4, ParameterPenalty: train.Penalty{L1: 0.01, L2: 0.1}}
			if len(sameInTwoStreams(t, plainGraph(t, network, penalised, 8))) == 0 {
				t.Error("nothing is in the second stream")
			}
		})
	}
}

// So have runs, in each arithmetic, by plans, and by algorithms that were measured. TestRecipes and
// those like it say so of all that a step may do beside.
func TestRunsInTwoStreamsHaveTheBitsOfOne(t *testing.T) {
	for _, precision := range []string{"", train.PrecisionTF32, train.PrecisionBF16} {
		for _, measured := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/measured=%t", precision, measured), func(t *testing.T) {
				if measured {
					t.Setenv(AlgorithmsVariable, filepath.Join(t.TempDir(), "algorithms.json"))
				}
				g := openDevice(t)
				if simulated != nil {
					simulated.TF32(precision == train.PrecisionTF32)
					simulated.BF16(precision == train.PrecisionBF16)
					simulated.Algorithm(simulator.FilterGradient, 5, 0.9)
				}
				config := smallConfig()
				config.Device, config.Precision = g, precision
				weights := func() builder.Weights {
					trainer, err := train.New(everyProduct(t, 3), datasettest.Bars(t, 60), config, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer trainer.Close()
					if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
						t.Fatal(err)
					}
					return trainer.Weights()
				}
				want := weights()
				for _, graphs := range []string{"1", "0"} {
					t.Setenv(GraphsVariable, graphs)
					compareBits(t, "again", weights(), want)
					t.Run("in one stream", func(t *testing.T) {
						t.Setenv(StreamsVariable, "1")
						compareBits(t, "in one stream", weights(), want)
					})
				}
			})
		}
	}
}

// stepsOf returns what puts a step of a network in the streams, and the launches of one.
func stepsOf(t *testing.T, name string) (step func(), launches []launch) {
	t.Helper()
	const batch = 2
	t.Setenv(GraphStepsVariable, "1")
	g := openDevice(t)
	simulated.Shallow(true)
	t.Cleanup(func() { simulated.Shallow(false) })
	network, config, set := predicted(t, name, 10*batch)
	s := openSession(t, g, network, config, set).(*session)
	next := stepper(t, s, set.Len(), batch)
	for range 2 { // which run it launch by launch and capture it
		next()
	}
	return func() { next() }, s.programs[batch].launches
}

// Two streams are two branches of a step's graph, which begin and end in one; and a step takes so
// much less time, where each launch takes the same, as there are launches in the second.
func TestGradientsOverlap(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		name   string
		beside []string
	}{
		{"E1", []string{"cublasSgemm", "cudnnConvolutionBackwardFilter"}},
		{"E2", []string{"cublasSgemm", "cudnnConvolutionBackwardFilter"}},
		{"ResNet-20", append([]string{"cublasSgemm"},
			slices.Repeat([]string{"cudnnConvolutionBackwardFilter"}, 20)...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			step, launches := stepsOf(t, test.name)
			names, forks := besides(launches)
			if !slices.Equal(names, test.beside) {
				t.Errorf("in the second stream are %q, want %q", names, test.beside)
			}
			if n := simulated.Calls("captured beside"); n != len(names) {
				t.Errorf("the graph has %d launches in a branch, want %d", n, len(names))
			}
			calls := []string{"cuEventRecord", "cuStreamWaitEvent"}
			for _, call := range calls { // of a step that ran by itself, and of its capture
				if n := simulated.Calls(call); n != 2*(forks+1) {
					t.Errorf("%d calls of %s, want 2·(%d+1)", n, call, forks)
				}
			}
			const steps, launch = 3, 1.0
			simulated.Speed(launch, 0)
			for range steps {
				step()
			}
			if n := simulated.Calls(calls[0]); n != 2*(forks+1) {
				t.Errorf("a graph's launch records events")
			}
			got, want := simulated.Time(), launch*float64(steps*(len(launches)-len(names)))
			if got != want {
				t.Errorf("%d steps of %d launches take %v µs, want %v", steps, len(launches), got, want)
			}
			t.Logf("simulated: a step of %d launches that take as long each takes as long as %v, with %d "+
				"in the second stream, behind %d forks", len(launches), got/steps, len(names), forks)
		})
		t.Run(test.name+" in one stream", func(t *testing.T) {
			t.Setenv(StreamsVariable, "1")
			step, launches := stepsOf(t, test.name)
			simulated.Speed(1, 0)
			step()
			if got := simulated.Time(); got != float64(len(launches)) {
				t.Errorf("a step of %d launches takes %v µs, want as many", len(launches), got)
			}
			if n := simulated.Calls("cuStreamWaitEvent") + simulated.Calls("captured beside"); n != 0 {
				t.Errorf("%d waits or launches in another stream", n)
			}
		})
	}
}

// branching is a network with gradients of a product, of a bias and of a convolution in the second
// stream.
func branching(t testing.TB) *builder.Network {
	return mustNew(t, "branching", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
}

// Faults of the second stream, when it is made, in a step and in a capture, end a run in an error
// that names the call; the capture ends, nothing is left behind, and the device trains on.
func TestFaultsOfTheSecondStream(t *testing.T) {
	needSimulator(t)
	const of, remedy = "the second stream: ", "; " + StreamsVariable + "=1 has all work in one"
	type fault struct {
		call        string
		after, code int
		want        string
	}
	faults := []fault{
		{"cuStreamCreate", 1, errorOutOfMemory,
			of + "cuStreamCreate: CUDA_ERROR_OUT_OF_MEMORY (2)" + remedy},
		{"cudnnCreate", 1, errorDNNExecution, of + "cudnnCreate"},
		{"cudnnSetStream", 1, errorDNNExecution, of + "cudnnSetStream"},
		{"cublasCreate_v2", 1, errorBLASExecution, of + "cublasCreate"},
		{"cublasSetStream_v2", 1, errorBLASExecution, of + "cublasSetStream"},
		{"cublasSetWorkspace_v2", 1, errorBLASExecution, of + "cublasSetWorkspace"},
	}
	for after := range 2 {
		faults = append(faults, fault{"cuEventCreate", 1 + after, errorOutOfMemory,
			of + "cuEventCreate: CUDA_ERROR_OUT_OF_MEMORY (2)" + remedy})
	}
	for _, call := range []string{"cuEventRecord", "cuStreamWaitEvent"} {
		for after := range 6 { // two forks and a join, each in a step and in a capture
			faults = append(faults, fault{call, 1 + after, errorLaunchFailed,
				of + call + ": CUDA_ERROR_LAUNCH_FAILED (719)" + remedy})
		}
	}
	for call, each := range map[string]int{ // how many of them are in a step
		"cudnnConvolutionBackwardFilter": 2, "cudnnConvolutionBackwardBias": 1} {
		for _, after := range []int{1, 1 + each} {
			faults = append(faults, fault{call, after, errorDNNExecution, call + ": CUDNN_STATUS_EXECUTION"})
		}
	}
	var want builder.Weights
	for _, test := range faults {
		t.Run(fmt.Sprint(test.call, test.after), func(t *testing.T) {
			g := openDevice(t)
			fitted := func() (builder.Weights, error) {
				config := smallConfig()
				config.Device = g
				trainer, err := train.New(branching(t), datasettest.Bars(t, 64), config, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer trainer.Close()
				err = trainer.Fit(t.Context(), train.Callbacks{})
				return trainer.Weights(), err
			}
			simulated.Fail(test.call, test.after, test.code, false)
			_, err := fitted()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if strings.HasPrefix(test.call, "cudnn") && strings.Contains(err.Error(), "UNJOINED") {
				t.Errorf("a capture was ended before its branches were joined: %v", err)
			}
			got, err := fitted()
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			compareBits(t, "behind a fault", got, want)
		})
	}
}

// Where the stream of the steps cannot be told to wait for the second one, the host waits for both
// before memory is freed.
func TestFaultsOfTheLastJoin(t *testing.T) {
	needSimulator(t)
	for _, call := range []string{"cuEventRecord", "cuStreamWaitEvent"} {
		t.Run(call, func(t *testing.T) {
			graph := plainGraph(t, branching(t), train.Config{Seed: 4}, 3)
			machine := compiled(t, openDevice(t), graph)
			_, forks := besides(machine.launches)
			simulated.Fail(call, forks+1, errorLaunchFailed, false)
			want := "the second stream: " + call + ": CUDA_ERROR_LAUNCH_FAILED (719)"
			if err := machine.RunAll(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}
