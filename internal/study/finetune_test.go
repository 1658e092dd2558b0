package study

import (
	"slices"
	"testing"

	"slipway/train"
)

// How a network is trained on is a setting as others are.
func TestFineTuningIsASetting(t *testing.T) {
	runs := runsOf(t, `
fixed: {freeze: [trunk], fine_tune.rates: ["head=0.01", "conv1=0.02"], epochs: 5,
  fine_tune.features: once}
grid: {fine_tune.freeze_until: [2, 3]}
`)
	addresses := make(map[string]bool)
	for i, until := range []int{2, 3} {
		tuning := runs[i].Spec.Config.FineTune
		rates := []train.Rate{{Pattern: "head", LearningRate: 0.01},
			{Pattern: "conv1", LearningRate: 0.02}}
		if tuning.FreezeUntil != until || tuning.Features != train.FeaturesOnce ||
			!slices.Equal(tuning.Rates, rates) {
			t.Errorf("run %d is tuned by %+v", i, tuning)
		}
		address, err := runs[i].Spec.id("a", "b")
		if err != nil {
			t.Fatal(err)
		}
		addresses[address] = true
	}
	if len(addresses) != 2 {
		t.Errorf("two settings have the addresses %v", addresses)
	}
}
