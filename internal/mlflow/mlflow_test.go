package mlflow

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// environment is where MLflow itself is, as make mlflow-test sets it up.
const environment = "../../.cache/mlflow/venv/bin"

func needMLflow(t *testing.T) {
	t.Helper()
	// The copy of the pins is the last file of an environment that is whole.
	if _, err := os.Stat(filepath.Join(environment, "..", "requirements.txt")); err != nil {
		t.Skip("MLflow is not set up; make mlflow-test does so (0.9 GB)")
	}
}

// readRun is a run as MLflow's own client finds it.
type readRun struct {
	ID, Name, Status string
	Ended            bool
	Params, Tags     map[string]string
	Metrics          map[string][]struct {
		Step  int
		Value float64
	}
	Artifacts map[string]string
}

func readRuns(t *testing.T, uri, experiment string) []readRun {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../../scripts/mlflow/read-runs", uri, experiment)
	command.Stderr = os.Stderr
	raw, err := command.Output()
	if err != nil {
		t.Fatalf("MLflow's client: %v", err)
	}
	var read struct{ Runs []readRun }
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return read.Runs
}

// startServer starts mlflow server on loopback and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	free.Close()
	python, err := filepath.Abs(filepath.Join(environment, "python3"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, python, "-m", "mlflow", "server", "--host", "127.0.0.1",
		"--port", port, "--workers", "1",
		"--backend-store-uri", "sqlite:///"+dir+"/mlflow.db", "--artifacts-destination", dir+"/artifacts")
	server.Dir, server.Stdout, server.Stderr = dir, log, log
	server.Env = append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true",
		"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
	endGroup(server)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Wait() // it was killed
		log.Close()
	})
	url := "http://" + address
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if response, err := http.Get(url + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("mlflow server does not answer: %s", said)
		}
	}
}

// track tells of a run of three epochs that was interrupted after the second.
func track(t *testing.T, uri string) {
	t.Helper()
	options := Options{URI: uri, Experiment: "Tests of Slipway", Name: "e1 again",
		StateFile: filepath.Join(t.TempDir(), "mlflow.json"),
		Params:    map[string]string{"optimizer.name": "adam", "epochs": "3"},
		Tags:      map[string]string{"slipway.network": "e1"},
		Patience:  time.Minute}
	for i := range 130 { // more than MLflow takes in one request
		options.Params[fmt.Sprintf("penalty.layer%d", i)] = "0.1"
	}
	for _, part := range []struct {
		steps  []int
		status Status
		file   string
	}{{[]int{1, 2}, Killed, "epoch\n1\n2\n"}, {[]int{3}, Finished, "epoch\n1\n2\n3\n"}} {
		tracker, err := Start(options)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range part.steps {
			tracker.Log(Metric{"mean_loss", 1 / float64(step), step, time.Now()},
				Metric{"test_accuracy", 0.9, step, time.Now()})
		}
		if err := tracker.Close(part.status,
			map[string][]byte{"history.csv": []byte(part.file)}); err != nil {
			t.Fatal(err)
		}
	}
}

func checkTracked(t *testing.T, runs []readRun) {
	t.Helper()
	if len(runs) != 1 {
		t.Fatalf("%d runs", len(runs))
	}
	run := runs[0]
	if run.Name != "e1 again" || run.Status != "FINISHED" || !run.Ended ||
		run.Tags["slipway.network"] != "e1" {
		t.Errorf("%+v", run)
	}
	if len(run.Params) != 132 || run.Params["optimizer.name"] != "adam" ||
		run.Params["penalty.layer129"] != "0.1" {
		t.Errorf("%d parameters: %v", len(run.Params), run.Params)
	}
	loss := run.Metrics["mean_loss"]
	if len(run.Metrics) != 2 || len(loss) != 3 {
		t.Fatalf("metrics %v", run.Metrics)
	}
	for i, point := range loss {
		if point.Step != i+1 || point.Value != 1/float64(i+1) {
			t.Errorf("point %d is %+v", i, point)
		}
	}
	if run.Artifacts["history.csv"] != "epoch\n1\n2\n3\n" {
		t.Errorf("files %v", run.Artifacts)
	}
}

// MLflow's own server takes what a Tracker tells, and its own client reads it back.
func TestMLflowServer(t *testing.T) {
	needMLflow(t)
	url := startServer(t)
	track(t, url)
	checkTracked(t, readRuns(t, url, "Tests of Slipway"))
}

// MLflow's own client reads the folders that a Tracker writes.
func TestMLflowFileStore(t *testing.T) {
	needMLflow(t)
	dir := filepath.Join(t.TempDir(), "ml runs")
	track(t, dir)
	checkTracked(t, readRuns(t, (&fileStore{dir}).uri(), "Tests of Slipway"))
}
