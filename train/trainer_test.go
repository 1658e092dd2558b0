package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

func TestFitLearns(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs = 12
		trainer := newSmallTrainer(t, config)
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		history := trainer.Progress().History
		if len(history) != 12 {
			t.Fatalf("%d epochs recorded, want 12", len(history))
		}
		first, last := history[0], history[11]
		if first.Steps != 8 || last.MeanLoss > first.MeanLoss/2 {
			t.Errorf("%d steps an epoch, mean loss %v → %v; want 8 steps and the loss halved", first.Steps,
				first.MeanLoss, last.MeanLoss)
		}
		evaluation, err := trainer.Evaluate(context.Background(), datasettest.Bars(t, 60))
		if err != nil {
			t.Fatal(err)
		}
		if evaluation.Accuracy < 0.95 || len(evaluation.Logits) != 60*3 {
			t.Errorf("accuracy %v with %d logits, want at least 0.95 with 180", evaluation.Accuracy,
				len(evaluation.Logits))
		}
	})
}

// train(2N) must equal train(N) and resume(N), bit for bit: through a file, and
// from the middle of an epoch.
func TestResumeIsBitForBit(t *testing.T) {
	for _, optimizer := range []OptimizerConfig{
		{Name: "adam"}, {Name: "adamw", WeightDecay: 0.1}, {Name: "sgd", Momentum: 0.9, Nesterov: true,
			LearningRate: 0.01}, {Name: "rmsprop", Momentum: 0.5, LearningRate: 0.001},
		{Name: "lion", WeightDecay: 0.1}, {Name: "muon", WeightDecay: 0.1},
	} {
		t.Run(optimizer.Name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				config := smallConfig(engine)
				config.Optimizer = optimizer
				config.ParameterPenalty = Penalty{L1: 0.001, L2: 0.001}
				config.ActivationPenalties = map[string]Penalty{"relu2": {L1: 0.01, L2: 0.01}}
				config.ValidationFraction = 0.2
				config.Patience = 50
				whole := newSmallTrainer(t, config)
				if err := whole.Fit(context.Background(), Callbacks{}); err != nil {
					t.Fatal(err)
				}

				ctx, cancel := context.WithCancel(context.Background())
				broken := newSmallTrainer(t, config)
				steps := 0
				err := broken.Fit(ctx, Callbacks{Step: func(StepReport) error {
					if steps++; steps == 9 {
						cancel()
					}
					return nil
				}})
				if !errors.Is(err, ErrInterrupted) {
					t.Fatalf("Fit returned %v, want ErrInterrupted", err)
				}
				if done := broken.Progress(); done.Step != 9 || done.EpochStep != 3 {
					t.Fatalf("interrupted at step %d, step %d of the epoch; want 9 and 3", done.Step,
						done.EpochStep)
				}
				_, resumed := savedAndResumed(t, broken, datasettest.Bars(t, 60))
				if err := resumed.Fit(context.Background(), Callbacks{}); err != nil {
					t.Fatal(err)
				}

				if want, got := encoded(t, whole.Checkpoint()),
					encoded(t, resumed.Checkpoint()); !bytes.Equal(want, got) {
					t.Errorf("resumed run differs from the unbroken one:\n%s\n%s", want[:4000], got[:4000])
				}
			})
		})
	}
}

// encoded returns the checkpoint's file, with its times set to zero.
func encoded(t *testing.T, c *Checkpoint) []byte {
	t.Helper()
	c.Progress.Seconds = 0
	for i := range c.Progress.History {
		c.Progress.History[i].Seconds, c.Progress.History[i].ImagesPerSecond = 0, 0
	}
	path := t.TempDir() + "/checkpoint.safetensors"
	if err := WriteCheckpoint(path, c); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// An interruption whose state could not be saved is no ErrInterrupted, which says that
// it was.
func TestAnInterruptionThatCannotBeSaved(t *testing.T) {
	trainer := newSmallTrainer(t, smallConfig(builder.DefaultEngine))
	ctx, cancel := context.WithCancel(t.Context())
	full := errors.New("the disk is full")
	err := trainer.Fit(ctx, Callbacks{
		Step: func(StepReport) error {
			cancel()
			return nil
		},
		Save: func() error { return full },
	})
	var unsaved *UnsavedError
	if !errors.As(err, &unsaved) || !errors.Is(err, full) || errors.Is(err, ErrInterrupted) {
		t.Errorf("error %v, want an UnsavedError", err)
	}
}

// A context that ends while an epoch is evaluated does not cost the epoch.
func TestAnInterruptedEvaluationKeepsTheEpoch(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.ValidationFraction = 0.2
	trainer := newSmallTrainer(t, config)
	ctx, cancel := context.WithCancel(t.Context())
	var saved Progress
	err := trainer.Fit(ctx, Callbacks{
		Step: func(report StepReport) error {
			if report.Step == report.Steps {
				cancel()
			}
			return nil
		},
		Save: func() error {
			saved = trainer.Progress()
			return nil
		},
	})
	if !errors.Is(err, ErrInterrupted) || saved.Epochs != 1 || len(saved.History) != 1 ||
		saved.History[0].ValidationLoss == nil {
		t.Errorf("%v; saved after %d epochs", err, saved.Epochs)
	}
}

func TestDivergenceNamesTheStepAndTheBatch(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e30}
		config.Pixels = PixelsRaw
		trainer := newSmallTrainer(t, config)
		err := trainer.Fit(context.Background(), Callbacks{})
		var diverged *DivergedError
		if !errors.As(err, &diverged) {
			t.Fatalf("error %v, want a DivergedError", err)
		}
		if diverged.Epoch != 1 || diverged.Step < 2 || len(diverged.Indices) != 8 ||
			!(math.IsNaN(diverged.Loss) || math.IsInf(diverged.Loss, 0)) {
			t.Errorf("diverged %+v, want step 2 or later of epoch 1 with 8 images", diverged)
		}
	})
}

// Weights that overflow in the last step of an epoch show in the loss of the images held
// out.
func TestDivergenceAtTheEndOfAnEpoch(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e30}
		config.Pixels = PixelsRaw
		config.BatchSize = 48 // all that is left to train on
		config.ValidationFraction = 0.2
		err := newSmallTrainer(t, config).Fit(t.Context(), Callbacks{})
		var diverged *DivergedError
		if !errors.As(err, &diverged) || !diverged.Validation || diverged.Epoch != 1 ||
			diverged.Step != 1 {
			t.Fatalf("error %v (%+v), want a DivergedError after epoch 1", err, diverged)
		}
		if text := err.Error(); !strings.Contains(text, "the validation loss is NaN after epoch 1") {
			t.Error(text)
		}
	})
}

// Weights that overflow in the last step are not saved, whether it ends an epoch or an
// interruption follows.
func TestOverflowInTheLastStepIsNotSaved(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		for name, interrupt := range map[string]bool{"epoch": false, "interruption": true} {
			t.Run(name, func(t *testing.T) {
				config := smallConfig(engine)
				config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e39} // infinite as a float32
				config.Epochs, config.BatchSize = 1, 60
				if interrupt {
					config.BatchSize = 30
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := newSmallTrainer(t, config).Fit(ctx, Callbacks{
					Step: func(StepReport) error {
						if interrupt {
							cancel()
						}
						return nil
					},
					Save: func() error {
						t.Error("saved")
						return nil
					},
				})
				var diverged *DivergedError
				var unsaved *UnsavedError
				if !errors.As(err, &diverged) || !diverged.Weights || diverged.Epoch != 1 ||
					diverged.Step != 1 || errors.As(err, &unsaved) != interrupt {
					t.Fatalf("error %v (%+v), want a DivergedError of the weights", err, diverged)
				}
				if text := err.Error(); !strings.Contains(text,
					"the weights are no longer finite after epoch 1, step 1; try a lower learning rate") {
					t.Error(text)
				}
			})
		}
	})
}

func TestConfigRejects(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"engine", func(c *Config) { c.Engine = "tpu" }, `unknown engine "tpu"`},
		{"optimizer", func(c *Config) { c.Optimizer.Name = "adagrad" }, `unknown optimizer "adagrad"`},
		{"momentum of adam", func(c *Config) { c.Optimizer.Momentum = 0.9 }, "adam has no momentum"},
		{"alpha of sgd", func(c *Config) { c.Optimizer = OptimizerConfig{Name: "sgd", Alpha: 0.9} },
			"sgd has no alpha"},
		{"nesterov alone", func(c *Config) { c.Optimizer = OptimizerConfig{Name: "sgd", Nesterov: true} },
			"Nesterov needs sgd with momentum"},
		{"beta1", func(c *Config) { c.Optimizer.Beta1 = 1 }, "beta1 1 is out of range"},
		{"rate", func(c *Config) { c.Optimizer.LearningRate = -1 }, "learning rate -1 is out of range"},
		{"rate NaN", func(c *Config) { c.Optimizer.LearningRate = math.NaN() },
			"learning rate NaN is out of range"},
		{"batch", func(c *Config) { c.BatchSize = -1 }, "batch size -1"},
		{"epochs", func(c *Config) { c.Epochs = -1 }, "-1 epochs"},
		{"threshold", func(c *Config) { c.UntilLoss = -1 }, "threshold -1"},
		{"threshold NaN", func(c *Config) { c.UntilLoss = math.NaN() },
			"threshold NaN is no finite number"},
		{"threshold Inf", func(c *Config) { c.UntilLoss = math.Inf(1) },
			"threshold +Inf is no finite number"},
		{"validation", func(c *Config) { c.ValidationFraction = 1 }, "validation fraction 1"},
		{"patience alone", func(c *Config) { c.Patience = 3 }, "needs a validation fraction"},
		{"pixels", func(c *Config) { c.Pixels = "0…2" }, `pixels "0…2"`},
		{"penalty", func(c *Config) { c.ParameterPenalty.L1 = -1 }, "neither may be negative"},
		{"infinite penalty", func(c *Config) { c.ParameterPenalty.L1 = math.Inf(1) },
			"both must be finite"},
		{"penalty NaN", func(c *Config) {
			c.ActivationPenalties = map[string]Penalty{"relu1": {L2: math.NaN()}}
		}, "both must be finite"},
		{"layer", func(c *Config) { c.ActivationPenalties = map[string]Penalty{"relu9": {}} },
			`no layer "relu9"`},
		{"checkpoints", func(c *Config) { c.KeepCheckpoints = -1 }, "at least 1 kept"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := smallConfig(builder.DefaultEngine)
			test.change(&config)
			if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestTrainerRejectsASetThatDoesNotFit(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(e1, datasettest.Bars(t, 8), Config{}, nil); err == nil ||
		!strings.Contains(err.Error(), "takes 1×28×28, the images of small are 1×6×6") {
		t.Errorf("error %v", err)
	}
	two, err := builder.New("two", builder.Shape{36}, builder.Dense{Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(two, datasettest.Bars(t, 8), Config{}, nil); err == nil ||
		!strings.Contains(err.Error(), "has 2 logits, small has 3 classes") {
		t.Errorf("error %v", err)
	}
}
