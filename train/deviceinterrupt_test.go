package train

import (
	"context"
	"errors"
	"strings"
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

// A run that is asked to end while its set is brought to a device is saved, as one that is asked
// while a batch is read, and no image is said to be at fault.
func TestAnInterruptionWhileASetIsBroughtToADevice(t *testing.T) {
	_, there := onBorrowed()
	there.ValidationFraction, there.Patience = 0, 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	trainer, err := New(smallNetwork(t), &ending{datasettest.Bars(t, 60), 7, cancel}, there, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	saves := 0
	err = trainer.Fit(ctx, Callbacks{Save: func() error { saves++; return nil }})
	if !errors.Is(err, ErrInterrupted) || saves != 1 || trainer.Progress().Step != 0 {
		t.Errorf("Fit returned %v, and saved %d times", err, saves)
	}
}

// An image that cannot be read while a set is brought to a device is told, and the run saved, as
// where a step on the CPU cannot read it.
func TestAnImageThatCannotBeBroughtToADevice(t *testing.T) {
	gone := errors.New("own/a.png is gone")
	here, there := onBorrowed()
	for _, config := range []Config{here, there} {
		config.ValidationFraction, config.Patience = 0, 0
		config.BatchSize = 60
		source := &failing{Source: datasettest.Bars(t, 60), index: 7, epoch: -1, err: gone}
		trainer, err := New(smallNetwork(t), source, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		saves := 0
		err = trainer.Fit(t.Context(), Callbacks{Save: func() error { saves++; return nil }})
		var unread *ReadError
		if !errors.As(err, &unread) || saves != 1 ||
			!strings.Contains(err.Error(), "epoch 1, step 1: read images: own/a.png is gone") {
			t.Errorf("Fit returned %v, and saved %d times", err, saves)
		}
		if _, err := trainer.Evaluate(t.Context(), source); !errors.As(err, &unread) {
			t.Errorf("Evaluate returned %v", err)
		}
	}
}
