package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/metrics"
)

func TestRunNames(t *testing.T) {
	for _, name := range []string{"e1", "e1/again", "..e1", "e1.2", "é", "a b", "lr=0.1,seed 3",
		"console", "com"} {
		if err := CheckRunName(name); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		"own:t10k": `"own_t10k"`, "a/b:c": `"b_c"`, `a\b`: `"a_b"`, "what?": `"what_"`, "a*": `"a_"`,
		"a\tb": `"a_b"`,
		"end.": `"end_"`, "end ": `"end_"`, "NUL": `"_NUL"`, "com1.txt": `"_com1.txt"`, "<x>|": `"_x__"`,
		"": "names no folder", ".": "names no folder", "..": "names no folder",
		"../e1": "names no folder", "a/../..": "names no folder", "/e1": "names no folder",
		"a//b": "names no folder",
	} {
		if err := CheckRunName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	// A run of before is still found.
	if err := CheckRunPath("own:t10k"); err != nil {
		t.Error(err)
	}
	// Files are named so that every system takes them.
	if got := (RunDir{"runs/r"}).
		LogitsPath("/data/own:t10k"); got != "runs/r/own_t10k_logits.safetensors" {
		t.Error(got)
	}
}

// A record of metrics is read as it was written, and one that is damaged is told.
func TestMetricsOfARun(t *testing.T) {
	run := RunDir{t.TempDir()}
	if _, err := run.ReadMetrics(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	written := &metrics.Metrics{Images: 7, Correct: 5}
	if err := run.WriteMetrics(written); err != nil {
		t.Fatal(err)
	}
	if read, err := run.ReadMetrics(); err != nil || !reflect.DeepEqual(read, written) {
		t.Errorf("%+v is read as %+v (%v)", written, read, err)
	}
	path := filepath.Join(run.path, metricsFile)
	if err := os.WriteFile(path, []byte(`{"images": 7`), 0o666); err != nil {
		t.Fatal(err)
	}
	if m, err := run.ReadMetrics(); m != nil || err == nil ||
		!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "train -resume") {
		t.Errorf("damaged: %+v, %v", m, err)
	}
}
