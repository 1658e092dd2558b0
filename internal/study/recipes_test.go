package study

import (
	"reflect"
	"testing"

	"slipway/train"
)

// A study gives a run's recipe by the names of train.Config's JSON; what is not given keeps
// the address of before there were recipes (TestAddressesAreThoseOfBefore).
func TestRecipesOfAStudy(t *testing.T) {
	runs := runsOf(t, `
grid: {ema.decay: [0, 0.99]}
fixed:
  epochs: 9
  validation_fraction: 0.1
  schedule.name: step
  schedule.milestones: [4, 6]
  schedule.gamma: 0.5
  schedule.warmup_epochs: 1.5
  best: validation-accuracy
`)
	seen := make(map[string]bool)
	averaged := false
	for _, run := range runs {
		c := run.Spec.Config
		want := train.Schedule{Name: train.ScheduleStep, Milestones: []int{4, 6}, Gamma: 0.5,
			WarmupEpochs: 1.5, First: 0.01}
		if !reflect.DeepEqual(c.Schedule, want) || c.Best != train.BestValidationAccuracy {
			t.Errorf("schedule %+v, best by %q", c.Schedule, c.Best)
		}
		averaged = averaged || c.EMA.Decay == 0.99
		id, err := run.Spec.id("training", "test")
		if err != nil {
			t.Fatal(err)
		}
		seen[id] = true
	}
	if !averaged || len(seen) != len(runs) {
		t.Errorf("%d addresses of %d runs, averaged: %v", len(seen), len(runs), averaged)
	}
}

// Patience of 0 is a value of its own, beside the default and beside others.
func TestAPlateauWithoutPatienceHasItsAddress(t *testing.T) {
	seen := make(map[string]int)
	for _, patience := range []string{"", ", schedule.plateau_patience: 0",
		", schedule.plateau_patience: 10", ", schedule.plateau_patience: 1"} {
		run := runsOf(t,
			"grid: {learning_rate: [0.1]}\nfixed: {validation_fraction: 0.1, schedule.name: plateau"+
				patience+"}\n")[0]
		id, err := run.Spec.id("training", "test")
		if err != nil {
			t.Fatal(err)
		}
		seen[id] = *run.Spec.Config.Schedule.PlateauPatience
	}
	if len(seen) != 3 {
		t.Errorf("the addresses and their patience are %v", seen)
	}
}
