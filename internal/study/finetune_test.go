package study

import (
	"slices"
	"strings"
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

// What is no list of rates is told with its line and the form.
func TestTheFormOfRates(t *testing.T) {
	const form = `a list of PATTERN=RATE, such as ["head=1e-2", "conv1=1e-4"]`
	for rates, says := range map[string]string{
		"{head: 0.01}": "fine_tune.rates is no mapping; it needs to be " + form,
		"0.01":         "fine_tune.rates: 0.01 is a number; it needs to be " + form,
		"[0.01]":       "fine_tune.rates: [0.01] is a list; it needs to be " + form,
		"[head]":       `"head" is not PATTERN=RATE, such as head=0.001`,
		"[head=fast]":  `"head=fast": the rate is not a number`,
		"[head=-1]":    "learning rate of head: -1; a number above 0 is needed",
	} {
		_, err := ReadFile(writeStudy(t,
			"grid: {learning_rate: [0.1]}\nfixed:\n  epochs: 2\n  fine_tune.rates: "+rates+"\n"))
		if err == nil || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "mine.yaml:4: ") {
			t.Errorf("%s: %v, want %q on line 4", rates, err, says)
		}
	}
	for setting, says := range map[string]string{
		"epochs: many":           `epochs: many is a text; it needs to be a whole number`,
		"best: 3":                `it needs to be a text; put it in quotes: "3"`,
		"freeze: trunk":          "freeze: trunk is a text; it needs to be a list of texts, such as [trunk]",
		"schedule.milestones: 3": "schedule.milestones: 3 is a number; it needs to be a list of whole numbers, such as [2, 5]",
		"ema.warmup: 1":          "ema.warmup: 1 is a number; it needs to be true or false",
		"precision: tf32":        "precision tf32 is for a GPU, and a study's runs are on the CPU",
	} {
		_, err := ReadFile(writeStudy(t, "grid: {learning_rate: [0.1]}\nfixed:\n  "+setting+"\n"))
		if err == nil || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "mine.yaml:3: ") {
			t.Errorf("%s: %v, want %q on line 3", setting, err, says)
		}
	}
}
