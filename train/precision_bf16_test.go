package train

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/kernel"
)

// Of bfloat16 on this CPU, which it need not have.

// bf16Network has convolutions of as many channels as tiles take.
func bf16Network(t *testing.T, norm builder.BatchNorm) *builder.Network {
	t.Helper()
	conv := builder.Conv2D{Filters: 32, Kernel: builder.Square(3), Padding: builder.Square(1)}
	network, err := builder.New("tiles", builder.Shape{1, 6, 6}, conv, norm,
		builder.ReLU{}, conv, builder.ReLU{}, builder.GlobalAvgPool{}, builder.Flatten{},
		builder.Dense{Units: 32}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// bf16Config is of runs in bf16 on a CPU that has it; others skip the test.
func bf16Config(t *testing.T) Config {
	t.Helper()
	config := smallConfig(builder.EngineNative)
	config.Precision = PrecisionBF16
	config.Optimizer.LearningRate = 0.001
	if err := config.CheckCPU(); err != nil {
		t.Skip(err)
	}
	return config
}

// trainedIn trains the network with the configuration.
func trainedIn(t *testing.T, network *builder.Network, config Config) *Trainer {
	t.Helper()
	return trained(t)(New(network, datasettest.Bars(t, 60), config, nil))
}

// Steps in bf16 round, and learn almost what those in float32 do. Evaluations do not round.
func TestStepsInBF16OnACPU(t *testing.T) {
	config := bf16Config(t)
	rounded := trainedIn(t, bf16Network(t, builder.BatchNorm{}), config)
	if engine := rounded.Engine().String(); !strings.Contains(engine, ", bf16, ") {
		t.Errorf("the engine is %s", engine)
	}
	config.Precision = ""
	exact := trainedIn(t, bf16Network(t, builder.BatchNorm{}), config)
	if reflect.DeepEqual(rounded.Weights(), exact.Weights()) {
		t.Error("the weights are those of float32")
	}
	for i, epoch := range exact.Progress().History {
		got := rounded.Progress().History[i].MeanLoss
		if off := math.Abs(got-epoch.MeanLoss) / epoch.MeanLoss; !(off < 0.02) {
			t.Errorf("epoch %d: mean loss %v, in float32 %v", i+1, got, epoch.MeanLoss)
		}
	}
	set := datasettest.Bars(t, 20)
	got, err := rounded.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	same, err := New(bf16Network(t, builder.BatchNorm{}), datasettest.Bars(t, 60), config,
		rounded.Weights())
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	want, err := same.Evaluate(t.Context(), set)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the evaluation is not float32's: %v", err)
	}
}

// What a trainer's engine was made with decides, not what another one would be made with by now.
func TestBF16IsOfTheTrainersEngine(t *testing.T) {
	config := bf16Config(t)
	for _, names := range [][2]string{{"portable", ""}, {"", "portable"}} {
		t.Setenv(kernel.EnvironmentVariable, names[0])
		trainer, err := New(bf16Network(t, builder.BatchNorm{}), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		t.Setenv(kernel.EnvironmentVariable, names[1])
		err = trainer.Fit(t.Context(), Callbacks{})
		if lacks := (*PrecisionError)(nil); errors.As(err, &lacks) != (names[0] != "") ||
			err != nil && lacks == nil {
			t.Errorf("made with the kernels %q: %v", names[0], err)
		}
		if _, err := trainer.Evaluate(t.Context(), datasettest.Bars(t, 20)); err != nil {
			t.Error(err)
		}
	}
}

// A network that has nothing to multiply so is not trained in float32 and said to be in bf16.
func TestNothingIsInBF16(t *testing.T) {
	grouped := builder.Conv2D{Filters: 32, Kernel: builder.Square(3), Groups: 2}
	network, err := builder.New("without", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 32, Kernel: builder.Square(3)}, builder.ReLU{}, grouped, builder.ReLU{},
		builder.Flatten{}, builder.Dense{Units: 32}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := bf16Config(t)
	trainer, err := New(network, datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	_, findErr := FindRate(t.Context(), network, datasettest.Bars(t, 60), config, nil, RateSweep{})
	for _, err := range []error{trainer.CheckSteps(), trainer.Fit(t.Context(), Callbacks{}), findErr} {
		if lacks := (*PrecisionError)(nil); !errors.As(err, &lacks) || !strings.Contains(err.Error(),
			"precision bf16: nothing of the network without is multiplied so on a CPU") {
			t.Error(err)
		}
	}
}

// A run in bf16 goes on with the bits that an unbroken one has, on any number of threads.
func TestARunInBF16OnACPUIsResumed(t *testing.T) {
	config := bf16Config(t)
	config.Threads = 1
	whole := trainedIn(t, bf16Network(t, builder.BatchNorm{}), config)
	config.Epochs, config.Threads = 1, 2
	begun := trainedIn(t, bf16Network(t, builder.BatchNorm{}), config)
	_, resumed := savedAndResumed(t, begun, datasettest.Bars(t, 60))
	resumed.config.Epochs = 3
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(resumed.Weights(), whole.Weights()) {
		t.Error("the weights are others")
	}
}

// What layers give that do not change is the same in any batch, in bf16 too.
func TestFeaturesInBF16OnACPU(t *testing.T) {
	joined, err := builder.New("joined", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 256, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.Conv2D{Filters: 32, Kernel: builder.Square(1)}, builder.ReLU{},
		builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		network *builder.Network
		freeze  []string
	}{
		{bf16Network(t, builder.BatchNorm{Frozen: true}), []string{"conv*", "bn*"}},
		{joined, []string{"conv*"}},
	} {
		network, weights := of.network, of.network.InitialWeights(3)
		for _, w := range weights {
			for i := range w.Data {
				w.Data[i] += float32(i%7)/70 - 0.03 // biases as well
			}
		}
		for _, batch := range []int{5, 8, 16} {
			config := bf16Config(t)
			config.Freeze, config.BatchSize = of.freeze, batch
			run := func(features string) *Trainer {
				config.FineTune.Features = features
				return trained(t)(New(network, datasettest.Bars(t, 60), config, weights))
			}
			kept := run(FeaturesAuto)
			if features := kept.Features(); !strings.Contains(features, "computed once for each image") {
				t.Errorf("%s: no features are kept: %s", network.Name(), features)
			}
			if !reflect.DeepEqual(kept.Weights(), run(FeaturesNever).Weights()) {
				t.Errorf("%s, batch %d: features that are computed once are others", network.Name(), batch)
			}
		}
	}
}

// What the CPU alone computes goes with its bf16.
func TestWhatGoesWithBF16OnACPU(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"muon":      func(c *Config) { c.Optimizer = OptimizerConfig{Name: "muon"} },
		"penalties": func(c *Config) { c.ActivationPenalties = map[string]Penalty{"relu1": {L1: 1e-4}} },
		"class weights": func(c *Config) {
			c.Accumulate, c.Loss.ClassWeights = 2, ClassWeights{Values: []float64{1, 2, 1}}
		},
		"validation": func(c *Config) { c.ValidationFraction, c.Patience = 0.2, 9 },
	} {
		config := bf16Config(t)
		change(&config)
		history := trainedIn(t, bf16Network(t, builder.BatchNorm{}), config).Progress().History
		if first, last := history[0].MeanLoss, history[2].MeanLoss; !(last < first) {
			t.Errorf("%s: mean losses from %v to %v", name, first, last)
		}
	}
	config := bf16Config(t)
	curve, err := FindRate(t.Context(), bf16Network(t, builder.BatchNorm{}), datasettest.Bars(t, 60),
		config, nil, RateSweep{Steps: 5})
	if err != nil || len(curve) == 0 {
		t.Errorf("FindRate: %v, %v", curve, err)
	}
}

// Penalties on activations in bf16 are the CPU's, and no other device's.
func TestPenaltiesInBF16AreTheCPUs(t *testing.T) {
	config := smallConfig(builder.EngineNative)
	config.Precision = PrecisionBF16
	config.ActivationPenalties = map[string]Penalty{"relu1": {L1: 1}}
	if _, err := config.WithDefaults(smallNetwork(t)); err != nil {
		t.Error(err)
	}
	config.Device = borrowed{config: config}
	const want = "a penalty on activations in bf16 is computed on the CPU alone, not on device "
	if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
