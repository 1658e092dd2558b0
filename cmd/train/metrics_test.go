package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
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
	if m.Accuracy != *last.TestAccuracy || m.Epoch != 4 || m.DataSHA256 != checkpoint.Sets.Test.SHA256 ||
		m.Images != 96 || m.ROCAUC == nil || len(m.PerClass) != 10 || m.PerClass[9].Recall != nil {
		t.Errorf("%+v", m)
	}
}

// Without a test set there is nothing to say, and a file that cannot be written ends no run.
func TestFiguresAreNoPartOfARun(t *testing.T) {
	dir := fixture(t)
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1", "-test", "none")...); code != cli.ExitOK {
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
