package train

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// overshooting is a configuration whose later epochs are worse than earlier ones.
func overshooting(engine string) Config {
	config := smallConfig(engine)
	config.Epochs, config.ValidationFraction = 12, 0.2
	config.Optimizer.LearningRate = 0.1
	return config
}

// A run that keeps the best weights trains all its epochs, and comes to those of the epoch
// that was best by the measure, the first of equal ones.
func TestTheBestEpochByEachMeasure(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		epochs := make(map[string]int)
		for _, m := range measures() {
			config := overshooting(engine)
			config.Best = m.name
			set := datasettest.Bars(t, 60)
			if m.multiLabel {
				set = datasettest.Stripes(t, 60)
			}
			trainer, err := New(smallNetwork(t), set, config, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(trainer.Close)
			var after []builder.Weights
			if err := trainer.Fit(t.Context(), Callbacks{Epoch: func(*Epoch) error {
				after = append(after, trainer.Weights())
				return nil
			}}); err != nil {
				t.Fatal(err)
			}
			progress, best := trainer.Progress(), 0
			for i, epoch := range progress.History {
				is, was := *m.value(epoch), *m.value(progress.History[best])
				if m.highest && is > was || !m.highest && is < was {
					best = i
				}
			}
			if progress.Epochs != config.Epochs || progress.BestEpoch != best+1 {
				t.Errorf("%s: epoch %d of %d is kept, want epoch %d of %d", m.name, progress.BestEpoch,
					progress.Epochs, best+1, config.Epochs)
			}
			equalWeights(t, trainer.Weights(), after[best])
			equalWeights(t, trainer.Checkpoint().Result(), after[best])
			if result := progress.Result(trainer.Config()); result.Epoch != best+1 {
				t.Errorf("%s: the result is of epoch %d", m.name, result.Epoch)
			}
			epochs[m.name] = best + 1
		}
		if epochs[BestValidationLoss] == 12 && epochs[BestTrainingLoss] == 12 {
			t.Errorf("all are best at the end: nothing is tested: %v", epochs)
		}
	})
}

// Patience watches the measure that is named.
func TestPatienceByAMeasure(t *testing.T) {
	config := overshooting(builder.DefaultEngine)
	config.Epochs, config.Patience, config.Best = 40, 2, BestValidationAccuracy
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	progress := trainer.Progress()
	if progress.Epochs != progress.BestEpoch+2 ||
		!strings.Contains(progress.Finished, "the validation accuracy was highest in epoch") {
		t.Errorf("ended after %d epochs, the best being %d: %s", progress.Epochs, progress.BestEpoch,
			progress.Finished)
	}
}

// A run that goes on by another measure knows no best epoch yet; by the same one it does.
func TestAnotherMeasureOnResume(t *testing.T) {
	config := overshooting(builder.DefaultEngine)
	config.Epochs, config.Best = 3, BestTrainingLoss
	first := newSmallTrainer(t, config)
	defer first.Close()
	if err := first.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	for name, keeps := range map[string]bool{BestTrainingLoss: true, BestTrainingAccuracy: false,
		"": true} {
		config.Best = name
		resumed, err := Resume(first.Checkpoint(), datasettest.Bars(t, 60), config)
		if err != nil {
			t.Fatal(err)
		}
		defer resumed.Close()
		if name == "" {
			if resumed.config.KeepsBest() {
				t.Error("it still keeps the best weights")
			}
			continue
		}
		if (resumed.progress.BestEpoch > 0) != keeps || (resumed.best != nil) != keeps {
			t.Errorf("by %s: the best epoch is %d", name, resumed.progress.BestEpoch)
		}
	}
}

func TestBestRejects(t *testing.T) {
	for _, test := range []struct {
		best       string
		validation float64
		want       string
	}{
		{"test-accuracy", 0.2, "nothing is chosen by the test set"},
		{"loss", 0.2,
			`the best epoch by "loss": there are validation-loss, validation-accuracy, training-loss, training-accuracy`},
		{BestValidationAccuracy, 0, "the best epoch by validation-accuracy needs a validation fraction"},
		{BestTrainingLoss, 0, ""},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Best, config.ValidationFraction = test.best, test.validation
		_, err := config.WithDefaults(smallNetwork(t))
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
