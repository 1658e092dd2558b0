package mlflow

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is as much of a server as a Tracker talks to. MLflow itself is asked in mlflow_test.go.
type fake struct {
	mutex   sync.Mutex
	refuse  int // so many requests are answered 503
	asked   int
	runs    map[string]bool
	created int
	params  map[string]string
	metrics []string // name@step=value
	files   map[string]string
	status  []string
	auth    string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.asked++
	f.auth = r.Header.Get("Authorization")
	if f.refuse > 0 {
		f.refuse--
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	var body struct {
		RunID   string `json:"run_id"`
		Status  string `json:"status"`
		Params  []pair `json:"params"`
		Metrics []struct {
			Key   string
			Value float64
			Step  int
		}
	}
	if r.Method == http.MethodPost {
		if err := json.Unmarshal(raw, &body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	missing := func() {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}`)
	}
	switch what := strings.TrimPrefix(r.URL.Path, "/base/api/2.0/"); {
	case what == "mlflow/experiments/get-by-name":
		missing()
	case what == "mlflow/experiments/create":
		fmt.Fprint(w, `{"experiment_id": "7"}`)
	case what == "mlflow/runs/create":
		f.created++
		id := fmt.Sprintf("run%d", f.created)
		f.runs[id] = true
		fmt.Fprintf(w, `{"run": {"info": {"run_id": %q}}}`, id)
	case what == "mlflow/runs/get":
		id := r.URL.Query().Get("run_id")
		if !f.runs[id] {
			missing()
			return
		}
		fmt.Fprintf(w,
			`{"run": {"info": {"run_id": %q, "artifact_uri": "mlflow-artifacts:/7/%s/artifacts"}}}`, id, id)
	case what == "mlflow/runs/update":
		f.status = append(f.status, body.RunID+" "+body.Status)
		fmt.Fprint(w, "{}")
	case what == "mlflow/runs/log-batch":
		for _, p := range body.Params {
			f.params[p.Key] = p.Value
		}
		for _, m := range body.Metrics {
			f.metrics = append(f.metrics, fmt.Sprintf("%s@%d=%v", m.Key, m.Step, m.Value))
		}
		fmt.Fprint(w, "{}")
	case strings.HasPrefix(what, "mlflow-artifacts/artifacts/") && r.Method == http.MethodPut:
		f.files[strings.TrimPrefix(what, "mlflow-artifacts/artifacts/")] = string(raw)
		fmt.Fprint(w, "{}")
	default:
		http.NotFound(w, r)
	}
}

func serve(t *testing.T) (*fake, Options) {
	t.Helper()
	f := &fake{runs: map[string]bool{}, params: map[string]string{}, files: map[string]string{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, Options{URI: s.URL + "/base", Experiment: "tests", Name: "e1",
		Params:    map[string]string{"optimizer.name": "adam", "layer[0]": "x", "empty": ""},
		StateFile: filepath.Join(t.TempDir(), "mlflow.json")}
}

func start(t *testing.T, options Options) *Tracker {
	t.Helper()
	s, err := newStore(options.URI)
	if err != nil {
		t.Fatal(err)
	}
	// Before the tracker begins, which reads them.
	if s, ok := s.(*server); ok {
		s.waits = []time.Duration{time.Millisecond, time.Millisecond}
	}
	return startIn(s, options)
}

func TestARunIsToldAndGoesOn(t *testing.T) {
	f, options := serve(t)
	first := start(t, options)
	first.Log(Metric{Name: "loss", Value: 0.5, Step: 1}, Metric{Name: "accuracy", Value: math.NaN(),
		Step: 1})
	if err := first.Close(Killed, map[string][]byte{"history.csv": []byte("a")}); err != nil {
		t.Fatal(err)
	}
	second := start(t, options)
	if second.Told() != 1 {
		t.Errorf("the run is told up to step %d, want 1", second.Told())
	}
	second.Log(Metric{Name: "loss", Value: 0.25, Step: 2})
	if err := second.Close(Finished, map[string][]byte{"history.csv": []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if f.created != 1 || fmt.Sprint(f.metrics) != "[loss@1=0.5 loss@2=0.25]" ||
		f.files["7/run1/artifacts/history.csv"] != "b" {
		t.Errorf("%+v", f)
	}
	if fmt.Sprint(f.params) != "map[layer_0_:x optimizer.name:adam]" {
		t.Errorf("parameters %v", f.params)
	}
	if fmt.Sprint(f.status) != "[run1 KILLED run1 RUNNING run1 FINISHED]" {
		t.Errorf("statuses %v", f.status)
	}
	// A run that somebody has deleted there begins anew.
	delete(f.runs, "run1")
	if err := start(t, options).Close(Finished, nil); err != nil || f.created != 2 {
		t.Errorf("%d runs, %v", f.created, err)
	}
}

// What fails for a while is told later, and the run is not ended by it.
func TestWhatFailsIsTriedAgain(t *testing.T) {
	f, options := serve(t)
	f.refuse = 7 // more than one call tries
	tracker := start(t, options)
	tracker.Log(Metric{Name: "loss", Value: 1, Step: 1})
	deadline := time.Now().Add(10 * time.Second)
	for tracker.Err() == nil && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if err := tracker.Err(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the first failure is %v", err)
	}
	for step := 2; step < 5; step++ {
		tracker.Log(Metric{Name: "loss", Value: 1, Step: step})
	}
	f.mutex.Lock()
	f.refuse = 0
	f.mutex.Unlock()
	if err := tracker.Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(f.metrics) != "[loss@1=1 loss@2=1 loss@3=1 loss@4=1]" {
		t.Errorf("%v", f.metrics)
	}
}

func TestManyMetricsGoInParts(t *testing.T) {
	f, options := serve(t)
	tracker := start(t, options)
	for step := 1; step <= 2*mostAtOnce+5; step++ {
		tracker.Log(Metric{Name: "loss", Value: 1, Step: step})
	}
	if err := tracker.Close(Finished, nil); err != nil || len(f.metrics) != 2*mostAtOnce+5 {
		t.Errorf("%d metrics, %v", len(f.metrics), err)
	}
}

// A server that never answers costs no more than the patience.
func TestASilentServerEndsNothing(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	tracker := start(t, Options{URI: s.URL, Experiment: "x", StateFile: t.TempDir() + "/mlflow.json",
		Patience: 50 * time.Millisecond})
	tracker.Log(Metric{Name: "loss", Value: 1, Step: 1})
	began := time.Now()
	err := tracker.Close(Finished, nil)
	if took := time.Since(began); err == nil ||
		!strings.Contains(err.Error(), "not all was told within 50ms") || took > 5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestWhoAsksIsToldTheServerAlone(t *testing.T) {
	f, options := serve(t)
	options.URI = strings.Replace(options.URI, "http://", "http://me:secret@", 1)
	if err := start(t, options).Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(f.auth, "Basic ") {
		t.Errorf("authorization %q", f.auth)
	}
	raw, err := os.ReadFile(options.StateFile)
	if err != nil || strings.Contains(string(raw), "secret") ||
		!strings.Contains(string(raw), `"run_id": "run1"`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestAnotherPageIsNoServer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>")
	}))
	defer s.Close()
	tracker := start(t, Options{URI: s.URL, Experiment: "x", StateFile: t.TempDir() + "/mlflow.json"})
	if err := tracker.Close(Finished, nil); err == nil ||
		!strings.Contains(err.Error(), "no MLflow server") {
		t.Errorf("%v", err)
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for uri, says := range map[string]string{
		"": "no URI", "sqlite:///mlflow.db": "start mlflow server", "http:///x": "no address of a server",
		"file://elsewhere/x": "no folder of this machine", file: "is a file",
		"mlruns": "", "file:///tmp/mlruns": "", "https://example.org/mlflow": "",
	} {
		if err := Check(uri); (err == nil) != (says == "") || err != nil &&
			!strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// A store in which nothing can be written is an error of Close, and of nothing before.
func TestAFolderThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	tracker := start(t, Options{URI: dir + "/file/mlruns", Experiment: "x",
		StateFile: dir + "/mlflow.json"})
	if err := tracker.Close(Finished, nil); err == nil {
		t.Error("a folder in a file was made")
	}
}
