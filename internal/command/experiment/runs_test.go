package experiment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/tracking"
)

// The runs of a study are listed, compared and drawn as those of train are.
func TestRunsBesideEachOther(t *testing.T) {
	root := t.TempDir()
	if code, _, errs := runExperiment(t, "run", "-runs", root,
		writeStudy(t, tiny)); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	pool := filepath.Join(root, "pool")
	code, out, errs := runExperiment(t, "list", "-runs", pool, "-sort", "accuracy", "-json")
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var rows []runRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 || *rows[0].Accuracy < *rows[3].Accuracy || rows[0].Tested != "t10k" ||
		rows[0].Network != "tiny" || rows[0].Epochs != 4 {
		t.Fatalf("%s", out)
	}
	if _, text, _ := runExperiment(t, "list", "-runs", pool); strings.Count(text, "\n") != 5 ||
		!strings.Contains(text, rows[0].Name) {
		t.Errorf("the list is\n%s", text)
	}
	report := filepath.Join(root, "comparison")
	code, out, errs = runExperiment(t, "compare", rows[0].Folder, rows[3].Folder, "-o", report)
	// The study's first 100 images of t10k are those of the set that its plan names.
	if code != cli.ExitOK || !strings.Contains(out, "tested on t10k, 100 images") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	picture := filepath.Join(root, "curves.svg")
	if code, _, errs := runExperiment(t, "curves", rows[0].Folder, rows[1].Folder, "-o",
		picture); code != cli.ExitOK {
		t.Errorf("exit %d: %s", code, errs)
	}
	if raw, err := os.ReadFile(picture); err != nil || !strings.Contains(string(raw), "<svg") {
		t.Errorf("%v", err)
	}
}

func TestRunsWrongUsage(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(empty+"/notes.txt", []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		code int
		says string
		args []string
	}{
		{cli.ExitUsage, "two runs are wanted", []string{"compare", "e1"}},
		{cli.ExitUsage, "a run is missing", []string{"curves"}},
		{cli.ExitUsage, "there are date, name, accuracy", []string{"list", "-sort", "size"}},
		{cli.ExitFailure, tracking.ErrNoRun.Error(), []string{"curves", "-runs", empty, "e1"}},
		{cli.ExitFailure, "no earlier report", []string{"compare", "a", "b", "-o", empty}},
		{cli.ExitFailure, "list runs", []string{"list", "-runs", empty + "/none"}},
	} {
		if code, _, errs := runExperiment(t, test.args...); code != test.code ||
			!strings.Contains(errs, test.says) {
			t.Errorf("%v: exit %d: %s", test.args, code, errs)
		}
	}
	if err := mayReplacePicture(empty + "/notes.txt"); err == nil {
		t.Error("a text would be written over")
	}
}
