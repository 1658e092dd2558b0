package study

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/train"
)

// What is written is read back, in the plan's order and under the plan's names; a
// run that is not finished is passed over.
func TestReadGivesWhatWasWritten(t *testing.T) {
	root := t.TempDir()
	dir, pool := filepath.Join(root, "dropout"), filepath.Join(root, "pool")
	write := func(result Result) {
		t.Helper()
		run := filepath.Join(pool, result.ID)
		if err := os.MkdirAll(run, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := result.Write(run); err != nil {
			t.Fatal(err)
		}
	}
	first := Result{
		ID: "b", Study: "other", Setting: "p=0.5", Values: map[string]any{"p": 0.5}, Seed: 7,
		Network: "e2", Parameters: 184586,
		Config: train.Config{Data: "train", Epochs: 2, Seed: 7}, Threads: 1, Stopped: "epochs",
		History: train.History{{Epoch: 1, Steps: 3, MeanLoss: 0.5},
			{Epoch: 2, Steps: 3, MeanLoss: 0.25}},
		TrainSeconds: 1.5, TrainAccuracy: 0.75, TrainLoss: 0.125, TestAccuracy: 0.5, TestLoss: 0.25,
		Robustness: map[string][]float64{"gaussian_noise": {0.5, 0.25, 0.125, 0.125, 0.125}},
		CPU:        "a CPU", Go: "go1.26",
	}
	second := Result{ID: "a", Stopped: "diverged: the loss is NaN", TrainLoss: math.NaN(),
		TestLoss: math.Inf(1)}
	write(first)
	write(second)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Study: "dropout", Question: "Does it help?", Pool: "../pool", Runs: []PlannedRun{
		{ID: "b", Setting: "dropout=0.5", Values: map[string]any{"dropout": 0.5}, Seed: 7},
		{ID: "unfinished", Setting: "dropout=0.5", Seed: 8},
		{ID: "a", Setting: "dropout=0.9"},
	}}
	if err := plan.Write(dir); err != nil {
		t.Fatal(err)
	}

	results, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 {
		t.Fatalf("%d results, want the 2 that are finished", len(results))
	}
	first.Study, first.Setting, first.Values = "dropout", "dropout=0.5", map[string]any{"dropout": 0.5}
	first.Dir = filepath.Join(pool, "b")
	if !reflect.DeepEqual(results[0], first) {
		t.Errorf("read %+v\nwant %+v", results[0], first)
	}
	if got := results[1]; got.Setting != "dropout=0.9" || !math.IsNaN(got.TrainLoss) ||
		!math.IsNaN(got.TestLoss) || got.Stopped != second.Stopped {
		t.Errorf("the run that diverged was read as %+v", got)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "experiment run") {
		t.Errorf("a folder without a plan: %v", err)
	}
	run := filepath.Join(dir, "r")
	if err := os.Mkdir(run, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Plan{Study: "s", Pool: ".", Runs: []PlannedRun{{ID: "r"}}}).Write(dir); err != nil {
		t.Fatal(err)
	}
	// The plan is read first: it is damaged last.
	for _, file := range []string{filepath.Join(run, ResultFile), filepath.Join(dir, PlanFile)} {
		if err := os.WriteFile(file, []byte("[{"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), filepath.Base(file)) {
			t.Errorf("%s damaged: %v", file, err)
		}
	}
}
