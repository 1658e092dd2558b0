package train

import (
	"context"
	"errors"
	"testing"

	"slipway/internal/datasettest"
)

// A run on a device that is interrupted while an epoch is reported goes on behind that epoch, also
// where that happens again once it goes on: the device has booked no step since.
func TestAnInterruptionOfAReportOnADevice(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"as it is": func(*Config) {},
		"thawed":   func(c *Config) { c.Freeze, c.FineTune.FreezeUntil = []string{TrunkWord}, 2 },
		"fed":      func(c *Config) { c.Mix = Mix{MixUp: 0.8} },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := onBorrowed()
			change(&here)
			change(&there)
			there.Device = borrowed{config: here, set: datasettest.Bars(t, 60)}
			whole, away := newSmallTrainer(t, here), newSmallTrainer(t, there)
			defer whole.Close()
			if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				defer away.Close()
				ctx, cancel := context.WithCancel(t.Context())
				err := away.Fit(ctx, Callbacks{Epoch: func(*Epoch) error {
					defer cancel()
					if _, err := away.Evaluate(ctx, datasettest.Bars(t, 60)); err != nil {
						return err
					}
					cancel()
					return ctx.Err()
				}})
				cancel()
				if done := away.Progress(); !errors.Is(err, ErrInterrupted) || done.Epochs != 1 ||
					done.EpochStep != 0 || done.Step != 24 || done.Images != 0 || done.LastLoss == 0 {
					t.Fatalf("Fit returned %v after %+v", err, done)
				}
				if away, err = Resume(away.Checkpoint(), datasettest.Bars(t, 60), there); err != nil {
					t.Fatal(err)
				}
			}
			defer away.Close()
			if err := away.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			sameRun(t, away.Checkpoint(), whole.Checkpoint())
		})
	}
}
