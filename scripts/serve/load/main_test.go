package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A load counts what was answered, and tells of what was not.
func TestLoad(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "image" || r.Header.Get("Inference-Header-Content-Length") != "0" {
			w.WriteHeader(http.StatusBadRequest)
		}
		asked.Add(1)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(file, []byte("image"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"-url", server.URL, "-body", file, "-raw", "-connections", "3", "-seconds", "0.1"}
	for _, more := range [][]string{nil, {"-rate", "200"}} {
		asked.Store(0)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(args, more...), &stdout, &stderr)
		var r result
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil || code != 0 {
			t.Fatalf("exit %d, %v: %s%s", code, err, &stdout, &stderr)
		}
		if int64(r.Requests) != asked.Load()-1 || r.P50 > r.P99 || r.P99 > r.Max || r.PerSecond <= 0 {
			t.Errorf("%+v, and %d were asked", r, asked.Load())
		}
		if more != nil && r.Requests != 20 {
			t.Errorf("%d requests were due, not 20", r.Requests)
		}
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-url", server.URL, "-body", file}, io.Discard,
		&stderr); code != 1 || !strings.Contains(stderr.String(), "400 Bad Request") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	for _, wrong := range [][]string{nil, {"-url", "x", "-body", file, "-connections", "0"},
		{"-rate", "NaN"}} {
		if code := run(t.Context(), wrong, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", wrong, code)
		}
	}
}

func TestSummary(t *testing.T) {
	var took []time.Duration
	for i := range 101 {
		took = append(took, time.Duration(100-i)*time.Millisecond)
	}
	var r result
	r.summarise(took, 2*time.Second)
	if r != (result{Requests: 101, PerSecond: 50.5, P50: 50, P99: 99, Max: 100}) {
		t.Errorf("%+v", r)
	}
}
