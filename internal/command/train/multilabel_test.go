package train

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/train"
)

// stripes writes 1×8×8 images with any of four labels as arrays, in parts.
func stripes(t *testing.T) (dir string) {
	t.Helper()
	dir = fixture(t)
	source := rand.New(rand.NewPCG(5, 6))
	set := t.TempDir()
	for _, part := range []string{"train", "test"} {
		const n = 96
		images, labels := make([]byte, n*64), make([]byte, n*10)
		for i := range n {
			for label := range 4 {
				labels[i*10+label] = byte(source.IntN(2))
			}
			for j := range 64 {
				images[i*64+j] = byte(source.IntN(60)) + 150*labels[i*10+j/16]
			}
		}
		npy(t, filepath.Join(set, part+"_images.npy"), fmt.Sprintf("(%d, 8, 8)", n), images)
		npy(t, filepath.Join(set, part+"_labels.npy"), fmt.Sprintf("(%d, 10)", n), labels)
	}
	if err := os.Rename(filepath.Join(dir, "tiny.json"), filepath.Join(set, "tiny.json")); err != nil {
		t.Fatal(err)
	}
	return set
}

func npy(t *testing.T, path, shape string, data []byte) {
	t.Helper()
	header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': %s, }\n", shape)
	file := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if err := os.WriteFile(path, append(append(file, header...), data...), 0o666); err != nil {
		t.Fatal(err)
	}
}

func labelArguments(dir string, more ...string) []string {
	return append([]string{"-network", dir + "/tiny.json", "-data", dir, "-runs", dir + "/runs",
		"-batch", "8", "-pixels", "0-1", "-lr", "0.01"}, more...)
}

// A set whose images have any number of labels is trained on with the loss of such, which is said,
// and a run that goes on needs no flag of it.
func TestTrainOnSeveralLabels(t *testing.T) {
	dir := stripes(t)
	code, out, errs := runTrain(t, labelArguments(dir, "-epochs", "6", "-validation", "0.25", "-best",
		"validation-micro-f1", "-mixup", "0.2")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	first, _, _ := strings.Cut(out, "\n")
	if strings.Count(first, "96 images 1×8×8, any of 10 labels each") != 2 {
		t.Errorf("the first line is %s", first)
	}
	for _, want := range []string{"labels: any number an image, each told where its probability is above 0.5",
		"loss: binary", "validation mean average precision ", "macro F1 ", "Subset accuracy = "} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	run, err := train.OpenRun(filepath.Join(dir, "runs", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.ReadMetrics()
	if err != nil || m.MultiLabel == nil || m.MultiLabel.SubsetAccuracy != m.Accuracy ||
		len(m.MultiLabel.PerLabel) != 10 {
		t.Errorf("%+v, %v", m, err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "runs", "tiny", "config.json"))
	if err != nil || strings.Count(string(config), `"multi_label": true`) < 2 ||
		!strings.Contains(string(config), `"name": "binary"`) {
		t.Errorf("%v: %s", err, config)
	}
	file, err := os.Open(filepath.Join(dir, "runs", "tiny", "history.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || rows[0][len(rows[0])-1] != "validation_micro_f1" {
		t.Errorf("%v: %v", err, rows[0])
	}
	code, out, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "7")
	if code != cli.ExitOK || !strings.Contains(out, "Epoch [7/7]") ||
		!strings.Contains(out, "Subset accuracy = ") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestWhatTrainRefusesOfSeveralLabels(t *testing.T) {
	dir, single := stripes(t), fixture(t)
	for name, test := range map[string]struct {
		code int
		args []string
		want string
	}{
		"cross-entropy": {cli.ExitUsage, labelArguments(dir, "-loss", "cross-entropy"),
			"-loss: the images of " + dir + ":train have any number of labels"},
		"focal": {cli.ExitUsage, labelArguments(dir, "-loss", "focal"), "-loss: "},
		"sampling": {cli.ExitUsage, labelArguments(dir, "-sampling", "balanced"),
			"-sampling: balanced sampling draws each class as often"},
		"test of one": {cli.ExitFailure, labelArguments(dir, "-test", single+":t10k"),
			"have one label each"},
		"the flag": {cli.ExitFailure, arguments(single, "-multi-label"),
			"have one label each, and any number of them was asked for"},
		"best": {cli.ExitUsage, arguments(single, "-validation", "0.2", "-best",
			"validation-macro-f1"), "-best: the best epoch by validation-macro-f1"},
	} {
		code, out, errs := runTrain(t, test.args...)
		if code != test.code || !strings.Contains(errs, test.want) {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
	code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-multi-label")
	if code != cli.ExitUsage || !strings.Contains(errs, "-multi-label does not apply to -resume") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
