//go:build gpu && linux && amd64

package cuda

import (
	"math"
	"testing"

	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// fedRecipes are recipes of fine-tuning, whose batches are fed to an optimizer that does more than
// take a step of one rate.
func fedRecipes() []recipe {
	shifted := augment.Record{augment.Rotation{Degrees: 10}, augment.Shift{Pixels: 1}}
	pictures := func(t testing.TB) *dataset.Set { return colours(t, 22) }
	bars := func(t testing.TB) *dataset.Set { return datasettest.Bars(t, 60) }
	stripes := func(t testing.TB) *dataset.Set { return datasettest.Stripes(t, 60) }
	adamw := train.OptimizerConfig{Name: "adamw", LearningRate: 0.003, WeightDecay: 0.1}
	cosine := train.Schedule{Name: train.ScheduleCosine, WarmupEpochs: 0.5}
	both := train.Mix{MixUp: 0.8, CutMix: 1, Probability: 0.9}

	// Steps of 8 images in batches of 4, and a last one of 4 and 2.
	augmented := normalisedConfig(nil)
	augmented.Epochs, augmented.BatchSize, augmented.Accumulate = 3, 4, 2
	augmented.Optimizer, augmented.Decay, augmented.Schedule = adamw, train.DecayWeights, cosine
	augmented.Augmentation, augmented.ClipNorm = shifted, 0.3
	augmented.EMA = train.EMA{Decay: 0.9, Warmup: true}

	// Batches of 5, which pairs do not divide: 6 and 4 of 10, and 6 of the last.
	odd := augmented
	more := func(t testing.TB) *dataset.Set { return colours(t, 26) }
	odd.Mix, odd.BatchSize = both, 5

	mixed := smallConfig()
	mixed.Mix, mixed.Freeze = train.Mix{MixUp: 0.8}, []string{"conv1.*"}
	mixed.FineTune.Rates = []train.Rate{{Pattern: train.HeadWord, LearningRate: 0.02},
		{Pattern: "*", LearningRate: 0.002}}
	phases := mixed
	phases.Freeze, phases.FineTune.FreezeUntil = []string{train.TrunkWord}, 2

	streamed := smallConfig()
	streamed.Loss, streamed.EMA = train.Loss{Name: train.LossBinary}, train.EMA{Decay: 0.9}
	streamed.ValidationFraction = 0.25
	everything := streamed
	everything.Mix, everything.Augmentation, everything.Schedule = both, shifted, cosine
	everything.Optimizer, everything.BatchSize, everything.Accumulate = adamw, 3, 2
	everything.ClipNorm = 0.3
	return []recipe{
		{"augmented", inverted, pictures, augmented, false},
		{"mixed in odd batches", inverted, more, odd, false},
		{"mixed, with frozen layers and rates", smallNetwork, bars, mixed, false},
		{"mixed, in phases", smallNetwork, bars, phases, false},
		{"streamed, of several labels", smallNetwork, stripes, streamed, true},
		{"streamed, with everything", smallNetwork, stripes, everything, true},
	}
}

// What is fed to an optimizer's recipe comes to what the native engine comes to, in the ways of
// TestRecipes.
func TestFedRecipes(t *testing.T) {
	for _, r := range fedRecipes() {
		t.Run(r.name, r.check)
	}
}

// A fed recipe's averaged weights, or those that are trained where there is none, are evaluated in
// batches that are fed as the native engine evaluates them.
func TestFedRecipesAreEvaluated(t *testing.T) {
	for _, r := range fedRecipes() {
		t.Run(r.name, func(t *testing.T) {
			var seen [2]*train.Evaluation
			for i, at := range []device.Device{nil, r.open(t)} {
				trainer := r.begin(t, at)
				if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
					t.Fatal(err)
				}
				var err error
				if seen[i], err = trainer.Evaluate(t.Context(), r.set(t)); err != nil {
					t.Fatal(err)
				}
			}
			got, want := seen[1], seen[0]
			e := relativeError(got.Logits, want.Logits)
			if e > 1e-3 || got.Correct != want.Correct || math.Abs(got.Loss-want.Loss) > 1e-4*want.Loss {
				t.Errorf("logits %.2g of their largest off, %d right and a loss of %v, the native engine has "+
					"%d and %v", e, got.Correct, got.Loss, want.Correct, want.Loss)
			}
		})
	}
}

// A steady step of a fed recipe is one graph behind one copy, from page-locked memory, and the launch
// that brings that on, however many batches it has, and allocates nothing.
func TestASteadyStepOfAFedRecipeIsAGraphAndACopy(t *testing.T) {
	needSimulator(t)
	for _, r := range fedRecipes() {
		t.Run(r.name, func(t *testing.T) {
			type seen struct {
				counters
				allocated, pageable, waits, launches int
			}
			g := r.open(t)
			// A session's third epoch has every graph, the short step's too.
			r.config.Epochs = r.config.FineTune.FreezeUntil + 3
			var steps []seen
			trainer := r.begin(t, recorder{g, func(*session, int) error {
				steps = append(steps, seen{g.count,
					simulated.Calls("cuMemAlloc_v2") + simulated.Calls("cuMemHostAlloc"),
					simulated.Calls("pageable cuMemcpyHtoDAsync"),
					simulated.Calls("cuStreamSynchronize"), simulated.Calls("cuLaunchKernel")})
				return nil
			}})
			if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			each := trainer.StepsPerEpoch()
			if len(steps) != r.config.Epochs*each || each < 3 || each > 16 {
				t.Fatalf("%d steps, %d each epoch", len(steps), each)
			}
			for i := len(steps) - each + 1; i < len(steps); i++ { // no look at the loss is between them
				now, want := steps[i], steps[i-1]
				want.Graphs++
				want.Copies++
				want.Launches++ // which brings the batch on
				if now != want {
					t.Errorf("step %d: %+v, want %+v", i+1, now, want)
				}
			}
		})
	}
}
