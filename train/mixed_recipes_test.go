package train

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

// lossRecipes are what may differ from plain cross-entropy on each image once an epoch.
func lossRecipes() map[string]func(*Config) {
	weights := ClassWeights{Values: []float64{0.5, 1, 3}}
	return map[string]func(*Config){
		"smoothing":        func(c *Config) { c.Loss = Loss{Smoothing: 0.1} },
		"focal":            func(c *Config) { c.Loss = Loss{Name: LossFocal, ClassWeights: weights} },
		"class weights":    func(c *Config) { c.Loss = Loss{ClassWeights: weights, Smoothing: 0.1} },
		"balanced weights": func(c *Config) { c.Loss = Loss{ClassWeights: ClassWeights{Balanced: true}} },
		"binary": func(c *Config) {
			c.Loss = Loss{Name: LossBinary, Smoothing: 0.1, ClassWeights: ClassWeights{Balanced: true}}
			c.Mix = Mix{MixUp: 0.5}
		},
		"balanced": func(c *Config) { c.Sampling = SamplingBalanced },
		"mixup":    func(c *Config) { c.Mix = Mix{MixUp: 0.4} },
		"cutmix":   func(c *Config) { c.Mix = Mix{CutMix: 1, Probability: 0.8} },
		"both, weighted": func(c *Config) {
			c.Mix, c.Loss = Mix{MixUp: 0.8, CutMix: 1}, Loss{Smoothing: 0.1, ClassWeights: weights}
		},
	}
}

// eachRecipe runs the test on each recipe.
func eachRecipe(t *testing.T, test func(t *testing.T, change func(*Config))) {
	t.Helper()
	all := lossRecipes()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { test(t, all[name]) })
	}
}

func TestResumeWithRecipesIsBitForBit(t *testing.T) {
	eachRecipe(t, func(t *testing.T, change func(*Config)) {
		eachEngine(t, func(t *testing.T, engine string) {
			config := varyingConfig(engine)
			config.ValidationFraction = 0.2
			change(&config)
			checkpoint := resumesBitForBit(t, smallNetwork(t), datasettest.Bars(t, 60), config,
				config.Threads)
			// What was asked for at first, a measure perhaps, goes on as well as what was recorded.
			again, err := Resume(checkpoint, datasettest.Bars(t, 60), config)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
			other := varyingConfig(engine)
			other.ValidationFraction = 0.2
			if _, err := Resume(checkpoint, datasettest.Bars(t, 60), other); err == nil ||
				!strings.Contains(err.Error(), "cannot resume with other settings") {
				t.Errorf("resumed without the recipe: error %v", err)
			}
		})
	})
}

func TestEnginesAgreeWithRecipes(t *testing.T) {
	eachRecipe(t, func(t *testing.T, change func(*Config)) {
		var histories []History
		for _, engine := range builder.EngineNames() {
			config := varyingConfig(engine)
			change(&config)
			trainer := newSmallTrainer(t, config)
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			histories = append(histories, trainer.Progress().History)
		}
		for i, want := range histories[0] {
			for _, other := range histories[1:] {
				if math.Abs(want.MeanLoss-other[i].MeanLoss) > 1e-5 ||
					want.TrainAccuracy != other[i].TrainAccuracy {
					t.Errorf("epoch %d: mean losses %v and %v, accuracies %v and %v", i+1,
						want.MeanLoss, other[i].MeanLoss, want.TrainAccuracy, other[i].TrainAccuracy)
				}
			}
		}
	})
}

func TestThreadsDoNotChangeRecipes(t *testing.T) {
	eachRecipe(t, func(t *testing.T, change func(*Config)) {
		var files [][]byte
		for _, threads := range []int{1, 2, 3} {
			config := varyingConfig(builder.EngineNative)
			config.Threads, config.BatchSize = threads, 48
			change(&config)
			trainer := newSmallTrainer(t, config)
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			files = append(files, encoded(t, trainer.Checkpoint()))
		}
		if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
			t.Error("1, 2 and 3 threads give different runs")
		}
	})
}

// tenClasses are recipes for E2's ten.
func tenClasses() map[string]func(*Config) {
	weights := ClassWeights{Values: []float64{1, 9, 0.5, 3, 0.25, 7, 2, 1, 5, 0.125}}
	return map[string]func(*Config){
		"class weights": func(c *Config) { c.Loss = Loss{ClassWeights: weights, Smoothing: 0.1} },
		"focal":         func(c *Config) { c.Loss = Loss{Name: LossFocal, ClassWeights: weights} },
		"mixup":         func(c *Config) { c.Mix = Mix{MixUp: 1} },
		"binary":        func(c *Config) { c.Loss = Loss{Name: LossBinary, ClassWeights: weights} },
		"balanced": func(c *Config) {
			c.Sampling, c.Mix = SamplingBalanced, Mix{MixUp: 1}
			c.Augmentation = augment.Record{augment.Shift{Pixels: 2}}
		},
		"cutmix": func(c *Config) {
			c.Mix, c.Loss = Mix{CutMix: 1}, Loss{Smoothing: 0.1, ClassWeights: weights}
		},
	}
}

// In parts the loss, its gradients, and those of the penalties beside it are the whole batch's, but
// for rounding: a weighted mean over the batch is not the mean of its parts' weighted means.
func TestPartsComeToTheWholeBatchWithRecipes(t *testing.T) {
	for name, change := range tenClasses() {
		for _, batch := range []int{129, 192} {
			t.Run(fmt.Sprint(name, " ", batch), func(t *testing.T) {
				results := make([]batchResult, 2)
				gradients := make([][][]float32, 2)
				for i, size := range []int{0, math.MaxInt} {
					trainer := penalisedTrainerOf(t, batch, change)
					if size > 0 {
						trainer.sum.size = size // the whole batch in one part
					} else if partSize(trainer.network) >= batch {
						t.Fatalf("a batch of %d is not cut", batch)
					}
					places := trainer.batches.Order(0)[:batch]
					var err error
					results[i], err = trainer.gradients(t.Context(), feed{trainer.augmented, trainer.trainingInfo,
						places, 0})
					if err != nil {
						t.Fatal(err)
					}
					for place, pair := range results[i].model {
						value, err := pair.Grad()
						if err != nil {
							t.Fatal(err)
						}
						gradients[i] = append(gradients[i], trainer.variables.ToPublic(place, value.(*tensor.Dense).
							Float32s()))
					}
				}
				parts, whole := results[0], results[1]
				if math.Abs(parts.total-whole.total) > 1e-5*whole.total ||
					math.Abs(parts.data-whole.data) > 1e-5*whole.data || parts.correct != whole.correct {
					t.Errorf("in parts: loss %v, of the data %v, %d right; whole: %v, %v, %d",
						parts.total, parts.data, parts.correct, whole.total, whole.data, whole.correct)
				}
				for place := range gradients[0] {
					worst, scale := 0.0, 0.0
					for k, want := range gradients[1][place] {
						worst = max(worst, math.Abs(float64(gradients[0][place][k]-want)))
						scale = max(scale, math.Abs(float64(want)))
					}
					if worst > 1e-5*scale {
						t.Errorf("gradient %d: %g off, of at most %g", place, worst, scale)
					}
				}
			})
		}
	}
}

// penalisedTrainerOf is penalisedTrainer with a recipe.
func penalisedTrainerOf(t *testing.T, batch int, change func(*Config)) *Trainer {
	t.Helper()
	network, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	return penalisedTrainerFor(t, network, datasettest.Digits(t, 300), batch, change)
}

// penalisedTrainerFor is the same for another network of ten classes, with a layer fc1.
func penalisedTrainerFor(t *testing.T, network *builder.Network, set *dataset.Set, batch int,
	change func(*Config)) *Trainer {
	t.Helper()
	config := Config{BatchSize: batch, Seed: 3, ParameterPenalty: Penalty{L1: 1e-3, L2: 1e-3},
		ActivationPenalties: map[string]Penalty{"fc1": {L1: 1e-3, L2: 1e-3}}}
	change(&config)
	trainer, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	return trainer
}

// A device takes every loss and every way of choosing and mixing images.
func TestDevicesTakeRecipes(t *testing.T) {
	eachRecipe(t, func(t *testing.T, change func(*Config)) {
		config := smallConfig(builder.EngineNative)
		config.Device = noDevice{}
		change(&config)
		if _, err := config.WithDefaults(smallNetwork(t)); err != nil {
			t.Error(err)
		}
	})
}

// A steady step of a recipe allocates nothing of its own, either.
func TestSteadyStepOfRecipesAllocatesNothingOfOurs(t *testing.T) {
	for name, change := range tenClasses() {
		t.Run(name, func(t *testing.T) {
			trainer := penalisedTrainerOf(t, 32, change)
			indices := trainer.batches.Order(0)[:32]
			step := func() {
				if err := trainer.step(t.Context(), indices); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				step()
			}
			program, err := trainer.program(32, true)
			if err != nil {
				t.Fatal(err)
			}
			machine := fewestAllocations(func() {
				if err := program.run(); err != nil {
					t.Fatal(err)
				}
			})
			if whole := fewestAllocations(step); whole != machine && !raceDetector {
				t.Errorf("a step allocates %v times, of which the TapeMachine's run %v", whole, machine)
			}
		})
	}
}
