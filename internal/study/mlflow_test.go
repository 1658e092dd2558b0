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
		if _, err := Execute(t.Context(), file, options); err != nil ||
			strings.Contains(told, "warning") {
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
		if lines := strings.Split(strings.TrimSpace(read("metrics/mean_loss")), "\n"); len(lines) != 2 ||
			!strings.HasSuffix(lines[1], " 2") {
			t.Errorf("the losses are %q", lines)
		}
		if meta := read("meta.yaml"); !strings.Contains(meta, "status: 3\n") ||
			!strings.Contains(meta, "seed 0") {
			t.Errorf("the run is\n%s", meta)
		}
		if read("tags/slipway.study") != "tracked" || read("artifacts/history.csv") == "" ||
			!strings.HasPrefix(read("params/optimizer.learning_rate"), "0.0") {
			t.Errorf("%s: tags, parameters and files are not the run's", of)
		}
	}
	experiment, err := filepath.Glob(store + "/*/meta.yaml")
	if err != nil || len(experiment) != 1 {
		t.Fatal(experiment, err)
	}
	if raw, err := os.ReadFile(experiment[0]); err != nil ||
		!strings.Contains(string(raw), "name: tracked\n") {
		t.Errorf("the experiment is\n%s", raw)
	}
}

// A run that diverges in its first epoch has no history, and is told as it ended.
func TestMLflowIsToldOfARunWithoutAnEpoch(t *testing.T) {
	store, told := filepath.Join(t.TempDir(), "mlruns"), ""
	file := readStudy(t, "s", "grid: {learning_rate: [1e30]}\nfixed: {optimizer: sgd, epochs: 2}\n")
	results, err := Execute(t.Context(), file, Options{Root: t.TempDir(), Progress: new(counter),
		MLflow: mlflow.Flags{URI: store}, Messages: func(line string) { told += line }})
	if err != nil || told != "" {
		t.Fatal(err, told)
	}
	if len(results) != 1 || len(results[0].History) != 0 {
		t.Fatalf("the run is not without an epoch: %+v", results)
	}
	for name, says := range map[string]string{
		"meta.yaml": "status: 3\n", "metrics/test_accuracy": " 0\n", "artifacts/history.csv": "epoch",
	} {
		paths, err := filepath.Glob(filepath.Join(store, "*", "*", name))
		if err != nil || len(paths) != 1 {
			t.Errorf("%d files %s: %v", len(paths), name, err)
			continue
		}
		if raw, err := os.ReadFile(paths[0]); err != nil || !strings.Contains(string(raw), says) {
			t.Errorf("%s is %q, %v; want %q in it", name, raw, err, says)
		}
	}
}
