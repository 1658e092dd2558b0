package train

import (
	"context"
	"errors"
	"testing"

	"slipway/internal/datasettest"
)

// A run on a device comes to what it comes to on the CPU by whatever its parameters are updated,
// also if it is interrupted in each of its epochs and goes on.
func TestUpdatesOnADevice(t *testing.T) {
	patience := 0
	for name, change := range map[string]func(*Config){
		"cosine": func(c *Config) {
			c.Schedule = Schedule{Name: ScheduleCosine, WarmupEpochs: 0.5}
		},
		"plateau": func(c *Config) {
			c.Schedule = Schedule{Name: SchedulePlateau, PlateauPatience: &patience,
				PlateauThreshold: 0.5}
		},
		"rates": func(c *Config) {
			c.FineTune.Rates = []Rate{{HeadWord, 0.02}}
			c.Schedule.Name = ScheduleLinear
		},
		"frozen":  func(c *Config) { c.Freeze = []string{"conv1.*"} },
		"phases":  func(c *Config) { c.Freeze, c.FineTune.FreezeUntil = []string{TrunkWord}, 2 },
		"decay":   func(c *Config) { c.Optimizer.WeightDecay, c.Decay = 0.1, DecayWeights },
		"clipped": func(c *Config) { c.ClipNorm = 0.1 },
		"averaged": func(c *Config) {
			c.EMA = EMA{Decay: 0.9, Warmup: true}
		},
		"accumulated": func(c *Config) { c.Accumulate = 3 },
		"lion":        func(c *Config) { c.Optimizer = OptimizerConfig{Name: "lion"} },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := onBorrowed()
			change(&here)
			change(&there)
			there.Device = borrowed{config: here}
			whole := newSmallTrainer(t, here)
			defer whole.Close()
			if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			away := newSmallTrainer(t, there)
			defer away.Close()
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				err := away.Fit(ctx, Callbacks{Step: func(report StepReport) error {
					if report.Step == 5 {
						cancel()
					}
					return nil
				}})
				cancel()
				if !errors.Is(err, ErrInterrupted) {
					t.Fatalf("Fit returned %v", err)
				}
				if away, err = Resume(away.Checkpoint(), datasettest.Bars(t, 60), there); err != nil {
					t.Fatal(err)
				}
				defer away.Close()
			}
			if err := away.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			sameRun(t, away.Checkpoint(), whole.Checkpoint())
			equalWeights(t, away.Checkpoint().Average, whole.Checkpoint().Average)
			equalWeights(t, away.Weights(), whole.Weights())
		})
	}
}

// A device computes in each step what lies below the frozen layers, and says so.
func TestADeviceKeepsNoFeatures(t *testing.T) {
	here, there := onBorrowed()
	for mode, want := range map[string]string{FeaturesNever: "",
		"": "features: what relu2 gives is computed anew in each step, since a device keeps none"} {
		there.Freeze, there.FineTune.Features = []string{TrunkWord}, mode
		there.Device = borrowed{config: here}
		trainer := newSmallTrainer(t, there)
		defer trainer.Close()
		if got := trainer.Features(); got != want {
			t.Errorf("features %q: %q, want %q", mode, got, want)
		}
	}
}
