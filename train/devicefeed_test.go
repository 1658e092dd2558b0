package train

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

// fedRuns are what batches are fed for: by their names, the configuration, the set, and whether the
// device holds it.
func fedRuns(t *testing.T) map[string]struct {
	change func(*Config)
	set    *dataset.Set
	held   bool
} {
	bars, stripes := datasettest.Bars(t, 60), datasettest.Stripes(t, 60)
	shifted := augment.Record{augment.Rotation{Degrees: 10}, augment.Shift{Pixels: 1}}
	return map[string]struct {
		change func(*Config)
		set    *dataset.Set
		held   bool
	}{
		"augmented": {func(c *Config) { c.Augmentation = shifted }, bars, true},
		"mixed": {func(c *Config) {
			c.Mix = Mix{MixUp: 0.8, CutMix: 1, Probability: 0.9}
			c.Loss = Loss{Smoothing: 0.1}
		}, bars, true},
		"drawn and augmented": {func(c *Config) {
			c.Sampling, c.Augmentation = SamplingBalanced, shifted
		}, bars, true},
		"large": {func(c *Config) {}, bars, false},
		"large of several labels": {func(c *Config) {
			c.Loss, c.Augmentation = Loss{Name: LossBinary}, shifted
			c.Mix = Mix{MixUp: 0.8}
		}, stripes, false},
		"augmented, with a recipe": {func(c *Config) {
			c.Augmentation, c.ClipNorm = shifted, 0.1
			c.EMA, c.Schedule = EMA{Decay: 0.9, Warmup: true}, Schedule{Name: ScheduleCosine,
				WarmupEpochs: 0.5}
			c.Optimizer.WeightDecay, c.Decay = 0.1, DecayWeights
		}, bars, true},
		"mixed, with frozen layers and rates": {func(c *Config) {
			c.Mix, c.Freeze = Mix{MixUp: 0.8}, []string{"conv1.*"}
			c.FineTune.Rates = []Rate{{HeadWord, 0.02}}
		}, bars, true},
		"large, averaged": {func(c *Config) {
			c.Loss, c.EMA = Loss{Name: LossBinary}, EMA{Decay: 0.9}
		}, stripes, false},
	}
}

// Steps of several batches are fed whole. Pairs of images that are mixed stay in one of them, also
// where a batch has an odd number of images.
func TestStepsOfSeveralBatchesAreFed(t *testing.T) {
	set := datasettest.Bars(t, 60)
	for size, want := range map[int]int{2: 2, 3: 4} {
		here, there := onBorrowed()
		for _, c := range []*Config{&here, &there} {
			c.Mix, c.BatchSize, c.Accumulate = Mix{MixUp: 0.8}, size, 2
			// Means over the images of a batch tell which these were.
			c.ActivationPenalties = map[string]Penalty{"relu1": {L1: 0.01, L2: 0.01}}
		}
		there.Device = borrowed{config: here, set: set}
		whole, away := newSmallTrainer(t, here), newSmallTrainer(t, there)
		defer whole.Close()
		defer away.Close()
		for _, trainer := range []*Trainer{whole, away} {
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
		}
		sameRun(t, away.Checkpoint(), whole.Checkpoint())
		session := away.device.session.(*borrowedSession)
		if session.job.Batch != want || session.fed.steps != 3*((48+2*size-1)/(2*size)) {
			t.Errorf("batches of %d: %d images of a step are together, want %d; %d steps were fed", size,
				session.job.Batch, want, session.fed.steps)
		}
	}
}

// A run whose batches are fed comes to the bits of a run on the CPU, also if it is interrupted in
// the middle of an epoch and goes on, and so does its evaluation.
func TestARunIsFedToADevice(t *testing.T) {
	for name, test := range fedRuns(t) {
		t.Run(name, func(t *testing.T) {
			here, there := onBorrowed()
			test.change(&here)
			test.change(&there)
			borrowing := borrowed{config: here, set: test.set}
			if !test.held {
				borrowing.most = 1
			}
			there.Device = borrowing
			trainer := func(config Config) *Trainer {
				t.Helper()
				trainer, err := New(smallNetwork(t), test.set, config, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(trainer.Close)
				return trainer
			}
			whole, away := trainer(here), trainer(there)
			for _, trainer := range []*Trainer{whole, away} {
				if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
					t.Fatal(err)
				}
			}
			sameRun(t, away.Checkpoint(), whole.Checkpoint())
			equalWeights(t, away.Checkpoint().Average, whole.Checkpoint().Average)
			if fed := away.device.session.(*borrowedSession).fed.steps; fed != 3*24 {
				t.Errorf("%d steps were fed, want 72", fed)
			}
			var evaluations [2]*Evaluation
			for i, trainer := range []*Trainer{whole, away} {
				var err error
				if evaluations[i], err = trainer.Evaluate(t.Context(), test.set); err != nil {
					t.Fatal(err)
				}
			}
			if !reflect.DeepEqual(evaluations[0], evaluations[1]) {
				t.Error("the device evaluates otherwise")
			}

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			broken := trainer(there)
			err := broken.Fit(ctx, Callbacks{Step: func(report StepReport) error {
				if report.Epoch == 2 && report.Step == 21 {
					cancel()
				}
				return nil
			}})
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("Fit returned %v", err)
			}
			resumed, err := Resume(broken.Checkpoint(), test.set, there)
			if err != nil {
				t.Fatal(err)
			}
			defer resumed.Close()
			if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			sameRun(t, resumed.Checkpoint(), whole.Checkpoint())
		})
	}
}

// Images that are drawn and not changed stay on the device: their order names some several times.
func TestDrawnImagesStayOnTheDevice(t *testing.T) {
	here, there := onBorrowed()
	here.Sampling, there.Sampling = SamplingBalanced, SamplingBalanced
	there.Device = borrowed{config: here}
	whole, away := newSmallTrainer(t, here), newSmallTrainer(t, there)
	defer whole.Close()
	defer away.Close()
	for _, trainer := range []*Trainer{whole, away} {
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
	}
	sameRun(t, away.Checkpoint(), whole.Checkpoint())
	session := away.device.session.(*borrowedSession)
	order := slices.Clone(session.order)
	slices.Sort(order)
	if session.fed.steps != 0 || len(slices.Compact(order)) == len(session.order) {
		t.Errorf("%d steps were fed, of the order %v", session.fed.steps, session.order)
	}
}

// fedBy is a configuration whose batches are fed to a device from that source.
func fedBy(change func(*Config)) Config {
	here, there := onBorrowed()
	here.ValidationFraction, here.Patience = 0, 0
	there.ValidationFraction, there.Patience = 0, 0
	change(&here)
	change(&there)
	there.Device = borrowed{config: here, most: 1}
	return there
}

// withSet is the configuration with the set that its device's sessions are made for.
func withSet(config Config, set *dataset.Set) Config {
	borrowing := config.Device.(borrowed)
	borrowing.set = set
	config.Device = borrowing
	return config
}

// What the device learned before an image cannot be read is saved; with the image, the run goes on
// to the bits of an unbroken one.
func TestAnImageThatCannotBeFed(t *testing.T) {
	gone := errors.New("own/a.png is gone")
	set := datasettest.Bars(t, 60)
	config := withSet(fedBy(func(*Config) {}), set)
	whole, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	// The source fails in any epoch, once the second is under way.
	source := &failing{Source: set, index: -1, epoch: -1, err: gone}
	broken, err := New(smallNetwork(t), source, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	saves, last := 0, broken.batches.Order(1)[40]
	err = broken.Fit(t.Context(), Callbacks{
		Save: func() error { saves++; return nil },
		Step: func(report StepReport) error {
			if report.Epoch == 2 {
				source.index = last
			}
			return nil
		},
	})
	var unread *ReadError
	if !errors.As(err, &unread) || !errors.Is(err, gone) ||
		!strings.Contains(err.Error(), "epoch 2, step 21: read images: own/a.png is gone") {
		t.Fatalf("Fit returned %v", err)
	}
	if now := broken.Progress(); saves != 2 || now.Step != 30+20 || now.EpochStep != 20 ||
		now.Images != 40 {
		t.Errorf("saved %d times, after %+v", saves, now)
	}
	resumed, err := Resume(broken.Checkpoint(), set, config)
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Close()
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, resumed.Checkpoint(), whole.Checkpoint())
	// So is one that is evaluated.
	source.index = 7
	if _, err := broken.Evaluate(t.Context(), source); !errors.As(err, &unread) {
		t.Errorf("Evaluate returned %v", err)
	}
}

// That a step has diverged is told although an image cannot be read before anybody has looked.
func TestAStepThatDivergedBeforeAnImageThatCannotBeFed(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := withSet(fedBy(func(c *Config) {
		c.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e30}
	}), set)
	source := &failing{Source: set, index: -1, epoch: -1, err: errors.New("gone")}
	trainer, err := New(smallNetwork(t), source, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	order := trainer.batches.Order(0)
	source.index = order[20]
	var found *DivergedError
	err = trainer.Fit(t.Context(), Callbacks{})
	if !errors.As(err, &found) || found.Epoch != 1 || found.Step >= 11 ||
		!slices.Equal(found.Indices, order[2*(found.Step-1):2*found.Step]) {
		t.Errorf("Fit returned %v", err)
	}
}

// A run that is asked to end while a batch is made ends before its step.
func TestAnInterruptionWhileABatchIsFed(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := withSet(fedBy(func(*Config) {}), set)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source := &ending{set, -1, cancel}
	trainer, err := New(smallNetwork(t), source, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	source.index = trainer.batches.Order(0)[10]
	if err := trainer.Fit(ctx, Callbacks{}); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("Fit returned %v", err)
	}
	if now := trainer.Progress(); now.Step != 5 || now.EpochStep != 5 || now.Images != 10 {
		t.Errorf("ended after %+v, want 5 steps", now)
	}
}

// A set that the device does not hold is not loaded whole, not even to be evaluated.
func TestALargeSetIsNotLoaded(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := withSet(fedBy(func(c *Config) { c.Epochs = 1 }), set)
	config.ValidationFraction = 0.2
	borrowing := config.Device.(borrowed)
	borrowing.most = 36*12 - 1 // of 12 images that are held out, one byte too few
	config.Device = borrowing
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if len(trainer.device.loaded) > 0 {
		t.Errorf("%d sets were loaded", len(trainer.device.loaded))
	}
	borrowing.most++
	config.Device = borrowing
	other := newSmallTrainer(t, config)
	defer other.Close()
	if err := other.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if len(other.device.loaded) != 1 {
		t.Errorf("%d sets were loaded, want the one held out", len(other.device.loaded))
	}
}

// unkeyed is a source of somebody's own that is no key of a map.
type unkeyed struct {
	dataset.Source
	_ []string
}

// A source that cannot be told from others is trained on and evaluated on a device as on the CPU.
func TestASourceThatIsNoKeyOnADevice(t *testing.T) {
	here, there := onBorrowed()
	here.ValidationFraction, here.Patience = 0, 0
	there.ValidationFraction, there.Patience = 0, 0
	source := unkeyed{Source: datasettest.Bars(t, 60)}
	there.Device = borrowed{config: here, set: source.Source.(*dataset.Set)}
	var checkpoints [2]*Checkpoint
	var evaluations [2]*Evaluation
	for i, config := range []Config{here, there} {
		trainer, err := New(smallNetwork(t), source, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		if evaluations[i], err = trainer.Evaluate(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		checkpoints[i] = trainer.Checkpoint()
	}
	sameRun(t, checkpoints[1], checkpoints[0])
	if !reflect.DeepEqual(evaluations[1], evaluations[0]) {
		t.Error("the device evaluates otherwise")
	}
}
