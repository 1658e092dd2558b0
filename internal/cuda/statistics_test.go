//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/device"
	"slipway/train"
)

// normalisedConfig trains for two epochs of four steps, the last of each short, on pixels of a
// formula for each channel.
func normalisedConfig(at device.Device) train.Config {
	config := familyConfig()
	config.Pixels = "mean=0.4,0.5,0.6,std=0.2,0.3,0.5"
	config.Epochs, config.Device = 2, at
	return config
}

func fitNormalised(t *testing.T, ctx context.Context, trainer *train.Trainer, callbacks train.Callbacks) error {
	t.Helper()
	t.Cleanup(trainer.Close)
	return trainer.Fit(ctx, callbacks)
}

// A run of a network with running statistics goes on where it was interrupted: on a device with
// the bits of the unbroken
// run, on the CPU near to the CPU's own.
func TestRunningStatisticsGoOn(t *testing.T) {
	network, set := inverted(t), colours(t, 28)
	g := openDevice(t)
	start := func(at device.Device) *train.Trainer {
		t.Helper()
		trainer, err := train.New(network, set, normalisedConfig(at), nil)
		if err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	whole, onCPU, broken := start(g), start(nil), start(g)
	for _, trainer := range []*train.Trainer{whole, onCPU} {
		if err := fitNormalised(t, t.Context(), trainer, train.Callbacks{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	err := fitNormalised(t, ctx, broken, train.Callbacks{Step: func(train.StepReport) error {
		if steps++; steps == 6 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("Fit returned %v, want ErrInterrupted", err)
	}
	for _, at := range []device.Device{g, nil} {
		resumed, err := train.Resume(broken.Checkpoint(), set, normalisedConfig(at))
		if err != nil {
			t.Fatal(err)
		}
		if err := fitNormalised(t, t.Context(), resumed, train.Callbacks{}); err != nil {
			t.Fatal(err)
		}
		if at != nil {
			sameTensors(t, "resumed on the device", resumed.Weights(), whole.Weights())
			continue
		}
		got, want := resumed.Weights(), onCPU.Weights()
		compareStatistics(t, got, want, 1e-3)
		asOfLayers(got, want)
		for i, tensor := range want {
			if e := relativeError(got[i].Data, tensor.Data); e > 1e-3 && !strings.HasSuffix(tensor.Name, "running_mean") {
				t.Errorf("resumed on the CPU: %s is %.2g of its largest off", tensor.Name, e)
			}
		}
	}
}

func sameTensors(t *testing.T, what string, got, want builder.Weights) {
	t.Helper()
	for i := range want {
		if !slices.Equal(got[i].Data, want[i].Data) {
			t.Errorf("%s: %s is %v, want %v", what, want[i].Name, got[i].Data, want[i].Data)
		}
	}
}

// An evaluation on the device takes the running statistics, as one on the CPU does.
func TestAnEvaluationTakesTheRunningStatistics(t *testing.T) {
	network, set := inverted(t), colours(t, 28)
	trainer, err := train.New(network, set, normalisedConfig(openDevice(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fitNormalised(t, t.Context(), trainer, train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	onCPU, err := train.Resume(trainer.Checkpoint(), set, normalisedConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer onCPU.Close()
	want, err := onCPU.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if e := relativeError(got.Logits, want.Logits); e > 2e-5 || got.Correct != want.Correct {
		t.Errorf("logits %.2g of their largest off, %d right, the CPU has %d", e, got.Correct, want.Correct)
	}
}

// A step whose loss is not finite leaves the weights and the running statistics as they were.
func TestADivergedStepLeavesTheStatistics(t *testing.T) {
	config := normalisedConfig(nil)
	config.Optimizer = train.OptimizerConfig{Name: "sgd", LearningRate: 3e38}
	var states []builder.Weights
	diverged := 0
	config.Device = recorder{openDevice(t), func(s *session, _ int) error {
		account, err := s.Account()
		if err != nil {
			return err
		}
		state, err := s.State()
		if err != nil {
			return err
		}
		states = append(states, state.Weights)
		if account.Diverged {
			diverged++
			sameTensors(t, "after a step that diverged", state.Weights, states[len(states)-2])
		}
		return nil
	}}
	trainer, err := train.New(inverted(t), colours(t, 28), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want *train.DivergedError
	if err := fitNormalised(t, t.Context(), trainer, train.Callbacks{}); !errors.As(err, &want) {
		t.Fatalf("%v, want a DivergedError", err)
	}
	if diverged == 0 {
		t.Fatal("no step diverged")
	}
}
