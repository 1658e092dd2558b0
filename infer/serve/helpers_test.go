package serve_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/infer"
	"slipway/infer/serve"
)

// patience is how long a test waits for what must come: long, as only a failure waits so long.
const patience = time.Minute

// models are those of package infer's tests: one network that takes its images in many forms.
var models = filepath.Join("..", "testdata")

func modelFile(name string) string { return filepath.Join(models, name+".onnx") }

// A served is a server that runs, and a client of it.
type served struct {
	t      *testing.T
	server *serve.Server
	url    string
	client *http.Client
	log    *logged
	stop   context.CancelFunc
	ended  chan error
}

// logged is a log that several goroutines write and a test reads.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start serves until the test ends. Then it checks that the server ended well and left no
// goroutine.
func start(t *testing.T, config serve.Config) *served {
	t.Helper()
	before := runtime.NumGoroutine()
	s := &served{t: t, log: &logged{}, ended: make(chan error, 1)}
	config.Logger = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if config.RuntimeOptions.Threads == 0 {
		config.RuntimeOptions.Threads = 2
	}
	var err error
	if s.server, err = serve.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if config.TLS != nil {
		scheme = "https"
	}
	s.url = scheme + "://" + listener.Addr().String()
	transport := &http.Transport{MaxIdleConnsPerHost: 512}
	s.client = &http.Client{Transport: transport}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-s.ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		if err := s.server.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, func() error {
			if now := runtime.NumGoroutine(); now > before {
				stacks := make([]byte, 1<<20)
				return fmt.Errorf("%d goroutines before, %d after:\n%s", before, now,
					stacks[:runtime.Stack(stacks, true)])
			}
			return nil
		})
		if strings.Contains(s.log.String(), `"msg":"a panic"`) {
			t.Errorf("there was a panic: %s", s.log)
		}
	})
	return s
}

// eventually asks until there is no error, or patience ends.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// An answer is an HTTP response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *served) do(method, path string, header map[string]string, body io.Reader) (answer, error) {
	request, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	if host, ok := header["Host"]; ok {
		request.Host = host
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, read}, err
}

// ask is do, where an answer must come.
func (s *served) ask(method, path string, header map[string]string, body []byte) answer {
	s.t.Helper()
	a, err := s.do(method, path, header, bytes.NewReader(body))
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// wantError checks that an answer is an error in JSON, with that status and those words.
func (a answer) wantError(t *testing.T, status int, words string) {
	t.Helper()
	var told struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(a.body, &told); err != nil || told.Error == "" {
		t.Errorf("%d is no error in JSON (%v): %s", a.status, err, a.body)
		return
	}
	if a.status != status || !strings.Contains(told.Error, words) {
		t.Errorf("%d %q, want %d and %q", a.status, told.Error, status, words)
	}
}

// An inference is the answer of infer.
type inference struct {
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	ID           string `json:"id"`
	Outputs      []struct {
		Name, Datatype string
		Shape          []int
		Parameters     map[string]int
		Data           []float32
	}
}

// scores reads the scores of an answer, JSON or binary.
func (a answer) scores(t *testing.T) (inference, []float32) {
	t.Helper()
	text := a.body
	if length := a.header.Get("Inference-Header-Content-Length"); length != "" {
		var n int
		if _, err := fmt.Sscan(length, &n); err != nil || n > len(a.body) {
			t.Fatalf("header length %q of %d bytes", length, len(a.body))
		}
		text = a.body[:n]
	}
	var said inference
	if err := json.Unmarshal(text, &said); err != nil || a.status != http.StatusOK ||
		len(said.Outputs) != 1 {
		t.Fatalf("%d, %v: %s", a.status, err, a.body)
	}
	values := said.Outputs[0].Data
	if size, ok := said.Outputs[0].Parameters["binary_data_size"]; ok {
		raw := a.body[len(text):]
		if size != len(raw) {
			t.Fatalf("%d bytes of binary data, not %d", len(raw), size)
		}
		values = nil
		for ; len(raw) > 0; raw = raw[4:] {
			values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		}
	}
	return said, values
}

// noise is n images of size bytes as numbers.
func noise(seed uint64, n, size int) []float32 {
	random := rand.New(rand.NewPCG(seed, 0))
	values := make([]float32, n*size)
	for i := range values {
		values[i] = float32(random.IntN(256))
	}
	return values
}

// request is the JSON of a request for images in that shape.
func request(name, datatype string, shape []int, values []float32) []byte {
	text, err := json.Marshal(map[string]any{"id": "a\"b", "inputs": []any{map[string]any{
		"name": name, "datatype": datatype, "shape": shape, "data": values}}})
	if err != nil {
		panic(err)
	}
	return text
}

// binaryRequest is the body of a request with its images behind the JSON, whose length it returns.
func binaryRequest(name, datatype string, shape []int, values []float32,
	binaryAnswer bool) (body []byte, length string) {
	var raw []byte
	for _, v := range values {
		switch datatype {
		case "UINT8":
			raw = append(raw, byte(v))
		default:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	text, err := json.Marshal(map[string]any{
		"parameters": map[string]any{"binary_data_output": binaryAnswer},
		"inputs": []any{map[string]any{
			"name": name, "datatype": datatype, "shape": shape,
			"parameters": map[string]any{"binary_data_size": len(raw)}}}})
	if err != nil {
		panic(err)
	}
	return append(text, raw...), fmt.Sprint(len(text))
}

// metadata is that of a model.
type metadata struct {
	Name            string
	Versions        []string
	Platform        string
	Inputs, Outputs []struct {
		Name, Datatype string
		Shape          []int
	}
}

func (s *served) metadata(path string) metadata {
	s.t.Helper()
	a := s.ask("GET", path, nil, nil)
	var m metadata
	if err := json.Unmarshal(a.body, &m); err != nil || a.status != http.StatusOK ||
		len(m.Inputs) != 1 || len(m.Outputs) != 1 {
		s.t.Fatalf("%s: %d %v %s", path, a.status, err, a.body)
	}
	return m
}

// expected are the scores of a batch as package infer gives them.
func expected(t *testing.T, path string, batch infer.Batch) []float32 {
	t.Helper()
	model, err := infer.LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := infer.OpenNative(t.Context(), model, infer.NativeOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	scores, err := runtime.Run(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return scores.Values
}

// copyFile puts a model at a path as a program does that knows what it does: written elsewhere and
// renamed.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".tmp", raw, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".tmp", to); err != nil {
		t.Fatal(err)
	}
}
