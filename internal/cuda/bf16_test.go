//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/train"
)

// openForBF16 is openDevice of a device that is to take bfloat16.
func openForBF16(t testing.TB) *gpu {
	t.Helper()
	g := openDevice(t)
	if simulated != nil {
		simulated.BF16(true)
	}
	if err := g.CheckBF16(); err != nil {
		t.Skip(err)
	}
	return g
}

// calledInBF16 returns how many products the simulator has computed of bfloat16, by call.
func calledInBF16() map[string]int {
	calls := make(map[string]int)
	for _, call := range []string{"cudnnConvolutionForward", "cudnnConvolutionBackwardFilter",
		"cudnnConvolutionBackwardData", "cudnnBackendExecute", "cublasGemmEx"} {
		if simulated != nil {
			calls[call] = simulated.Calls("bf16 " + call)
		}
	}
	return calls
}

// Of a machine in bf16 all products of libraries are, and no kernel takes a map for float32.
func TestProductsInBF16(t *testing.T) {
	needSimulator(t)
	graph := plainGraph(t, everyProduct(t, 20), train.Config{Seed: 4}, 5)
	machine := compiledIn(t, openForBF16(t), graph, bf16)
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	launched := make(map[string]int)
	for _, l := range machine.launches {
		launched[l.name]++
		if slices.Contains(halfKernelNames(), l.name) && l.name != "finish_sums" {
			t.Errorf("%s launches %s, which takes float32", l.of, l.name)
		}
	}
	for call, n := range calledInBF16() {
		if n != launched[call] || n == 0 && call != "cudnnBackendExecute" {
			t.Errorf("%d of %d launches of %s are in bf16", n, launched[call], call)
		}
	}
	for _, call := range []string{"cublasSgemm", "cudnnAddTensor", "cudnnConvolutionBackwardBias",
		"cudnnPoolingForward", "cudnnPoolingBackward"} {
		if launched[call] > 0 {
			t.Errorf("%d launches of %s", launched[call], call)
		}
	}
	for _, how := range forwards(machine) {
		if !strings.HasPrefix(how, "cudnnConvolutionForward") {
			t.Errorf("a convolution is %s", how)
		}
	}
}

// Ten steps of sessions in bf16, the last one short, have the losses and the gradients of a
// reference on the host that rounds at the same places, from the same weights, and otherwise
// computes in float64. Where both come so near to the middle between two bfloat16 that they round
// to either side, a value is 2⁻⁷ of itself off, which few are: all gradients together are less than
// 2⁻⁷ of their length off, and losses 2⁻⁷ of themselves.
func TestTenStepsInBF16(t *testing.T) {
	const tolerance = 1.0 / (1 << 7)
	networks := map[string]*builder.Network{
		"resnet": families(t)["resnet"], "mobilenet-v2": families(t)["mobilenet-v2"]}
	networks["e1"], _ = experiment(t, "e1")
	networks["e2"], _ = experiment(t, "e2")
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			var set *dataset.Set
			config := familyConfig()
			if set = colours(t, 9*8+4); name[0] == 'e' {
				_, config = experiment(t, name)
				set, config.BatchSize = datasettest.Digits(t, 9*8+4), 8
			}
			_, before, order := nativeRun(t, network, set, config)
			g := openForBF16(t)
			config.Precision = train.PrecisionBF16
			got := deviceSteps(t, g, network, set, config)
			config.Precision = ""
			config, err := config.WithDefaults(network)
			if err != nil {
				t.Fatal(err)
			}
			var worst [2]float64
			for i := range got {
				want := roundedStep(t, g, network, set, config, before, order[i], uint64(i))
				e := distance(got[i].gradients, want.gradients)
				off := math.Abs(got[i].loss-want.loss) / want.loss
				worst = [2]float64{max(worst[0], e), max(worst[1], off)}
				if !(e <= tolerance) || !(off <= tolerance) {
					t.Errorf("step %d: the gradients are %.2g off, the loss is %v, want %v", i+1, e,
						got[i].loss, want.loss)
				}
				before = got[i].weights
			}
			t.Logf("gradients are at most %.2g off, losses %.2g of themselves", worst[0], worst[1])
		})
	}
}

// roundedStep is what a step in bf16 comes to on the host, from these weights.
func roundedStep(t *testing.T, g *gpu, network *builder.Network, set *dataset.Set,
	config train.Config, weights builder.Weights, indices []int, at uint64) step {
	t.Helper()
	engine, err := builder.NewEngine(builder.EnginePlain, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	variables, err := builder.NewVariables(network, engine, weights)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := train.NewLossGraph(network, engine, variables, config, len(indices), true)
	if err != nil {
		t.Fatal(err)
	}
	labels := graph.Labels.Value().(*tensor.Dense).Int32s()
	if err := set.Fill(graph.Images(), labels, indices, dataset.Pixels{}); err != nil {
		t.Fatal(err)
	}
	graph.SetStep(at, 0)
	graph.Feed()
	r := roundedGraph{t: t, machine: compiledIn(t, g, graph, bf16), alone: true,
		values: make(map[*gorgonia.Node]gorgonia.Value)}
	for _, node := range sorted(r.machine.options.Wanted) {
		r.look(node)
	}
	own := step{loss: float64(floatsOf(r.values[graph.Total])[0])}
	for i, parameter := range network.Parameters() {
		own.gradients = append(own.gradients, builder.Tensor{Name: parameter.Name,
			Shape: parameter.Shape, Data: floatsOf(r.values[graph.Gradients[i]])})
	}
	return own
}

// distance is the length of the difference of gradients, as a part of that of those that are
// wanted.
func distance(got, want builder.Weights) float64 {
	var off, length float64
	for i := range want {
		for j, w := range want[i].Data {
			d := float64(got[i].Data[j]) - float64(w)
			off, length = off+d*d, length+float64(w)*float64(w)
		}
	}
	return math.Sqrt(off / length)
}

// The curve of E1 in bf16 lies beside that of float32, whose accuracy it comes to.
func TestLearningCurveInBF16(t *testing.T) {
	set := datasettest.Digits(t, 320)
	history := make(map[string][]train.Epoch)
	for _, precision := range []string{"", train.PrecisionBF16} {
		t.Run(precision, func(t *testing.T) {
			network, config := experiment(t, "e1")
			config.Epochs, config.BatchSize, config.Precision = 3, 32, precision
			config.Device, config.Pixels = openForBF16(t), train.PixelsUnit
			trainer, err := train.New(network, set, config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			history[precision] = trainer.Progress().History
		})
	}
	for i, want := range history[""] {
		got := history[train.PrecisionBF16][i]
		t.Logf("epoch %d: mean loss %.4f in bf16, %.4f in float32; %.1f %% and %.1f %% right", i+1,
			got.MeanLoss, want.MeanLoss, 100*got.TrainAccuracy, 100*want.TrainAccuracy)
		if off := math.Abs(got.MeanLoss-want.MeanLoss) / want.MeanLoss; off > 0.05 || off == 0 {
			t.Errorf("epoch %d: a mean loss of %v, in float32 %v", i+1, got.MeanLoss, want.MeanLoss)
		}
		if math.Abs(got.TrainAccuracy-want.TrainAccuracy) > 0.03 {
			t.Errorf("epoch %d: %v right, in float32 %v", i+1, got.TrainAccuracy, want.TrainAccuracy)
		}
	}
}

// A run in bf16 is evaluated in float32: what it is judged by is what the exported model answers.
func TestARunInBF16IsEvaluatedInFloat32(t *testing.T) {
	network, set := everyProduct(t, 3), datasettest.Bars(t, 60)
	config := smallConfig()
	config.Epochs, config.Device = 4, openForBF16(t)
	config.Precision = train.PrecisionBF16
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(calledInBF16())
	got, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprint(calledInBF16()); after != before {
		t.Errorf("products in bf16 were %s, and are %s behind an evaluation", before, after)
	}
	config.Device, config.Precision = nil, ""
	plain, err := train.New(network, set, config, trainer.Weights())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want, err := plain.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if e := relativeError(got.Logits, want.Logits); e > 1e-5 || got.Correct != want.Correct {
		t.Errorf("logits are %.2g of their largest off those of the CPU", e)
	}
}

// What a run may do beside its steps, it does in bf16: the same bits each time, launch by launch,
// and where it was interrupted within an epoch; and near to float32.
func TestRecipesInBF16(t *testing.T) {
	all := fedRecipes()
	norm := normalisedConfig(nil)
	norm.Epochs = 3
	all = append(all, recipe{"with a normalisation", inverted,
		func(t testing.TB) *dataset.Set { return colours(t, 22) }, norm, false},
		recipe{"small", smallNetwork,
			func(t testing.TB) *dataset.Set { return datasettest.Bars(t, 60) }, smallConfig(), false})
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			g := openForBF16(t)
			if r.large {
				g.setBytes = holdsNothing
			}
			exact := r.whole(t, g)
			r.config.Precision = train.PrecisionBF16
			want := r.whole(t, g)
			sameBits(t, "a second time", r.whole(t, g), want)
			sameBits(t, "resumed", r.resumed(t, g, g), want)
			t.Setenv(GraphsVariable, "0")
			sameBits(t, "launch by launch", r.whole(t, g), want)
			t.Setenv(StreamsVariable, "1")
			sameBits(t, "launch by launch in one stream", r.whole(t, g), want)
			for i, epoch := range want.Progress.History {
				beside := exact.Progress.History[i].MeanLoss
				off := math.Abs(epoch.MeanLoss-beside) / beside
				if off > 0.1 || off == 0 {
					t.Errorf("epoch %d: a mean loss of %v, in float32 %v", i+1, epoch.MeanLoss, beside)
				}
			}
		})
	}
}

// A step in bf16 is one graph, too: it rounds the weights, and widens two convolutions' gradients.
func TestASteadyStepInBF16(t *testing.T) {
	t.Setenv(GraphStepsVariable, "1")
	for name, most := range map[string]int{"e1": 19, "e2": 22} {
		t.Run(name, func(t *testing.T) {
			g := openForBF16(t)
			network, config := experiment(t, name)
			config.BatchSize, config.Precision = 8, train.PrecisionBF16
			var n noted
			config.Device = n.by(g)
			trainer, err := train.New(network, datasettest.Digits(t, 8*8), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			for i := 3; i < len(n.steps); i++ {
				want := n.steps[i-1]
				want.Graphs++
				if n.steps[i] != want {
					t.Errorf("step %d: %+v, want %+v", i+1, n.steps[i], want)
				}
			}
			if len(n.launched) > most {
				t.Errorf("a step is %d launches, more than %d: %v", len(n.launched), most, n.launched)
			}
			t.Logf("%d launches: %v", len(n.launched), n.launched)
		})
	}
}

// Maps take half the bytes that they do in float32.
func TestMapsInBF16TakeHalfTheBytes(t *testing.T) {
	graph := plainGraph(t, families(t)["resnet"], train.Config{}, 8)
	bytes := make(map[arithmetic]int64)
	g := openForBF16(t)
	for _, in := range []arithmetic{float32s, bf16} {
		machine := compiledIn(t, g, graph, in)
		seen := make(map[*buffer]bool)
		for node, b := range machine.values {
			if node.Op() != nil && !seen[b] && node.Shape().Dims() == 4 &&
				!strings.Contains(nodeName(node), "Gradient[1]") {
				seen[b], bytes[in] = true, bytes[in]+b.bytes
			}
		}
	}
	if bytes[bf16]*2 != bytes[float32s] || bytes[bf16] == 0 {
		t.Errorf("maps of 4 dimensions take %d bytes in bf16 and %d in float32", bytes[bf16],
			bytes[float32s])
	}
}

// Before compute capability 8.0 the libraries take no bfloat16.
func TestBF16NeedsTensorCoresThatHaveIt(t *testing.T) {
	for capability, refused := range map[string]bool{
		"7.5": true, "8.0": false, "9.0": false, "12.0": false, "": true} {
		g := &gpu{info: DeviceInfo{Capability: capability}}
		if err := g.CheckBF16(); (err != nil) != refused {
			t.Errorf("capability %q: %v", capability, err)
		}
	}
	needSimulator(t)
	g := openForBF16(t)
	g.info.Capability = "7.5"
	config := smallConfig()
	config.Device, config.Precision = g, train.PrecisionBF16
	const want = "bf16 needs compute capability 8.0 or newer, this GPU has 7.5; it trains with " +
		"precision float32"
	if _, err := config.WithDefaults(everyProduct(t, 3)); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// Penalties on activations, which are refused before a run begins, are refused by their name here,
// too.
func TestActivationPenaltiesAreRefusedInBF16(t *testing.T) {
	network := smallNetwork(t)
	config := train.Config{Seed: 4, ActivationPenalties: map[string]train.Penalty{
		network.Nodes()[0].Name: {L1: 0.1}}}
	graph, g := plainGraph(t, network, config, 3), openForBF16(t)
	err := g.thread.do(func() error {
		_, err := newMachine(g, machineOptions{Wanted: graph.Gradients, Products: bf16,
			Images: graph.Input})
		return err
	})
	const want = "a penalty on activations has no form in bf16; train with -precision tf32"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The PTX for bf16 has the kernels that are launched and no others.
func TestHalfKernelsAreThoseOfThePTX(t *testing.T) {
	var entries, want []string
	for _, found := range entryPattern.FindAllStringSubmatch(halfKernelsPTX, -1) {
		entries = append(entries, found[1])
	}
	for _, name := range halfKernelNames() {
		want = append(want, name+bf16Suffix)
	}
	slices.Sort(entries)
	if slices.Sort(want); !slices.Equal(entries, want) {
		t.Errorf("bf16.ptx has %v, the package launches %v; scripts/cuda-kernels makes it again",
			entries, want)
	}
}
