package train

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/safetensors"
	"slipway/train"
)

func TestARunSaysWhatItIsWorth(t *testing.T) {
	dir := fixture(t)
	code, _, errs := runTrain(t, arguments(dir, "-epochs", "4")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	run, err := train.OpenRun(filepath.Join(dir, "runs", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.ReadMetrics()
	if err != nil {
		t.Fatal(err)
	}
	// The set has four classes, the network ten: six have no images.
	last := checkpoint.Progress.History[3]
	if m.Accuracy != *last.TestAccuracy || m.Epoch != 4 ||
		m.DataSHA256 != checkpoint.Sets.Test.SHA256 || m.Images != 96 || m.ROCAUC == nil ||
		len(m.PerClass) != 10 || m.PerClass[9].Recall != nil {
		t.Errorf("%+v", m)
	}
}

// The log loss of a network that is trained with the binary loss is the binary one.
func TestABinaryRunsLogLoss(t *testing.T) {
	dir := fixture(t)
	if code, _,
		errs := runTrain(t, arguments(dir, "-epochs", "1", "-loss", "binary")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	run, err := train.OpenRun(filepath.Join(dir, "runs", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.ReadMetrics()
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Read(run.LogitsPath(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	logits, _ := file.Tensor("logits")
	values, err := logits.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	// Without the labels: σ(z) of the class, and 1 − σ(z) of the others, differ by z in their
	// logarithms.
	least, most := 0.0, 0.0
	for i := 0; i < len(values); i += 10 {
		all := 0.0
		for _, z := range values[i : i+10] {
			all += math.Log1p(math.Exp(float64(z)))
		}
		least += all - float64(slices.Max(values[i:i+10]))
		most += all - float64(slices.Min(values[i:i+10]))
	}
	if n := float64(len(values)); !(*m.LogLoss >= least/n && *m.LogLoss <= most/n) {
		t.Errorf("log loss %v, the binary one is between %v and %v", *m.LogLoss, least/n, most/n)
	}
}

// Without a test set there is nothing to say, and a file that cannot be written ends no run.
func TestFiguresAreNoPartOfARun(t *testing.T) {
	dir := fixture(t)
	if code, _,
		errs := runTrain(t, arguments(dir, "-epochs", "1", "-test", "none")...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	run, err := train.OpenRun(filepath.Join(dir, "runs", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.ReadMetrics(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no test set: %v", err)
	}
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	file := filepath.Join(run.Path(), "metrics.json")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o777); err != nil {
		t.Fatal(err)
	}
	code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "2")
	if code != cli.ExitOK || !strings.Contains(errs, "warning: the test set's figures") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
