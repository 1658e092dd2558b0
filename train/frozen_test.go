package train

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/networktest"
)

// residualConfig trains a part of networktest's residual network.
func residualConfig(engine string) Config {
	config := smallConfig(engine)
	config.ActivationPenalties = nil
	config.Freeze = []string{"conv1.*", "*.bias"}
	config.Decay = DecayWeights
	config.Optimizer = OptimizerConfig{Name: "adamw", LearningRate: 0.02, WeightDecay: 0.1}
	return config
}

func newResidualTrainer(t *testing.T, config Config) *Trainer {
	t.Helper()
	trainer, err := New(networktest.Residual(t, builder.Shape{1, 6, 6}, 3), datasettest.Bars(t, 60),
		config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	return trainer
}

// What is frozen stays in all bits, also under weight decay, and what is not changes; statistics
// are kept by their layer, whatever the patterns.
func TestFrozenParametersStay(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		trainer := newResidualTrainer(t, residualConfig(engine))
		before := trainer.Checkpoint().Weights
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		for i, after := range trainer.Checkpoint().Weights {
			frozen := strings.HasPrefix(after.Name, "conv1.") || strings.HasSuffix(after.Name, ".bias")
			if same := slices.Equal(before[i].Data, after.Data); same != frozen {
				t.Errorf("%s: frozen is %v, unchanged is %v", after.Name, frozen, same)
			}
		}
	})
}

// A run with frozen parameters goes on bit for bit, under the same settings in any order, and under
// no others.
func TestResumeWithFrozenParameters(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := residualConfig(engine)
		whole := newResidualTrainer(t, config)
		if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		half := config
		half.Epochs = config.Epochs / 2
		first := newResidualTrainer(t, half)
		if err := first.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		checkpoint, _ := savedAndResumed(t, first, datasettest.Bars(t, 60))
		for name, change := range map[string]func(*Config){
			"freeze": func(c *Config) { c.Freeze = []string{"conv1.*"} },
			"decay":  func(c *Config) { c.Decay = DecayAll },
		} {
			other := config
			change(&other)
			if _, err := Resume(checkpoint, datasettest.Bars(t, 60), other); err == nil ||
				!strings.Contains(err.Error(), name+" was ") {
				t.Errorf("another %s: %v", name, err)
			}
		}
		config.Freeze = []string{"*.bias", "conv1.*", "*.bias"}
		resumed, err := Resume(checkpoint, datasettest.Bars(t, 60), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(resumed.Close)
		if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		resumed.config.Freeze = whole.config.Freeze
		if !bytes.Equal(encoded(t, whole.Checkpoint()), encoded(t, resumed.Checkpoint())) {
			t.Error("the resumed run differs from the unbroken one")
		}
	})
}

// Decay that is said and decay that is not are one setting.
func TestDecayOfAllIsTheDefault(t *testing.T) {
	config := residualConfig(builder.DefaultEngine)
	config.Decay, config.Epochs = "", 1
	trainer := newResidualTrainer(t, config)
	checkpoint, _ := savedAndResumed(t, trainer, datasettest.Bars(t, 60))
	config.Decay = DecayAll
	if _, err := Resume(checkpoint, datasettest.Bars(t, 60), config); err != nil {
		t.Error(err)
	}
}

// Early stopping goes back to the statistics of the best epoch as well.
func TestPatienceKeepsTheBestStatistics(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := residualConfig(engine)
		config.Freeze = nil
		config.Epochs, config.ValidationFraction, config.Patience = 30, 0.2, 2
		config.Optimizer.LearningRate = 0.3 // soon overshoots
		trainer := newResidualTrainer(t, config)
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		evaluation, err := trainer.Evaluate(t.Context(), trainer.validation)
		if err != nil {
			t.Fatal(err)
		}
		progress := trainer.Progress()
		if evaluation.Loss != progress.BestLoss || progress.BestEpoch == progress.Epochs {
			t.Errorf("validation loss %v after epoch %d, the best was %v in epoch %d",
				evaluation.Loss, progress.Epochs, progress.BestLoss, progress.BestEpoch)
		}
	})
}

// A layer whose name is that of another one's state would end the run at its first checkpoint.
func TestNamesOfCheckpoints(t *testing.T) {
	for _, name := range []string{"optimizer.exp_avg.fc1", "optimizer.exp_avg_sq.fc1", "best.fc1",
		"ema.fc1"} {
		network, err := builder.New("named", builder.Shape{1, 6, 6},
			builder.Flatten{}, builder.Dense{Name: name, Units: 3}, builder.Dense{Name: "fc1", Units: 3})
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(network, datasettest.Bars(t, 8), Config{EMA: EMA{Decay: 0.9}}, nil)
		if err == nil || !strings.Contains(err.Error(),
			"a tensor "+name+".weight, and a checkpoint calls fc1.weight's state so") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAVarianceBelowZero(t *testing.T) {
	network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
	weights := network.InitialWeights(3)
	for i := range weights {
		if strings.HasSuffix(weights[i].Name, "running_var") {
			weights[i].Data[1] = -1e-3
		}
	}
	if _, err := New(network, datasettest.Bars(t, 8), Config{}, weights); err == nil ||
		!strings.Contains(err.Error(), `running_var" holds -0.001 at element 1`) {
		t.Error(err)
	}
}
