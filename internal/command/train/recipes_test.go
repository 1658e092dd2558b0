package train

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/train"
)

// The flags of a recipe reach the run's configuration, its figures the history, and its result
// the weights that are kept.
func TestRecipeFlags(t *testing.T) {
	dir := fixture(t)
	args := arguments(dir, "-epochs", "3", "-validation", "0.2", "-schedule", "step", "-milestones",
		"1,2", "-gamma", "0.5", "-warmup-epochs", "0.5", "-accumulate", "2", "-clip-norm", "0.5", "-ema",
		"0.9", "-best", "validation-accuracy")
	code, out, errs := runTrain(t, args...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"validated, tested and exported are averaged weights (decay 0.9)",
		"(not averaged ", "note: an average with decay 0.9 looks back over some 10 steps"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	run, err := train.OpenRun(dir + "/runs/tiny")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	config := checkpoint.Config
	want := train.Schedule{Name: "step", Milestones: []int{1, 2}, Gamma: 0.5, WarmupEpochs: 0.5,
		First: 0.01}
	if !reflect.DeepEqual(config.Schedule, want) || config.Accumulate != 2 || config.ClipNorm != 0.5 ||
		config.EMA != (train.EMA{Decay: 0.9}) || config.Best != train.BestValidationAccuracy {
		t.Errorf("the configuration is %+v", config)
	}
	kept, _, err := train.ReadWeights(run.WeightsPath(), checkpoint.Network)
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range checkpoint.Result() {
		if !slices.Equal(tensor.Data, kept[i].Data) {
			t.Errorf("%s is not the result's", tensor.Name)
		}
	}
	file, err := os.Open(filepath.Join(run.Path(), "history.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, column := range []string{"raw_validation_loss", "raw_validation_accuracy",
		"gradient_norm"} {
		at := slices.Index(rows[0], column)
		if at < 0 || rows[3][at] == "" {
			t.Errorf("no %s in %v", column, rows)
		}
	}
	// It goes on, and may keep the best by another measure.
	code, out, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "4",
		"-best", "training-loss")
	if code != cli.ExitOK ||
		!strings.Contains(out,
			"note: the run kept the epoch with the best validation-accuracy so far (") ||
		!strings.Contains(out,
			"from here on it keeps the one with the best training-loss, of those that come") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "5")
	if code != cli.ExitOK || strings.Contains(out, "from here on") {
		t.Errorf("by the same measure: exit %d: %s%s", code, out, errs)
	}
	for _, bad := range []string{"1,x", "", "1,,2", "1.5"} {
		if code, _, errs := runTrain(t, "-schedule", "step", "-milestones", bad); code != cli.ExitUsage ||
			!strings.Contains(errs, "is no list of numbers of epochs") {
			t.Errorf("milestones %q: exit %d, %s", bad, code, errs)
		}
	}
}
