package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/datasettest"
)

func TestPartSize(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	dense, err := builder.New("dense", builder.Shape{1, 28, 28}, builder.Flatten{},
		builder.Dense{Units: 512}, builder.ReLU{}, builder.Dense{Units: 512}, builder.ReLU{},
		builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	if got := partSize(e1); got != 64 {
		t.Errorf("E1: parts of %d images, want 64", got)
	}
	if got := partSize(dense); got != partMost {
		t.Errorf("an MLP, of which the parameters are most of what is read: parts of %d images, want %d",
			got, partMost)
	}
}

// penalisedTrainer trains E2 with everything that knows of the batch: dropout, and penalties on
// parameters and activations.
func penalisedTrainer(t *testing.T, batch, threads int) *Trainer {
	t.Helper()
	network, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(network, datasettest.Digits(t, 300), Config{
		BatchSize: batch, Seed: 3, Threads: threads, ParameterPenalty: Penalty{L1: 1e-3, L2: 1e-3},
		ActivationPenalties: map[string]Penalty{"fc1": {L1: 1e-3, L2: 1e-3}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	return trainer
}

// In parts, of equal or unequal sizes, the losses, the answers and every gradient are the batch's,
// but for rounding.
func TestPartsComeToTheWholeBatch(t *testing.T) {
	for _, batch := range []int{129, 130, 192, 300} { // 130 in parts of 43, 43 and 44
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			trainer := penalisedTrainer(t, batch, 2)
			places := trainer.batches.Order(0)[:batch]
			if size := partSize(trainer.network); size >= batch {
				t.Fatalf("a batch of %d is not cut", batch)
			}
			got, err := trainer.gradients(t.Context(), feed{trainer.training, trainer.trainingInfo, places,
				0})
			if err != nil {
				t.Fatal(err)
			}
			whole, err := trainer.program(batch, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := trainer.feeder.fill(t.Context(), whole.graph.Images(), whole.labels,
				feed{trainer.training, trainer.trainingInfo, places, 0}); err != nil {
				t.Fatal(err)
			}
			whole.graph.SetStep(0, 0)
			if err := whole.run(); err != nil {
				t.Fatal(err)
			}
			total, data, err := whole.losses()
			if err != nil {
				t.Fatal(err)
			}
			correct, err := whole.correct(nil)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got.total-total) > 1e-5*total || math.Abs(got.data-data) > 1e-5*data ||
				got.correct != correct {
				t.Errorf("in parts: loss %v, cross-entropy %v, %d right; whole: %v, %v, %d", got.total,
					got.data, got.correct, total, data, correct)
			}
			for i, parameter := range trainer.network.Parameters() {
				value, err := got.model[i].Grad()
				if err != nil {
					t.Fatal(err)
				}
				want := gradient(t, trainer, whole, i)
				worst, scale := 0.0, 0.0
				for j, x := range trainer.variables.ToPublic(i, value.(*tensor.Dense).Float32s()) {
					worst = max(worst, math.Abs(float64(x-want[j])))
					scale = max(scale, math.Abs(float64(want[j])))
				}
				if worst > 1e-5*scale {
					t.Errorf("gradient of %s: %g off, of at most %g", parameter.Name, worst, scale)
				}
			}
		})
	}
}

// The parts do not depend on the threads, and neither do their sums.
func TestPartsHaveTheSameBitsOnAnyThreads(t *testing.T) {
	var first builder.Weights
	for _, threads := range []int{1, 2, 3} {
		trainer := penalisedTrainer(t, 200, threads)
		for range 3 {
			if err := trainer.step(t.Context(), trainer.batches.Order(0)[:200]); err != nil {
				t.Fatal(err)
			}
		}
		weights := trainer.Weights()
		if first == nil {
			first = weights
			continue
		}
		for i := range weights {
			if !slices.Equal(weights[i].Data, first[i].Data) {
				t.Errorf("%d threads: %s differs from one thread's", threads, weights[i].Name)
			}
		}
	}
}
