package train

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/networktest"
)

// twoPhases trains the head for two of four epochs, then everything.
func twoPhases(engine string) Config {
	config := smallConfig(engine)
	config.Epochs, config.Freeze = 4, []string{TrunkWord}
	config.Optimizer = OptimizerConfig{Name: "adamw", LearningRate: 0.002, WeightDecay: 0.1}
	config.Schedule = Schedule{Name: ScheduleCosine}
	config.FineTune = FineTune{FreezeUntil: 3, Rates: []Rate{{HeadWord, 0.02}}}
	return config
}

// The head alone is trained in the first phase, everything in the second. There the trunk's moments
// are those of its own steps alone.
func TestFreezeUntil(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		trainer, err := New(networktest.Residual(t, builder.Shape{1, 6, 6}, 3),
			datasettest.Bars(t, 60), twoPhases(engine), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		parameters := make(map[string]bool)
		for _, p := range trainer.Network().Parameters() {
			parameters[p.Name] = true
		}
		before := trainer.Weights()
		err = trainer.Fit(t.Context(), Callbacks{Epoch: func(epoch *Epoch) error {
			after := trainer.Weights()
			for i, tensor := range after {
				learns := parameters[tensor.Name] &&
					(epoch.Epoch >= 3 || layerOf(tensor.Name) == "fc")
				if changed := !slices.Equal(tensor.Data, before[i].Data); parameters[tensor.Name] &&
					changed != learns {
					t.Errorf("epoch %d: %s changed: %v", epoch.Epoch, tensor.Name, changed)
				}
			}
			before = after
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		steps := trainer.StepsPerEpoch()
		if trainer.progress.ThawStep != 2*steps || trainer.optimizer.steps != 4*steps {
			t.Errorf("thawed at step %d of %d", trainer.progress.ThawStep, trainer.optimizer.steps)
		}
		for _, p := range trainer.optimizer.parameters {
			want := 2 * steps
			if layerOf(p.spec.Name) == "fc" {
				want = 0
			}
			if p.since != want {
				t.Errorf("%s is trained since step %d, want %d", p.spec.Name, p.since, want)
			}
		}
	})
}

// A run goes on bit for bit from the middle of an epoch of either phase, and from between them.
func TestResumeInEachPhase(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		set := datasettest.Bars(t, 60)
		network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
		frozen, err := FreezeStatistics(network, []string{TrunkWord}, "")
		if err != nil {
			t.Fatal(err)
		}
		for name, network := range map[string]*builder.Network{"statistics": network,
			"features": frozen} {
			whole, err := New(network, set, twoPhases(engine), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer whole.Close()
			if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			want := encoded(t, whole.Checkpoint())
			steps := whole.StepsPerEpoch()
			for _, stop := range []int{3, 2*steps - 1, 2 * steps, 2*steps + 3} {
				first, err := New(network, set, twoPhases(engine), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				ctx, cancel := context.WithCancel(t.Context())
				done := 0
				err = first.Fit(ctx, Callbacks{Step: func(StepReport) error {
					if done++; done == stop {
						cancel()
					}
					return nil
				}})
				if !errors.Is(err, ErrInterrupted) {
					t.Fatalf("%s, stopped after step %d: %v", name, stop, err)
				}
				_, resumed := savedAndResumed(t, first, set)
				if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(encoded(t, resumed.Checkpoint()), want) {
					t.Errorf("%s, stopped after step %d: the resumed run differs from the "+
						"unbroken one", name, stop)
				}
			}
		}
	})
}

// A run that ended before the second phase goes on into it.
func TestResumeIntoThePhaseToCome(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := twoPhases(builder.DefaultEngine)
	config.Schedule = Schedule{}
	network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
	whole, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	config.Epochs = 2
	first, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	checkpoint, _ := savedAndResumed(t, first, set)
	config.Epochs = 4
	resumed, err := Resume(checkpoint, set, config)
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Close()
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, resumed.Checkpoint()), encoded(t, whole.Checkpoint())) {
		t.Error("the resumed run differs from the unbroken one")
	}
	config.FineTune.FreezeUntil = 4
	if _, err := Resume(checkpoint, set, config); err == nil ||
		!strings.Contains(err.Error(), "fine_tune was ") {
		t.Errorf("another epoch: %v", err)
	}
}

// Statistics of the layers that are named stay, those of others do not.
func TestFreezeStatistics(t *testing.T) {
	network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
	frozen, err := FreezeStatistics(network, []string{"bn1", "layer2.*"}, "")
	if err != nil {
		t.Fatal(err)
	}
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs = 1
		trainer, err := New(frozen, datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		before := trainer.Weights()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		for i, tensor := range trainer.Weights() {
			if !strings.Contains(tensor.Name, ".running_") {
				continue
			}
			stays := strings.HasPrefix(tensor.Name, "bn1.") ||
				strings.HasPrefix(tensor.Name, "layer2.")
			if same := slices.Equal(tensor.Data, before[i].Data); same != stays {
				t.Errorf("%s: frozen is %v, unchanged is %v", tensor.Name, stays, same)
			}
		}
	})
	for pattern, want := range map[string]string{"fc": `no BatchNorm that is called "fc"`,
		"bn9*": `no BatchNorm that is called "bn9*"`} {
		if _, err := FreezeStatistics(network, []string{pattern}, ""); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
