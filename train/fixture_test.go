package train

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// smallNetwork has every kind of layer that learns or draws random numbers, on
// 6×6 images.
func smallNetwork(t testing.TB) *builder.Network {
	t.Helper()
	network, err := builder.New("small", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)},
		builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.Flatten{},
		builder.Dense{Units: 8},
		builder.ReLU{},
		builder.Dropout{P: 0.25},
		builder.Dense{Units: 3},
	)
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// smallConfig trains on batches of 8, of which the last of an epoch is short.
func smallConfig(engine string) Config {
	return Config{Data: "small", BatchSize: 8, Epochs: 3, Seed: 7, Engine: engine, Pixels: PixelsUnit,
		Optimizer: OptimizerConfig{Name: "adam", LearningRate: 0.01}}
}

func newSmallTrainer(t testing.TB, config Config) *Trainer {
	t.Helper()
	trainer, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return trainer
}

// eachEngine runs the test on every engine there is.
func eachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	t.Helper()
	for _, engine := range builder.EngineNames() {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

// savedAndResumed writes the trainer's checkpoint and returns what was read back, and
// a trainer that goes on from it.
func savedAndResumed(t *testing.T, broken *Trainer, set *dataset.Set) (*Checkpoint, *Trainer) {
	t.Helper()
	path := t.TempDir() + "/checkpoint.safetensors"
	if err := WriteCheckpoint(path, broken.Checkpoint()); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := ReadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := Resume(checkpoint, set, checkpoint.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resumed.Close)
	return checkpoint, resumed
}

// brokenOff trains until step 3 of the second epoch and returns the trainer as it was
// interrupted there.
func brokenOff(t *testing.T, network *builder.Network, set *dataset.Set, config Config) *Trainer {
	t.Helper()
	trainer, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = trainer.Fit(ctx, Callbacks{Step: func(report StepReport) error {
		if report.Epoch == 2 && report.Step == 3 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("Fit returned %v, want ErrInterrupted", err)
	}
	return trainer
}

// resumesBitForBit checks that a run that is broken off within an epoch, on other threads, comes to
// the checkpoint of one that is not, to the last bit. It returns the checkpoint of the break.
func resumesBitForBit(t *testing.T, network *builder.Network, set *dataset.Set, config Config,
	threads int) *Checkpoint {
	t.Helper()
	whole, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(whole.Close)
	if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	config.Threads = threads
	checkpoint, resumed := savedAndResumed(t, brokenOff(t, network, set, config), set)
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, whole.Checkpoint()), encoded(t, resumed.Checkpoint())) {
		t.Error("the resumed run differs from the unbroken one")
	}
	return checkpoint
}

// ofSizes are parameters of so many values, all of which weight decay is of.
func ofSizes(sizes ...int) []updated {
	var parameters []updated
	for at, size := range sizes {
		parameters = append(parameters, updated{spec: builder.TensorSpec{Shape: builder.Shape{size}},
			at: at, decays: true})
	}
	return parameters
}

// trained returns what trains a trainer that New or Resume returns to its end.
func trained(t *testing.T) func(*Trainer, error) *Trainer {
	return func(trainer *Trainer, err error) *Trainer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(trainer.Close)
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		return trainer
	}
}
