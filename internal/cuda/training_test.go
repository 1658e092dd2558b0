//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

func experiment(t testing.TB, name string) (*builder.Network, train.Config) {
	t.Helper()
	var network *builder.Network
	var err error
	config := train.Config{Seed: 2, Epochs: 1}
	switch name {
	case "e1":
		network, err = builder.E1(10)
	case "e2":
		network, err = builder.E2(10, 0.5)
		config.ParameterPenalty = train.Penalty{L1: 0.001, L2: 0.001}
	}
	if err != nil {
		t.Fatal(err)
	}
	return network, config
}

// recorder is a device.Device that lets a test look at each step of its session.
type recorder struct {
	*gpu
	after func(s *session, images int) error
}

func (r recorder) NewSession(job device.Job) (device.Session, error) {
	s, err := r.gpu.NewSession(job)
	if err != nil {
		return nil, err
	}
	return recorded{s.(*session), r.after}, nil
}

type recorded struct {
	*session
	after func(s *session, images int) error
}

func (r recorded) Step(images int) error {
	if err := r.session.Step(images); err != nil {
		return err
	}
	return r.after(r.session, images)
}

func (r recorded) StepFed() error {
	images := r.session.feeding.made
	if err := r.session.StepFed(); err != nil {
		return err
	}
	return r.after(r.session, images)
}

// step is what one step came to, on either side.
type step struct {
	loss      float64
	gradients builder.Weights
	weights   builder.Weights
}

// deviceSteps trains on the device and returns every step of the first epoch.
func deviceSteps(t *testing.T, g *gpu, network *builder.Network, set *dataset.Set, config train.Config) []step {
	t.Helper()
	var steps []step
	config.Device = recorder{g, func(s *session, _ int) error {
		account, err := s.Account()
		if err != nil {
			return err
		}
		state, err := s.State()
		if err != nil {
			return err
		}
		var gradients builder.Weights
		err = s.gpu.thread.do(func() (err error) {
			at := s.gradients
			if s.dealt != nil {
				at = s.dealt.rows[0] // of all shards
			}
			gradients, err = s.getWeights(at)
			return err
		})
		steps = append(steps, step{account.LastLoss, gradients, state.Weights})
		return err
	}}
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	return steps
}

// nativeSteps trains on the native CPU engine. The gradients are computed again by
// a graph of the same engine, from the weights before each step.
func nativeSteps(t *testing.T, network *builder.Network, set *dataset.Set, config train.Config) []step {
	t.Helper()
	steps, before, order := nativeRun(t, network, set, config)
	config, err := config.WithDefaults(network)
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		steps[i].gradients = gradientsOn(t, builder.EngineNative, network, set, config, before, order[i], uint64(i))
		before = steps[i].weights
	}
	return steps
}

// nativeRun trains on the native CPU engine, and returns the steps without their gradients, the weights before them, and
// the images of each.
func nativeRun(t *testing.T, network *builder.Network, set *dataset.Set, config train.Config) (steps []step, before builder.Weights, order [][]int) {
	t.Helper()
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	config = trainer.Config()
	batches, err := dataset.NewBatches(set.Len(), config.BatchSize, config.Seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, indices := range batches.Epoch(0, 0) {
		order = append(order, indices)
	}
	before = trainer.Weights()
	err = trainer.Fit(t.Context(), train.Callbacks{Step: func(report train.StepReport) error {
		if len(steps) < len(order) {
			steps = append(steps, step{loss: report.Loss, weights: trainer.Weights()})
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return steps, before, order
}

// gradientsOn are an engine's on the CPU, from these weights.
func gradientsOn(t *testing.T, name string, network *builder.Network, set *dataset.Set, config train.Config, weights builder.Weights, indices []int, at uint64) builder.Weights {
	t.Helper()
	engine, err := builder.NewEngine(name, 1)
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
	if err := set.Fill(graph.Images(), graph.Labels.Value().(*tensor.Dense).Int32s(), indices, dataset.Pixels{}); err != nil {
		t.Fatal(err)
	}
	graph.SetStep(at, 0)
	graph.Feed()
	if err := gorgonia.NewTapeMachine(graph.Expr).RunAll(); err != nil {
		t.Fatal(err)
	}
	var gradients builder.Weights
	for i, parameter := range network.Parameters() {
		gradients = append(gradients, builder.Tensor{Name: parameter.Name, Shape: parameter.Shape,
			Data: variables.ToPublic(variables.Learned()[i], graph.Gradients[i].Value().(*tensor.Dense).Float32s())})
	}
	return gradients
}

// Ten steps of the experiments, the last of them short, are those of the native CPU
// engine: the losses to 1e-5 of themselves, the gradients to 1e-4 of their largest.
// Steps run launch by launch at first and as a CUDA graph from the second on; the
// short one is launched by itself.
func TestTenStepsAreThoseOfTheNativeEngine(t *testing.T) {
	const lossTolerance, gradientTolerance = 1e-5, 1e-4
	set := datasettest.Digits(t, 9*32+20)
	for _, name := range []string{"e1", "e2"} {
		t.Run(name, func(t *testing.T) {
			network, config := experiment(t, name)
			want := nativeSteps(t, network, set, config)
			got := deviceSteps(t, openDevice(t), network, set, config)
			compareSteps(t, got, want, lossTolerance, gradientTolerance)
		})
	}
}

// compareSteps holds ten steps on the device against the native engine's.
func compareSteps(t *testing.T, got, want []step, lossTolerance, gradientTolerance float64) {
	t.Helper()
	if len(got) != 10 || len(want) != 10 {
		t.Fatalf("%d steps, the native engine made %d; want 10", len(got), len(want))
	}
	worstLoss, worstGradient := 0.0, 0.0
	for i := range got {
		difference := math.Abs(got[i].loss-want[i].loss) / math.Abs(want[i].loss)
		worstLoss = max(worstLoss, difference)
		if !(difference <= lossTolerance) {
			t.Errorf("step %d: loss %v, the native engine has %v, %.2g of it off", i+1, got[i].loss, want[i].loss, difference)
		}
		for p, gradient := range want[i].gradients {
			e := relativeError(got[i].gradients[p].Data, gradient.Data)
			worstGradient = max(worstGradient, e)
			if !(e <= gradientTolerance) {
				t.Errorf("step %d: the gradient of %s is %.2g of its largest off", i+1, gradient.Name, e)
			}
		}
	}
	t.Logf("10 steps: losses at most %.2g of themselves off, gradients %.2g of their largest", worstLoss, worstGradient)
}

func smallNetwork(t testing.TB) *builder.Network {
	t.Helper()
	return mustNew(t, "small", builder.Shape{1, 6, 6}, builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 8}, builder.ReLU{}, builder.Dropout{P: 0.25}, builder.Dense{Units: 3})
}

func smallConfig() train.Config {
	return train.Config{Data: "small", BatchSize: 8, Epochs: 3, Seed: 7, Pixels: train.PixelsUnit,
		Optimizer: train.OptimizerConfig{Name: "adam", LearningRate: 0.01}}
}

// fit trains the small network and returns its trainer, still open.
func fit(t *testing.T, config train.Config) *train.Trainer {
	t.Helper()
	return fitOn(t, config, datasettest.Bars(t, 60))
}

// fitOn is fit on another set.
func fitOn(t *testing.T, config train.Config, set dataset.Source) *train.Trainer {
	t.Helper()
	trainer, err := train.New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		trainer.Close()
		t.Fatal(err)
	}
	return trainer
}

// A run on the device has the native engine's history, with every optimizer.
func TestARunHasTheNativeEnginesHistory(t *testing.T) {
	for _, optimizer := range []train.OptimizerConfig{
		{Name: "adam", LearningRate: 0.01, WeightDecay: 0.01}, {Name: "adamw", LearningRate: 0.01, WeightDecay: 0.1},
		{Name: "sgd", LearningRate: 0.01}, {Name: "sgd", LearningRate: 0.01, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		{Name: "rmsprop", LearningRate: 0.001}, {Name: "rmsprop", LearningRate: 0.001, Momentum: 0.5, WeightDecay: 0.01},
	} {
		t.Run(fmt.Sprintf("%s/%v", optimizer.Name, optimizer.Momentum), func(t *testing.T) {
			config := smallConfig()
			config.Optimizer = optimizer
			config.ParameterPenalty = train.Penalty{L1: 0.001, L2: 0.001}
			config.ActivationPenalties = map[string]train.Penalty{"relu2": {L1: 0.01, L2: 0.01}}
			config.ValidationFraction, config.Patience = 0.25, 50 // 45 images: the last batch is short
			native := fit(t, config)
			defer native.Close()
			config.Device = openDevice(t)
			device := fit(t, config)
			defer device.Close()
			for i, want := range native.Progress().History {
				got := device.Progress().History[i]
				if got.Steps != want.Steps || got.TrainAccuracy != want.TrainAccuracy || *got.ValidationAccuracy != *want.ValidationAccuracy {
					t.Errorf("epoch %d: %+v, the native engine has %+v", i+1, got, want)
				}
				// 18 steps of at most a hundred roundings each.
				for _, pair := range [][2]float64{{got.MeanLoss, want.MeanLoss}, {got.LastLoss, want.LastLoss}, {got.MeanCrossEntropy, want.MeanCrossEntropy}, {*got.ValidationLoss, *want.ValidationLoss}} {
					if math.Abs(pair[0]-pair[1]) > 1e-4*math.Abs(pair[1]) {
						t.Errorf("epoch %d: %v, the native engine has %v", i+1, pair[0], pair[1])
					}
				}
			}
			for i, weight := range native.Weights() {
				if e := relativeError(device.Weights()[i].Data, weight.Data); e > 1e-3 {
					t.Errorf("%s is %.2g of its largest off after the run", weight.Name, e)
				}
			}
			set := datasettest.Bars(t, 60)
			onDevice, err := device.Evaluate(t.Context(), set)
			if err != nil {
				t.Fatal(err)
			}
			onCPU, err := native.Evaluate(t.Context(), set)
			if err != nil {
				t.Fatal(err)
			}
			if e := relativeError(onDevice.Logits, onCPU.Logits); e > 1e-3 || onDevice.Correct != onCPU.Correct {
				t.Errorf("logits %.2g of their largest off, %d right, the native engine has %d", e, onDevice.Correct, onCPU.Correct)
			}
		})
	}
}

// The same run has the same bits, whatever fresh memory holds, with graphs and
// without; and so has one that was interrupted and resumed.
func TestARunHasTheSameBits(t *testing.T) {
	weights := func(t *testing.T, g *gpu) builder.Weights {
		config := smallConfig()
		config.Device = g
		trainer := fit(t, config)
		defer trainer.Close()
		return trainer.Weights()
	}
	g := openDevice(t)
	want := weights(t, g)
	same := func(what string, got builder.Weights) {
		t.Helper()
		for i := range want {
			for j, value := range want[i].Data {
				if math.Float32bits(got[i].Data[j]) != math.Float32bits(value) {
					t.Errorf("%s: %s[%d] is %v, before %v", what, want[i].Name, j, got[i].Data[j], value)
					break
				}
			}
		}
	}
	t.Run("without graphs", func(t *testing.T) {
		t.Setenv(GraphsVariable, "0")
		same("launch by launch", weights(t, g))
	})
	t.Run("other memory", func(t *testing.T) {
		needSimulator(t)
		defer simulated.Fill(0xffffffff)
		simulated.Fill(0x42280000) // 42 as a float32
		same("with other fresh memory", weights(t, g))
	})
	t.Run("resumed", func(t *testing.T) {
		config := smallConfig()
		config.Device = g
		ctx, cancel := context.WithCancel(t.Context())
		broken, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		steps := 0
		if err := broken.Fit(ctx, train.Callbacks{Step: func(train.StepReport) error {
			if steps++; steps == 11 {
				cancel()
			}
			return nil
		}}); !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("Fit returned %v, want ErrInterrupted", err)
		}
		if done := broken.Progress(); done.Step != 11 || done.EpochStep != 3 || done.Images != 24 {
			t.Errorf("interrupted at step %d, step %d of the epoch with %d images; want 11, 3 and 24", done.Step, done.EpochStep, done.Images)
		}
		resumed, err := train.Resume(broken.Checkpoint(), datasettest.Bars(t, 60), config)
		if err != nil {
			t.Fatal(err)
		}
		defer resumed.Close()
		if err := resumed.Fit(t.Context(), train.Callbacks{}); err != nil {
			t.Fatal(err)
		}
		same("resumed", resumed.Weights())
	})
}

// A validation and a test set that are evaluated in turn stay on the device, with what
// was compiled for them; a third takes the place of the one that was used least lately.
func TestTwoSetsStayOnTheDevice(t *testing.T) {
	g := openDevice(t)
	config := smallConfig()
	config.Device = g
	trainer := fit(t, config)
	defer trainer.Close()
	var sets []*dataset.Set
	for _, size := range []int{60, 30, 10} {
		sets = append(sets, datasettest.Bars(t, size))
	}
	var losses [3]float64
	evaluate := func(which int) (allocations int) {
		t.Helper()
		before := g.count.Allocations
		evaluation, err := trainer.Evaluate(t.Context(), sets[which])
		if err != nil {
			t.Fatal(err)
		}
		if losses[which] != 0 && evaluation.Loss != losses[which] {
			t.Errorf("set %d: loss %v, before %v", which, evaluation.Loss, losses[which])
		}
		losses[which] = evaluation.Loss
		return g.count.Allocations - before
	}
	for i, step := range []struct {
		set    int
		brings bool
	}{{0, true}, {1, true}, {0, false}, {1, false}, {0, false}, {2, true}, {0, false}, {1, true}, {0, false}} {
		if allocations := evaluate(step.set); (allocations > 0) != step.brings {
			t.Errorf("evaluation %d, of set %d: %d allocations, want some: %t", i+1, step.set, allocations, step.brings)
		}
	}
}

// A span of a set is evaluated by itself as it is with all others.
func TestASpanIsEvaluated(t *testing.T) {
	g := openDevice(t)
	var s *session
	config := smallConfig()
	config.Device = recorder{g, func(own *session, _ int) error { s = own; return nil }}
	trainer := fit(t, config)
	defer trainer.Close()
	const classes, first, count = 3, 20, 10
	set := datasettest.Bars(t, 60)
	all, some := make([]float32, set.Len()*classes), make([]float32, count*classes)
	if _, _, err := s.Evaluate(set, 0, set.Len(), false, all); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Evaluate(set, first, count, false, some); err != nil {
		t.Fatal(err)
	}
	if e := relativeError(some, all[first*classes:(first+count)*classes]); e > 1e-5 {
		t.Errorf("images %d to %d by themselves are %.2g of their largest logit off", first, first+count, e)
	}
}

// A session that is closed in the middle of an epoch waits for its steps before it frees
// what they work on.
func TestClosingWaitsForTheSteps(t *testing.T) {
	g := openDevice(t)
	stop := errors.New("enough")
	config := smallConfig()
	config.Device = recorder{g, func(*session, int) error { return stop }}
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.Fit(t.Context(), train.Callbacks{}); !errors.Is(err, stop) {
		t.Errorf("%v, want %v", err, stop)
	}
	trainer.Close()
}

// A loss that is not finite stops the run at its step, although the host looks at it
// later, and nothing was learned from it.
func TestDivergenceNamesTheStepAndTheBatch(t *testing.T) {
	config := smallConfig()
	config.Optimizer = train.OptimizerConfig{Name: "sgd", LearningRate: 1e30}
	config.Pixels = train.PixelsRaw
	diverge := func(device device.Device) *train.DivergedError {
		config.Device = device
		trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		var diverged *train.DivergedError
		if err := trainer.Fit(t.Context(), train.Callbacks{}); !errors.As(err, &diverged) {
			t.Fatalf("error %v, want a DivergedError", err)
		}
		return diverged
	}
	want, got := diverge(nil), diverge(openDevice(t))
	if got.Epoch != want.Epoch || got.Step != want.Step || fmt.Sprint(got.Indices) != fmt.Sprint(want.Indices) {
		t.Errorf("%v, the native engine says %v", got, want)
	}
}
