package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/mlflow"
)

// MLflow is told of each run, in an experiment called as the study, and of a finished one no more.
func TestMLflowIsToldOfAStudy(t *testing.T) {
	root, store := t.TempDir(), filepath.Join(t.TempDir(), "mlruns")
	file := readStudy(t, "tracked", "grid: {learning_rate: [0.01, 0.02]}\nfixed: {epochs: 2}\n")
	run := func() {
		told := ""
		options := Options{Root: root, Progress: new(counter), MLflow: mlflow.Flags{URI: store},
			Messages: func(line string) { told += line }}
		if _, err := Execute(t.Context(), file, options); err != nil || strings.Contains(told, "warning") {
			t.Fatal(err, told)
		}
	}
	run()
	run()
	paths, err := filepath.Glob(store + "/*/*/metrics/test_accuracy")
	if err != nil || len(paths) != 2 {
		t.Fatalf("%d runs in %s: %v", len(paths), store, err)
	}
	for _, path := range paths {
		of := filepath.Dir(filepath.Dir(path))
		read := func(name string) string {
			raw, err := os.ReadFile(filepath.Join(of, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
		if lines := strings.Split(strings.TrimSpace(read("metrics/mean_loss")), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[1], " 2") {
			t.Errorf("the losses are %q", lines)
		}
		if meta := read("meta.yaml"); !strings.Contains(meta, "status: 3\n") || !strings.Contains(meta, "seed 0") {
			t.Errorf("the run is\n%s", meta)
		}
		if read("tags/slipway.study") != "tracked" || read("artifacts/history.csv") == "" || !strings.HasPrefix(read("params/optimizer.learning_rate"), "0.0") {
			t.Errorf("%s: tags, parameters and files are not the run's", of)
		}
	}
	experiment, err := filepath.Glob(store + "/*/meta.yaml")
	if err != nil || len(experiment) != 1 {
		t.Fatal(experiment, err)
	}
	if raw, err := os.ReadFile(experiment[0]); err != nil || !strings.Contains(string(raw), "name: tracked\n") {
		t.Errorf("the experiment is\n%s", raw)
	}
}
