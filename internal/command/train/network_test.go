package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder/zoo"
	"slipway/internal/cli"
	"slipway/train"
)

// A known network is made for the images and the classes of the set.
func TestAKnownNetworkFitsTheSet(t *testing.T) {
	dir := fixture(t)
	known := []string{"-network", "resnet20", "-data", dir + ":train", "-test", "none", "-runs",
		dir + "/runs", "-batch", "48", "-epochs", "1"}
	code, out, errs := runTrain(t, known...)
	if code != cli.ExitOK || !strings.Contains(out, "resnet20: input 1×8×8") ||
		!strings.Contains(out, "271,796 parameters") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	run, err := train.OpenRun(filepath.Join(dir, "runs", "resnet20"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if classes, err := checkpoint.Network.Classes(); classes != 4 || err != nil {
		t.Errorf("the run's network has %d classes (%v), its set 4", classes, err)
	}
	code, out, errs = runTrain(t, append(known, "-classes", "7", "-name", "seven")...)
	if code != cli.ExitOK || !strings.Contains(out, "Dense                              7 ") {
		t.Errorf("with -classes 7: exit %d, %s%s", code, out, errs)
	}
	code, _, errs = runTrain(t, append(known, "-classes", "3", "-name", "three")...)
	if code != cli.ExitFailure || !strings.Contains(errs, "network resnet20 has 3 logits") {
		t.Errorf("with fewer classes than the set has: exit %d, %s", code, errs)
	}
	// From any folder the weights can be taken up again.
	code, out, errs = runTrain(t, append(known, "-name", "again", "-init",
		filepath.Join(dir, "runs", "resnet20", "weights.safetensors"))...)
	if code != cli.ExitOK {
		t.Errorf("from the weights of before: exit %d, %s%s", code, out, errs)
	}
}

// A file may be called as a known network is: a path tells it.
func TestAPathIsAFileAndAKnownNameANetwork(t *testing.T) {
	dir := fixture(t)
	raw, err := os.ReadFile(filepath.Join(dir, "tiny.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "resnet20"), raw, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	others := []string{"-data", dir + ":train", "-test", "none", "-runs", dir + "/runs", "-batch",
		"48", "-epochs", "1"}
	for network, want := range map[string]string{"./resnet20": "tiny: input",
		"resnet20": "resnet20: input", "tiny.json": "tiny: input"} {
		code, out, errs := runTrain(t, append(others, "-network", network, "-name", "of")...)
		if code != cli.ExitOK || !strings.Contains(out, want) {
			t.Errorf("-network %s: exit %d, %s%s; want %s", network, code, out, errs, want)
		}
	}
}

func TestAnUnknownNetworkListsTheKnownOnes(t *testing.T) {
	code, _, errs := runTrain(t, "-network", "resnet19", "-data", fixture(t))
	if code != cli.ExitFailure ||
		!strings.Contains(errs, "-network resnet19: no network is called so") ||
		!strings.Contains(errs, strings.Join(zoo.Names(), ", ")) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// What is frozen is as it began, and a run's record says what it was.
func TestFreezeAndDecayAreOfTheRun(t *testing.T) {
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-epochs", "1", "-freeze", "conv1.*, *.bias", "-decay",
		"weights", "-weight-decay", "0.1")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "runs", "tiny", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Config train.Config }
	if err := json.Unmarshal(raw, &record); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(record.Config.Freeze, []string{"conv1.*", "*.bias"}) ||
		record.Config.Decay != train.DecayWeights {
		t.Errorf("the record has freeze %q and decay %q", record.Config.Freeze, record.Config.Decay)
	}
	network, err := readNetwork(filepath.Join(dir, "tiny.json"))
	if err != nil {
		t.Fatal(err)
	}
	weights, _, err := train.ReadWeights(filepath.Join(dir, "runs", "tiny", "weights.safetensors"),
		network)
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range network.InitialWeights(record.Config.Seed) {
		after, _ := weights.Get(before.Name)
		frozen := strings.HasPrefix(before.Name, "conv1.") || strings.HasSuffix(before.Name, ".bias")
		if slices.Equal(before.Data, after.Data) != frozen {
			t.Errorf("%s: frozen %v, unchanged %v", before.Name, frozen, !frozen)
		}
	}
	code, _, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "2")
	if code != cli.ExitOK {
		t.Errorf("resumed: exit %d, %s", code, errs)
	}
}

// A run of the default has the record that runs had before there was a choice.
func TestDecayOfAllIsNotRecorded(t *testing.T) {
	options, err := parse([]string{"-decay", "all"}, nil)
	if err != nil || options.config.Decay != "" {
		t.Errorf("decay %q, %v", options.config.Decay, err)
	}
}

// What does not fit in a file of torch.save is named, with what was taken for its prefix, and what
// is refused as well.
func TestInitSaysWhatIsWrongWithPyTorchsFiles(t *testing.T) {
	dir := fixture(t)
	network := filepath.Join(dir, "linear.json")
	layers := `{"name": "linear", "input": [1, 8, 8], "layers": [{"kind": "Flatten"}, {"kind": "Dense", "layer": {"units": 2}},
		{"kind": "Dense", "layer": {"name": "0", "units": 3}}, {"kind": "Dense", "layer": {"name": "1", "units": 2}}]}`
	if err := os.WriteFile(network, []byte(layers), 0o666); err != nil {
		t.Fatal(err)
	}
	checkpoint := "../../../train/testdata/torchfiles/checkpoint.pt"
	code, _, errs := runTrain(t, "-network", network, "-data", dir+":train", "-test", "none", "-runs",
		dir+"/runs", "-init", checkpoint)
	if code != cli.ExitFailure ||
		!strings.Contains(errs,
			checkpoint+
				": the tensors are not those of network linear; missing: state_dict.module.fc1.weight (2×64)") {
		t.Errorf("exit %d, %s", code, errs)
	}
	refused := "../../../internal/torchfile/testdata/refused-eval.pt"
	code, _, errs = runTrain(t, "-network", network, "-data", dir+":train", "-test", "none", "-runs",
		dir+"/runs", "-init", refused)
	if code != cli.ExitFailure || !strings.Contains(errs, refused) ||
		!strings.Contains(errs, `"builtins.eval"`) {
		t.Errorf("exit %d, %s", code, errs)
	}
}
