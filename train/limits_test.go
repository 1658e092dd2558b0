package train

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// A run's settings at their limits.
func TestTheLimitsOfAConfig(t *testing.T) {
	least := Config{BatchSize: 1, Epochs: 1, CheckpointEvery: 1, KeepCheckpoints: 1}
	for want, change := range map[string]func(c *Config){
		"":                        func(*Config) {},
		"batch size -1":           func(c *Config) { c.BatchSize = -1 },
		"-1 epochs":               func(c *Config) { c.Epochs = -1 },
		"checkpoints: at least 1": func(c *Config) { c.CheckpointEvery = -1 },
		"at least 1 kept":         func(c *Config) { c.KeepCheckpoints = -1 },
	} {
		config := least
		change(&config)
		_, err := config.WithDefaults(smallNetwork(t))
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A loss is absurd above 10^16, and its images are named, eight at most.
func TestDivergence(t *testing.T) {
	for loss, want := range map[float64]bool{absurdLoss: false, -absurdLoss: false,
		1.01 * absurdLoss: true} {
		if got := diverged(loss); got != want {
			t.Errorf("a loss of %v: %v", loss, got)
		}
	}
	for count, want := range map[int]string{
		8:  "the loss is 2 at epoch 3, step 4 (images [0 1 2 3 4 5 6 7]); try a lower learning rate",
		10: "the loss is 2 at epoch 3, step 4 (images [0 1 2 3 4 5 6 7] and 2 more); try a lower learning rate"} {
		diverged := &DivergedError{Epoch: 3, Step: 4, Loss: 2}
		for i := range count {
			diverged.Indices = append(diverged.Indices, i)
		}
		if got := diverged.Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Names that Windows keeps for devices get another end.
func TestNamesOfDevices(t *testing.T) {
	for _, device := range []string{"COM1", "LPT9", "com5.txt", "nul", "LPT1"} {
		if got := PlainName(device); got == device {
			t.Errorf("%s stays", device)
		}
	}
	for _, name := range []string{"COM0", "LPTA", "COMA", "COM10", "ABC1", "COM", "null"} {
		if got := PlainName(name); got != name {
			t.Errorf("%s becomes %s", name, got)
		}
	}
}

// A network takes images of its own shape, or as many features as they have pixels.
func TestNetworksThatFit(t *testing.T) {
	set := datasettest.Bars(t, 4) // 1×6×6
	for want, input := range map[string]builder.Shape{"": {36}, "takes 35": {35}, "takes 37": {37},
		"takes 36×1×1": {36, 1, 1}} {
		layers := []builder.Layer{builder.Dense{Units: set.Classes}}
		if len(input) == 3 {
			layers = append([]builder.Layer{builder.Flatten{}}, layers...)
		}
		network, err := builder.New("n", input, layers...)
		if err != nil {
			t.Fatal(err)
		}
		err = fits(network, set)
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", input, err, want)
		}
	}
}
