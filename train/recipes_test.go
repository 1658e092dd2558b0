package train

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// recipe is a way to train, on top of smallConfig.
type recipe struct {
	name string
	set  func(*Config)
	// fixed says that a run that goes on keeps it.
	fixed bool
}

// recipes are all the ways to train whose state goes through a checkpoint.
func recipes() []recipe {
	return []recipe{
		{"constant with a warm-up", func(c *Config) { c.Schedule = Schedule{WarmupEpochs: 1.5} }, true},
		{"cosine with a warm-up", func(c *Config) {
			c.Schedule = Schedule{Name: ScheduleCosine, Warmup: 0.5}
		}, true},
		{"steps", func(c *Config) { c.Schedule = Schedule{Name: ScheduleStep, Milestones: []int{1, 2}} },
			true},
		{"restarts", func(c *Config) {
			c.Schedule = Schedule{Name: ScheduleCosineRestarts, RestartEpochs: 1, RestartFactor: 2,
				WarmupEpochs: 0.5}
		}, true},
		{"warm-up, stable, decay", func(c *Config) {
			c.Schedule = Schedule{Name: ScheduleWSD, Warmup: 0.1, Cooldown: 0.5}
		}, true},
		{"a plateau", func(c *Config) {
			c.Schedule = Schedule{Name: SchedulePlateau, PlateauPatience: new(1), PlateauThreshold: 0.9,
				Gamma: 0.5}
		}, true},
		{"gradients clipped", func(c *Config) { c.ClipNorm = 0.5 }, true},
		{"three batches a step", func(c *Config) { c.BatchSize, c.Accumulate = 3, 3 }, true},
		{"averaged weights", func(c *Config) { c.EMA = EMA{Decay: 0.9} }, true},
		{"averaged weights with a warm-up, and the best of them", func(c *Config) {
			c.EMA, c.Patience = EMA{Decay: 0.99, Warmup: true}, 2
		}, true},
		{"the best of all epochs by its validation accuracy", func(c *Config) {
			c.Best = BestValidationAccuracy
		}, false},
		{"the best of all epochs by its training loss", func(c *Config) { c.Best = BestTrainingLoss },
			false},
	}
}

// A run that was interrupted within an epoch comes to the checkpoint of one that was not, to
// the last bit, on each engine and with other threads.
func TestResumeWithinAnEpochIsBitForBit(t *testing.T) {
	for _, recipe := range recipes() {
		t.Run(recipe.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				config := smallConfig(engine)
				config.ValidationFraction, config.Threads = 0.2, 1
				recipe.set(&config)
				set := datasettest.Bars(t, 60)
				checkpoint := resumesBitForBit(t, smallNormalised(t), set, config, 3)
				if !recipe.fixed {
					return
				}
				plain := smallConfig(engine)
				plain.ValidationFraction = 0.2
				if _, err := Resume(checkpoint, set, plain); err == nil ||
					!strings.Contains(err.Error(), "cannot resume with other settings") {
					t.Errorf("resumed without it: %v", err)
				}
			})
		})
	}
}

// smallNormalised is a smallNetwork with statistics of its batches.
func smallNormalised(t testing.TB) *builder.Network {
	t.Helper()
	network, err := builder.New("normalised", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)},
		builder.BatchNorm{},
		builder.ReLU{},
		builder.Flatten{},
		builder.Dropout{P: 0.25},
		builder.Dense{Units: 3},
	)
	if err != nil {
		t.Fatal(err)
	}
	return network
}
