package train

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/mlflow"
	"slipway/train"
)

// only returns the only file that the pattern names.
func only(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A run that goes on does so in the same MLflow run, and told are all its epochs, those too that
// were trained without MLflow. What MLflow itself makes of it is tested in internal/mlflow.
func TestMLflowIsToldOfARun(t *testing.T) {
	dir := fixture(t)
	store := filepath.Join(dir, "mlruns")
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, epochs := range []string{"2", "3"} {
		code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", epochs,
			"-mlflow", store, "-mlflow-experiment", "own")
		if code != cli.ExitOK || strings.Contains(errs, "warning") {
			t.Fatalf("exit %d: %s", code, errs)
		}
	}
	if meta := only(t, store+"/*/meta.yaml"); !strings.Contains(meta, "name: own\n") {
		t.Errorf("the experiment is\n%s", meta)
	}
	run := store + "/*/*/"
	if meta := only(t, run+"meta.yaml"); !strings.Contains(meta, "run_name: tiny\n") ||
		!strings.Contains(meta, "status: 3\n") {
		t.Errorf("the run is\n%s", meta)
	}
	losses := strings.Split(strings.TrimSpace(only(t, run+"metrics/mean_loss")), "\n")
	if len(losses) != 3 || !strings.HasSuffix(losses[0], " 1") || !strings.HasSuffix(losses[2], " 3") {
		t.Errorf("the losses are %q", losses)
	}
	for name, want := range map[string]string{
		"params/optimizer.name": "adam", "params/batch_size": "8", "tags/slipway.network": "tiny",
		"tags/mlflow.runName": "tiny",
	} {
		if got := only(t, run+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"metrics/test_roc_auc", "metrics/test_accuracy",
		"artifacts/curve.svg", "artifacts/history.csv", "artifacts/metrics.json"} {
		if text := only(t, run+name); text == "" || strings.Contains(text, dir) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if names, err := filepath.Glob(run + "params/data"); err != nil || len(names) > 0 {
		t.Errorf("a place of this machine is told: %v, %v", names, err)
	}
}

// MLflow's last test accuracy is that of the weights that the run comes to, also where -best went
// back to those of an earlier epoch.
func TestMLflowIsToldOfTheKeptWeights(t *testing.T) {
	dir := fixture(t)
	store := filepath.Join(dir, "mlruns")
	// A rate at which the loss is worse from the second epoch on.
	code, out, errs := runTrain(t, arguments(dir, "-epochs", "3", "-best", "training-loss",
		"-optimizer", "sgd", "-lr", "0.00001", "-schedule", "step", "-milestones", "1", "-gamma", "0.5",
		"-mlflow", store)...)
	if code != cli.ExitOK {
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
	values := strings.Split(strings.TrimSpace(only(t, store+"/*/*/metrics/test_accuracy")), "\n")
	last := strings.Fields(values[len(values)-1])
	if m.Epoch == 3 || len(values) != 4 || last[2] != "3" || number(t, last[1]) != m.Accuracy {
		t.Errorf("of epoch %d with %v: %q\n%s", m.Epoch, m.Accuracy, values, out)
	}
	if kept := strings.Fields(only(t, store+"/*/*/metrics/kept_epoch")); kept[1] != strconv.Itoa(
		m.Epoch) {
		t.Errorf("the kept epoch is %v, want %d", kept, m.Epoch)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A server that is not there ends no run, and is told of once.
func TestMLflowThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	listener.Close()
	dir := fixture(t)
	code, out, errs := runTrain(t, arguments(dir, "-epochs", "2", "-mlflow", address)...)
	if code != cli.ExitOK || !strings.Contains(out, "Accuracy = ") ||
		strings.Count(errs, "warning: MLflow: ") != 1 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestMLflowWrongUsage(t *testing.T) {
	t.Setenv(mlflow.Variable, "")
	for says, args := range map[string][]string{
		"-mlflow-experiment applies to -mlflow alone": {"-mlflow-experiment", "x"},
		mlflow.Variable + " is not set":               {"-mlflow", "env"},
		"start mlflow server":                         {"-mlflow", "sqlite:///mlflow.db"},
		"no URI":                                      {"-mlflow", ""},
	} {
		if code, _, errs := runTrain(t, args...); code != cli.ExitUsage || !strings.Contains(errs, says) {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	// The environment alone starts nothing; asked for, it says where.
	t.Setenv(mlflow.Variable, "http://127.0.0.1:1")
	o, err := parse([]string{"-mlflow", "env"}, os.Stdout)
	if err != nil || o.mlflow.URI != "http://127.0.0.1:1" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse(nil, os.Stdout); err != nil || o.mlflow.URI != "" {
		t.Errorf("%+v, %v", o, err)
	}
}
