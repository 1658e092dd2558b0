//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/train"
)

// gradientLaunches returns how each gradient of a dense layer's weights is computed, in order of
// the launches, and how many gradients of biases have a launch of their own.
func gradientLaunches(launches []launch) (weights []string, biases int) {
	for _, l := range launches {
		switch {
		case l.name == "cudnnConvolutionBackwardBias":
			biases++
		case strings.HasPrefix(l.name, "cublas") && strings.Contains(l.of, "DenseGradient[1]"):
			weights = append(weights, l.name)
		}
	}
	return weights, biases
}

// branched returns a network whose first two layers have one gradient, since their sum alone is
// read.
func branched(t testing.TB) *builder.Network {
	t.Helper()
	g := builder.NewGraph("branched", builder.Shape{6})
	sum := g.Join(builder.Add{}, g.Then(g.Input(), builder.Dense{Units: 7}),
		g.Then(g.Input(), builder.Dense{Units: 7}))
	network, err := g.Network(g.Then(sum, builder.Tanh{}, builder.Dense{Units: 20}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// smooth returns a network of dense layers without a ReLU.
func smooth(t testing.TB) *builder.Network {
	t.Helper()
	return mustNew(t, "smooth", builder.Shape{6}, builder.Dense{Units: 9}, builder.Tanh{},
		builder.Dense{Units: 5}, builder.Sigmoid{}, builder.Dense{Units: 21})
}

// The gradients of a dense layer's weights and of its bias are one launch of cuBLASLt's, of any
// shape, where no other launch computes that of the bias on its way. All values are those of
// Gorgonia's TapeMachine, and a step has as many launches less as it has such layers.
func TestBothGradientsByCuBLASLt(t *testing.T) {
	binary := train.Config{Seed: 4, Loss: train.Loss{Name: train.LossBinary}}
	for _, test := range []struct {
		network *builder.Network
		config  train.Config
		light   int // of the gradients of weights
		batches []int
	}{
		{smooth(t), train.Config{Seed: 4}, 2, []int{1, 9, 70}}, // the last bias is the loss's
		{mustNew(t, "narrow", builder.Shape{1}, builder.Dense{Units: 2}, builder.Tanh{},
			builder.Dense{Units: 33}, builder.Tanh{}, builder.Dense{Units: 20}),
			train.Config{Seed: 4}, 2, []int{1, 2}},
		{dense(t, 5, 8, 4, 20), train.Config{Seed: 4}, 0, []int{3}}, // the ReLUs' gradients sum
		{branched(t), train.Config{Seed: 4}, 2, []int{1, 5}},
		{mustNew(t, "labels", builder.Shape{6}, builder.Dense{Units: 7}, builder.ReLU{},
			builder.Dense{Units: 20}), binary, 1, []int{4}}, // behind the ReLU
		{mustNew(t, "without", builder.Shape{6}, builder.Dense{Units: 7, NoBias: true},
			builder.Tanh{}, builder.Dense{Units: 20}), train.Config{Seed: 4}, 0, []int{4}},
	} {
		for _, batch := range test.batches {
			t.Run(fmt.Sprintf("%s/%d", test.network.Name(), batch), func(t *testing.T) {
				graph := plainGraph(t, test.network, test.config, batch)
				t.Run("values", func(t *testing.T) { compareWithTape(t, graph, 2e-5) })
				count := func(name string) (weights []string, biases, all int) {
					t.Run(name, func(t *testing.T) {
						machine := compiled(t, openDevice(t), graph)
						weights, biases = gradientLaunches(machine.launches)
						all = len(machine.launches)
					})
					return weights, biases, all
				}
				weights, biases, with := count("with")
				t.Setenv(EpiloguesVariable, "0")
				others, more, without := count("without")
				n := 0
				for _, name := range weights {
					if name == "cublasLtMatmul" {
						n++
					}
				}
				if simulated != nil && n != test.light {
					t.Errorf("%d gradients of weights are by cuBLASLt, want %d: %q", n, test.light, weights)
				}
				if len(weights) != len(others) || more-biases != n {
					t.Errorf("%d gradients of weights and %d launches for biases, and %d and %d without "+
						"cuBLASLt: want as many, and %d fewer", len(weights), biases, len(others), more, n)
				}
				t.Logf("%d launches, %d without cuBLASLt", with, without)
			})
		}
	}
}

// Both gradients are computed in the second stream, in its workspace, while the steps' stream goes
// on with its own; and have the bits that they have in one.
func TestBothGradientsInTheSecondStream(t *testing.T) {
	graph := plainGraph(t, smooth(t), train.Config{Seed: 4}, 9)
	aside := sameInTwoStreams(t, graph)
	// The first layer's stay in the stream of the steps: there is nothing to be beside.
	want := []string{"cublasSgemm", "cublasLtMatmul"}
	if simulated != nil && !slices.Equal(aside, want) {
		t.Errorf("in the second stream are %q, want %q", aside, want)
	}
}

// Where cuBLASLt has no algorithm for both gradients, each has its launch, with the values that it
// had, and the reason is noted.
func TestBothGradientsFallBack(t *testing.T) {
	needSimulator(t)
	graph := plainGraph(t, smooth(t), train.Config{Seed: 4}, 9)
	compute := func(t *testing.T, failed int) (values [][]float32, launches []launch) {
		g := openDevice(t)
		if failed > 0 {
			simulated.Fail("cublasLtMatmulAlgoGetHeuristic", failed, errorBLASExecution, false)
		}
		return computedIn(t, g, graph, false)
	}
	var want [][]float32
	t.Run("nothing", func(t *testing.T) { want, _ = compute(t, 0) })
	// Two products forward are before them, and the first layer's gradients are prepared first.
	for failed, of := range map[int]string{3: "(9, 6)", 4: "(5, 9)"} {
		t.Run(of, func(t *testing.T) {
			values, launches := compute(t, failed)
			if weights, biases := gradientLaunches(launches); biases != 1 ||
				!slices.Contains(weights, "cublasLtMatmul") {
				t.Errorf("gradients of weights by %q, %d launches for biases, want 1", weights, biases)
			}
			for _, l := range launches {
				const why = "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_EXECUTION_FAILED (13)"
				if strings.HasSuffix(l.of, "DenseGradient[1] "+of) && l.how != why {
					t.Errorf("%s of %s: %q, want %q", l.name, l.of, l.how, why)
				}
			}
			for i := range want {
				if e := relativeError(values[i], want[i]); e > 2e-6 {
					t.Errorf("value %d is %g of its largest off", i, e)
				}
			}
		})
	}
}
