package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
)

// The finder writes its curve and nothing of a run, twice into the same folder, and never into
// that of a run.
func TestFindLearningRate(t *testing.T) {
	dir := fixture(t)
	folder := filepath.Join(dir, "runs", "tiny-find")
	for range 2 {
		code, out, errs := runTrain(t, arguments(dir, "-find-lr", "-find-steps", "60", "-schedule",
			"cosine", "-augment", "shift=1")...)
		if code != cli.ExitOK || !strings.Contains(out, "steps at rates from 1e-07 to") ||
			!strings.Contains(out, filepath.Join(folder, "lr-find.svg")) {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 2 {
			t.Errorf("the folder has %v, %v", entries, err)
		}
		table, err := os.ReadFile(filepath.Join(folder, "lr-find.csv"))
		if err != nil || !strings.HasPrefix(string(table), "step,rate,loss,smoothed\n1,1e-07,") {
			t.Errorf("the table is %.60q, %v", table, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "runs", "tiny")); err == nil {
		t.Error("there is a run")
	}
	if code, _,
		errs := runTrain(t, arguments(dir, "-name", "own-find", "-epochs", "1")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	code, _, errs := runTrain(t, arguments(dir, "-name", "own", "-find-lr")...)
	if code != cli.ExitFailure ||
		!strings.Contains(errs, "is the folder of a run, which stays as it is; give another -name") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// The finder reads what a run does: also a pretrained network by its name.
func TestTheFinderKnowsPretrainedNetworks(t *testing.T) {
	code, _, errs := runTrain(t, "-from", "efficientnet_lite", "-data", fixture(t)+":train", "-test",
		"none", "-runs", t.TempDir(), "-find-lr")
	if code != cli.ExitFailure || !strings.Contains(errs, `did you mean "efficientnet_lite0"?`) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestFinderFlagsThatDoNotGoTogether(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-find-steps", "10"}, "-find-steps applies to -find-lr alone"},
		{[]string{"-find-lr", "-find-steps", "0"}, "-find-steps 0; more than 0"},
		{[]string{"-find-lr", "-device", "cuda"}, "-device cuda does not go with -find-lr"},
		{[]string{"-find-lr", "-tensorboard", "logs"}, "-tensorboard does not apply to -find-lr"},
		{[]string{"-find-lr", "-resume", "-name", "e1"}, "-find-lr does not apply to -resume"},
	} {
		if code, _, errs := runTrain(t, test.args...); code != cli.ExitUsage ||
			!strings.Contains(errs, test.want) {
			t.Errorf("%v: exit %d, %s", test.args, code, errs)
		}
	}
}
