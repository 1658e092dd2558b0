package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// sameWeights compares to a tolerance of the largest weight of each tensor.
func sameWeights(t *testing.T, got, want builder.Weights, tolerance float64) {
	t.Helper()
	for i, tensor := range want {
		scale := 0.0
		for _, x := range tensor.Data {
			scale = max(scale, math.Abs(float64(x)))
		}
		for j, x := range tensor.Data {
			if math.Abs(float64(got[i].Data[j])-float64(x)) > tolerance*scale {
				t.Fatalf("%s: value %d is %v, want %v", tensor.Name, j, got[i].Data[j], x)
			}
		}
	}
}

// Without normalisation by batches, several small batches a step are the large one, dropout,
// penalties, and the short last step of an epoch included.
func TestAccumulatedBatchesAreTheLargeOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		fit := func(batch, accumulate int) *Trainer {
			config := smallConfig(engine)
			config.BatchSize, config.Accumulate = batch, accumulate
			config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 0.05, Momentum: 0.9}
			config.ParameterPenalty = Penalty{L1: 1e-3, L2: 1e-3}
			trainer := newSmallTrainer(t, config)
			t.Cleanup(trainer.Close)
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			return trainer
		}
		large := fit(16, 0)
		for _, small := range [][2]int{{8, 2}, {4, 4}, {5, 3}} {
			trainer := fit(small[0], small[1])
			if small[0]*small[1] != 16 {
				large = fit(15, 1)
			}
			sameWeights(t, trainer.Weights(), large.Weights(), 1e-5)
			for i, epoch := range trainer.Progress().History {
				want := large.Progress().History[i]
				if epoch.Steps != want.Steps || math.Abs(epoch.MeanLoss-want.MeanLoss) > 1e-6 ||
					epoch.TrainAccuracy != want.TrainAccuracy {
					t.Errorf("%v: epoch %+v, want %+v", small, epoch, want)
				}
			}
		}
	})
}

// With BatchNorm, a step's gradient is the mean of those of its batches, each by itself, and
// the running statistics see one batch after another: PyTorch's N backward passes and a step.
func TestAccumulatedBatchesWithStatistics(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		const rate = 0.5
		set := datasettest.Bars(t, 60)
		trainerOf := func(accumulate int, weights builder.Weights) *Trainer {
			config := smallConfig(engine)
			config.BatchSize, config.Accumulate = 8, accumulate
			config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: rate}
			network, err := builder.New("plain", builder.Shape{1, 6, 6},
				builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.BatchNorm{}, builder.ReLU{},
				builder.Flatten{}, builder.Dense{Units: 3})
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := New(network, set, config, weights)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(trainer.Close)
			return trainer
		}
		both := trainerOf(2, nil)
		start := both.Weights()
		images := both.batches.Order(0)[:13] // a batch of 8 and one of 5
		if err := both.step(t.Context(), images); err != nil {
			t.Fatal(err)
		}
		first, second := trainerOf(0, start), trainerOf(0, start)
		if err := first.step(t.Context(), images[:8]); err != nil {
			t.Fatal(err)
		}
		if err := second.step(t.Context(), images[8:]); err != nil {
			t.Fatal(err)
		}
		want := both.Weights().Clone()
		for i, spec := range both.network.Tensors() {
			for j := range want[i].Data {
				was, a, b := float64(start[i].Data[j]), float64(first.Weights()[i].Data[j]), float64(
					second.Weights()[i].Data[j])
				value := was + 8.0/13*(a-was) + 5.0/13*(b-was)
				if spec.Role == builder.Statistic {
					const momentum = 0.1 // r ← (1 − m)·r + m·batch, twice
					value = a + (b - was) - momentum*(a-was)
				}
				want[i].Data[j] = float32(value)
			}
		}
		sameWeights(t, both.Weights(), want, 1e-5)
	})
}

// A step that is interrupted between two batches leaves nothing, statistics included.
func TestAStepInterruptedBetweenBatches(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.BatchSize, config.Accumulate = 4, 3
		trainer, err := New(smallNormalised(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(trainer.Close)
		order := trainer.batches.Order(0)
		if err := trainer.step(t.Context(), order[:12]); err != nil {
			t.Fatal(err)
		}
		before, progress := trainer.Checkpoint(), trainer.Progress()
		ctx := &endsAfter{Context: t.Context(), looks: 1}
		if err := trainer.step(ctx, order[12:24]); !errors.Is(err, errStepInterrupted) {
			t.Fatalf("the step returned %v", err)
		}
		if trainer.Progress().Step != progress.Step {
			t.Error("the step counts")
		}
		equalWeights(t, trainer.Checkpoint().Weights, before.Weights)
	})
}

func TestAccumulateRejects(t *testing.T) {
	for want, batches := range map[string]int{
		"a step of -1 batches; at least 1": -1,
		"is more than any set has":         math.MaxInt,
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Accumulate = batches
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", batches, err, want)
		}
	}
	config := smallConfig(builder.DefaultEngine)
	config.Accumulate = 1
	if config, err := config.WithDefaults(smallNetwork(t)); err != nil || config.Accumulate != 0 {
		t.Errorf("a step of one batch is recorded as %d, %v", config.Accumulate, err)
	}
}
