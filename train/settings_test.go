package train

import "testing"

func TestSettingsHaveTheNamesOfTheRecord(t *testing.T) {
	config := Config{BatchSize: 8, Seed: 1<<63 + 1, Optimizer: OptimizerConfig{Name: "adam", LearningRate: 1e-5},
		Freeze: []string{"a.*", "b"}, ActivationPenalties: map[string]Penalty{"relu3": {L1: 0.5}}}
	settings, err := config.Settings()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"batch_size": "8", "seed": "9223372036854775809", "optimizer.name": "adam", "optimizer.learning_rate": "0.00001",
		"freeze": `["a.*","b"]`, "activation_penalties.relu3.l1": "0.5",
	} {
		if settings[name] != want {
			t.Errorf("%s is %q, want %q", name, settings[name], want)
		}
	}
	if _, there := settings["schedule.name"]; there {
		t.Error("a schedule that is not there has a name")
	}
}
