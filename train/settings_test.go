package train

import "testing"

func TestSettingsHaveTheNamesOfTheRecord(t *testing.T) {
	config := Config{BatchSize: 8, Seed: 1<<63 + 1,
		Optimizer: OptimizerConfig{Name: "adam", LearningRate: 1e-5}, Freeze: []string{"a.*", "b"},
		ActivationPenalties: map[string]Penalty{"relu3": {L1: 0.5}}}
	settings, err := config.Settings()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"batch_size": "8", "seed": "9223372036854775809", "optimizer.name": "adam",
		"optimizer.learning_rate": "0.00001",
		"freeze":                  `["a.*","b"]`, "activation_penalties.relu3.l1": "0.5",
	} {
		if settings[name] != want {
			t.Errorf("%s is %q, want %q", name, settings[name], want)
		}
	}
	if _, there := settings["schedule.name"]; there {
		t.Error("a schedule that is not there has a name")
	}
}

// Features that are never kept are no other settings of a run that goes on: they change no bit.
// Those of images that are not augmented do.
func TestSettingsThatMayChange(t *testing.T) {
	fields := func(features string) string {
		fields, err := fixedFields(Config{FineTune: FineTune{Features: features}})
		if err != nil {
			t.Fatal(err)
		}
		return fields["fine_tune"]
	}
	if got, want := fields(FeaturesNever), fields(""); got != want {
		t.Errorf("with features never kept the settings are %s, want %s", got, want)
	}
	if got := fields(FeaturesOnce); got == fields("") {
		t.Errorf("with features of images that are not augmented the settings are %s, too", got)
	}
}
