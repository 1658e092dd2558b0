package train

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

func TestStopRules(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		epochs int
		want   string
	}{
		{"epochs", func(c *Config) { c.Epochs = 2 }, 2, "2 epochs are done"},
		{"loss", func(c *Config) { c.Epochs = 40; c.UntilLoss = 100 }, 1, "is below 100"},
		{"cap", func(c *Config) { c.Epochs = 2; c.UntilLoss = 1e-9 }, 2, "2 epochs are done"},
		{"patience", func(c *Config) {
			c.Epochs, c.ValidationFraction, c.Patience = 40, 0.2, 1
			c.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e-30}
		}, 2, "validation loss was lowest in epoch 1, 1 epoch ago"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				config := smallConfig(engine)
				test.change(&config)
				trainer := newSmallTrainer(t, config)
				if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
					t.Fatal(err)
				}
				if progress := trainer.Progress(); progress.Epochs != test.epochs ||
					!strings.Contains(progress.Finished, test.want) {
					t.Errorf("stopped after %d epochs because %q; want %d and %q", progress.Epochs,
						progress.Finished, test.epochs, test.want)
				}
			})
		})
	}
}

// Early stopping that is switched on for a run that goes on watches from there: neither
// does it stop at once, nor by what was best before it was switched off.
func TestPatienceOfARunThatGoesOn(t *testing.T) {
	for name, parts := range map[string][]int{"never on before": {0, 2},
		"switched off before": {9, 0, 2}} {
		t.Run(name, func(t *testing.T) {
			config := smallConfig(builder.DefaultEngine)
			config.ValidationFraction = 0.2
			var trainer *Trainer
			for i, patience := range parts { // three epochs each
				config.Epochs, config.Patience = 3*(i+1), patience
				if i == 0 {
					trainer = newSmallTrainer(t, config)
				} else {
					var err error
					if trainer, err = Resume(trainer.Checkpoint(), datasettest.Bars(t, 60), config); err != nil {
						t.Fatal(err)
					}
				}
				if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
					t.Fatal(err)
				}
			}
			before := 3 * (len(parts) - 1)
			if done := trainer.Progress(); done.Epochs <= before || done.BestEpoch <= before {
				t.Errorf("ended after %d epochs, the best being %d: %s", done.Epochs, done.BestEpoch,
					done.Finished)
			}
		})
	}
}

// A run that early stopping ended goes on with the bits of one that it did not end,
// while its result is the best epoch's weights, also as they are read for another run.
func TestAFinishedRunWithPatienceResumesBitForBit(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs, config.ValidationFraction, config.Patience = 30, 0.2, 20
		config.Optimizer.LearningRate = 0.3 // soon overshoots
		whole := newSmallTrainer(t, config)
		if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		config.Patience = 2
		first := newSmallTrainer(t, config)
		path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		if err := first.Fit(t.Context(),
			Callbacks{Save: func() error { return WriteCheckpoint(path, first.Checkpoint()) }}); err != nil {
			t.Fatal(err)
		}
		if done := first.Progress(); done.BestEpoch == done.Epochs ||
			done.Epochs >= whole.Progress().Epochs {
			t.Fatalf("%q after %d epochs, %q after %d: nothing is tested", done.Finished, done.Epochs,
				whole.Progress().Finished, whole.Progress().Epochs)
		}
		checkpoint, err := ReadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := ReadWeights(path, smallNetwork(t))
		if err != nil {
			t.Fatal(err)
		}
		for i, best := range first.Weights() {
			if !slices.Equal(checkpoint.Result()[i].Data, best.Data) ||
				!slices.Equal(read[i].Data, best.Data) {
				t.Errorf("%s of the result is not that of the best epoch", best.Name)
			}
			if !slices.Equal(first.Checkpoint().Weights[i].Data, checkpoint.Weights[i].Data) ||
				slices.Equal(checkpoint.Weights[i].Data, best.Data) {
				t.Errorf("%s of the checkpoint is not that of the last epoch", best.Name)
			}
		}
		config.Patience = 20
		resumed, err := Resume(checkpoint, datasettest.Bars(t, 60), config)
		if err != nil {
			t.Fatal(err)
		}
		if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, whole.Checkpoint()), encoded(t, resumed.Checkpoint())) {
			t.Error("the resumed run differs from the unbroken one")
		}
	})
}

func TestPatienceKeepsTheBestWeights(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs, config.ValidationFraction, config.Patience = 30, 0.2, 2
		config.Optimizer.LearningRate = 0.3 // soon overshoots
		trainer := newSmallTrainer(t, config)
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		evaluation, err := trainer.Evaluate(context.Background(), trainer.validation)
		if err != nil {
			t.Fatal(err)
		}
		progress := trainer.Progress()
		if evaluation.Loss != progress.BestLoss || progress.BestEpoch == progress.Epochs {
			t.Errorf("validation loss %v after epoch %d, the best was %v in epoch %d", evaluation.Loss,
				progress.Epochs, progress.BestLoss, progress.BestEpoch)
		}
	})
}

// A checkpoint says whether the run has anything left to train that goes on from it, also where
// that tells its best epoch by another measure, of which nothing is known so far.
func TestACheckpointKnowsWhetherItEnds(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := smallConfig(builder.EngineNative)
	config.Epochs, config.ValidationFraction, config.Patience = 9, 0.2, 1
	config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e-30} // no epoch is better
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	checkpoint := trainer.Checkpoint()
	for _, test := range []struct {
		best   string
		epochs int
		ends   bool
	}{{"", 9, true}, {BestValidationLoss, 9, true}, {BestTrainingLoss, 9, false},
		{BestTrainingLoss, 2, true}} {
		config.Best, config.Epochs = test.best, test.epochs
		resumed, err := Resume(checkpoint, set, config)
		if err != nil {
			t.Fatal(err)
		}
		defer resumed.Close()
		if rule := resumed.StopRule(); checkpoint.Ends(config) != test.ends ||
			(rule != "") != test.ends {
			t.Errorf("%+v: the checkpoint ends: %t, and the run by %q", test, checkpoint.Ends(config),
				rule)
		}
	}
}
