package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// An epoch is on the disk before anything is told of it, and what is measured of it
// afterwards is in the next checkpoint.
func TestAnEpochIsSavedBeforeItIsReported(t *testing.T) {
	trainer := newSmallTrainer(t, smallConfig(builder.DefaultEngine))
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	reported := 0
	accuracy := 0.5
	err := trainer.Fit(t.Context(), Callbacks{
		Save: func() error { return WriteCheckpoint(path, trainer.Checkpoint()) },
		Epoch: func(epoch *Epoch) error {
			reported++
			saved, err := ReadCheckpoint(path)
			if err != nil {
				t.Fatal(err)
			}
			last := saved.Progress.History[len(saved.Progress.History)-1]
			if last.Epoch != epoch.Epoch || last.TestAccuracy != nil || !saved.Progress.Unreported {
				t.Errorf("while epoch %d is reported, the checkpoint has %+v, unreported: %t", epoch.Epoch,
					last, saved.Progress.Unreported)
			}
			if n := len(saved.Progress.History); n > 1 && saved.Progress.History[n-2].TestAccuracy == nil {
				t.Errorf("what was measured of epoch %d is not saved", n-1)
			}
			epoch.TestAccuracy = &accuracy
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := ReadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	if reported != 3 || saved.Progress.Unreported || saved.Progress.Finished == "" {
		t.Errorf("%d epochs reported; saved %+v", reported, saved.Progress)
	}
	for _, epoch := range saved.Progress.History {
		if epoch.TestAccuracy == nil {
			t.Errorf("epoch %d is saved without what was measured", epoch.Epoch)
		}
	}
}

// A report that fails ends the run after its epoch was saved; the run that goes on
// reports that epoch first, and comes to the bits of an unbroken one. So does one
// whose report was interrupted.
func TestAnUnreportedEpochIsReportedOnResume(t *testing.T) {
	for name, interrupt := range map[string]bool{"failure": false, "interruption": true} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				config := smallConfig(engine)
				fit := func(ctx context.Context, trainer *Trainer, before func(Epoch) error) (epochs []int,
					err error) {
					set := datasettest.Bars(t, 60)
					err = trainer.Fit(ctx, Callbacks{Epoch: func(epoch *Epoch) error {
						if err := before(*epoch); err != nil {
							return err
						}
						evaluation, err := trainer.Evaluate(ctx, set)
						if err != nil {
							return err
						}
						epoch.TestAccuracy = &evaluation.Accuracy
						epochs = append(epochs, epoch.Epoch)
						return nil
					}})
					return epochs, err
				}
				always := func(Epoch) error { return nil }
				whole := newSmallTrainer(t, config)
				if _, err := fit(t.Context(), whole, always); err != nil {
					t.Fatal(err)
				}

				ctx, cancel := context.WithCancel(t.Context())
				full := errors.New("the disk is full")
				broken := newSmallTrainer(t, config)
				_, err := fit(ctx, broken, func(epoch Epoch) error {
					if epoch.Epoch != 2 {
						return nil
					}
					if interrupt {
						cancel()
						return nil
					}
					return full
				})
				cancel()
				if interrupt != errors.Is(err, ErrInterrupted) || interrupt == errors.Is(err, full) {
					t.Fatalf("error %v", err)
				}
				checkpoint, resumed := savedAndResumed(t, broken, datasettest.Bars(t, 60))
				if got := checkpoint.Progress; got.Epochs != 2 || !got.Unreported || got.Reported() != 1 {
					t.Fatalf("saved %+v", got)
				}
				epochs, err := fit(t.Context(), resumed, always)
				if err != nil {
					t.Fatal(err)
				}
				if len(epochs) != 2 || epochs[0] != 2 {
					t.Errorf("the resumed run reports the epochs %v, want 2 and 3", epochs)
				}
				if !bytes.Equal(encoded(t, whole.Checkpoint()), encoded(t, resumed.Checkpoint())) {
					t.Error("the resumed run differs from the unbroken one")
				}
			})
		})
	}
}

// A step is interrupted between two parts of its batch, and has changed nothing then.
func TestAStepIsInterruptedBetweenItsParts(t *testing.T) {
	trainer := penalisedTrainer(t, 300, 1)
	before := encoded(t, trainer.Checkpoint())
	ctx := &endsAfter{Context: t.Context(), looks: 3}
	saved := 0
	err := trainer.Fit(ctx, Callbacks{Save: func() error { saved++; return nil }})
	if !errors.Is(err, ErrInterrupted) || saved != 1 {
		t.Fatalf("error %v, saved %d times", err, saved)
	}
	if trainer.Progress().Step != 0 || !bytes.Equal(before, encoded(t, trainer.Checkpoint())) {
		t.Error("the interrupted step has left something behind")
	}
	if err := trainer.step(t.Context(), trainer.batches.Order(0)); err != nil {
		t.Fatal(err)
	}
	other := penalisedTrainer(t, 300, 1)
	if err := other.step(t.Context(), other.batches.Order(0)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, other.Checkpoint()), encoded(t, trainer.Checkpoint())) {
		t.Error("the step after an interrupted one differs from one that was not interrupted")
	}
}

// endsAfter is a context that ends once it was looked at so often.
type endsAfter struct {
	context.Context
	looks int
}

func (e *endsAfter) Err() error {
	if e.looks--; e.looks < 0 {
		return context.Canceled
	}
	return nil
}

// A loss that is finite but absurd is a divergence as well, in a step and after it.
func TestAnAbsurdLossIsADivergence(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		for name, change := range map[string]func(*Config){
			"step":       func(c *Config) { c.BatchSize = 30 },
			"validation": func(c *Config) { c.BatchSize, c.ValidationFraction = 48, 0.2 },
		} {
			config := smallConfig(engine)
			// The decay turns the weights round.
			config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1, WeightDecay: 1e20}
			config.Epochs = 1
			change(&config)
			network, err := builder.New("dense", builder.Shape{36}, builder.Dense{Units: 3})
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := New(network, datasettest.Bars(t, 60), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = trainer.Fit(t.Context(), Callbacks{})
			var told *DivergedError
			if !errors.As(err, &told) || !finite(told.Loss) || math.Abs(told.Loss) <= absurdLoss ||
				told.Validation != (name == "validation") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

// An epoch's mean loss and cross-entropy are those of its images, of which the last batch
// has fewer.
func TestAnEpochsMeansAreThoseOfItsImages(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs, config.Optimizer.LearningRate = 1, 0.1
		trainer := newSmallTrainer(t, config)
		images, steps := 0, 0
		byImage, byStep := 0.0, 0.0
		err := trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
			images, steps = images+report.Images, steps+1
			byImage += report.Loss * float64(report.Images)
			byStep += report.Loss
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		byImage, byStep = byImage/float64(images), byStep/float64(steps)
		epoch := trainer.Progress().History[0]
		if images != 60 || steps != 8 || math.Abs(byImage-byStep) < 1e-4 {
			t.Fatalf("%d images in %d steps, the means are %v and %v: nothing is tested", images, steps,
				byImage, byStep)
		}
		if math.Abs(epoch.MeanLoss-byImage) > 1e-12 || math.Abs(epoch.MeanCrossEntropy-byImage) > 1e-12 {
			t.Errorf("mean loss %v and cross-entropy %v; want %v, and not %v", epoch.MeanLoss,
				epoch.MeanCrossEntropy, byImage, byStep)
		}
	})
}
