package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/infer/serve"
	"slipway/onnx"
)

// poll is short, so that changes are seen soon.
const poll = 5 * time.Millisecond

type line struct{ Name, Version, State, Reason string }

func (s *served) index(t *testing.T) []line {
	t.Helper()
	var lines []line
	if a := s.ask("POST", "/v2/repository/index", nil, nil); json.Unmarshal(a.body, &lines) != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return lines
}

// serves waits until the index is so, each line as NAME/VERSION STATE, with the reason's words.
func (s *served) serves(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, func() error {
		var got []string
		for _, l := range s.index(t) {
			got = append(got, l.Name+"/"+l.Version+" "+l.State+" "+l.Reason)
		}
		if !slices.EqualFunc(got, want, func(got, want string) bool {
			begin, words, more := strings.Cut(want, " … ")
			if !more { // nothing is said of it
				return strings.TrimSpace(got) == begin
			}
			return strings.HasPrefix(got, begin) && strings.Contains(got, words)
		}) {
			return fmt.Errorf("the index is %q, want %q", got, want)
		}
		return nil
	})
}

// otherModel writes a model whose scores differ from small's by its weights' sign.
func otherModel(t *testing.T, path string) {
	t.Helper()
	model, err := onnx.Read(modelFile("small"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		raw := tensor.GetRawData()
		for i := 3; i < len(raw) && tensor.GetDataType() == 1; i += 4 {
			raw[i] ^= 0x80
		}
	}
	if err := model.Write(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

// Versions and models come and go while requests are answered, and no request fails for it.
func TestModelsComeAndGoWhileTheyAreAsked(t *testing.T) {
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	copyFile(t, modelFile("small"), at("digits", "2", "model.onnx"))
	for _, passedOver := range []string{"digits/v3/model.onnx", "digits/03/model.onnx", ".hidden.onnx",
		"digits/7/other.onnx"} {
		copyFile(t, modelFile("small"), at(filepath.FromSlash(passedOver)))
	}
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	s.serves(t, "digits/2 READY")
	values := noise(1, 1, 784)
	old := s.ask1(t, "digits", values)

	// Somebody asks all the time.
	var asked atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.ask1(t, "digits", values)
					asked.Add(1)
				}
			}
		})
	}
	// A new version is the one that answers; the old one can be named.
	otherModel(t, mkdir(t, at("digits", "10", "model.onnx")))
	s.serves(t, "digits/2 READY", "digits/10 READY")
	if said, got := s.askVersion(t, "digits", values); said != "10" || slices.Equal(got, old) {
		t.Errorf("version %s answers %v", said, got)
	}
	if m := s.metadata("/v2/models/digits"); !slices.Equal(m.Versions, []string{"2", "10"}) {
		t.Errorf("%+v", m)
	}
	if said, got := s.askVersion(t, "digits/versions/2", values); said != "2" ||
		!slices.Equal(got, old) {
		t.Errorf("version %s answers %v", said, got)
	}
	// A bad version is told, and those before stay.
	copyFile(t, modelFile("truncated"), at("digits", "11", "model.onnx"))
	s.serves(t, "digits/2 READY", "digits/10 READY", "digits/11 UNAVAILABLE … not a whole ONNX model")
	if said, _ := s.askVersion(t, "digits", values); said != "10" {
		t.Errorf("version %s answers", said)
	}
	if broken := s.metric(t, `slipway_model_broken{model="digits",version="11"}`); broken != 1 {
		t.Errorf("broken is %v", broken)
	}
	// So it is of a model that has no other version.
	copyFile(t, modelFile("truncated"), at("birds.onnx"))
	s.serves(t, "birds/1 UNAVAILABLE … not a whole ONNX model", "digits/2 READY", "digits/10 READY",
		"digits/11 UNAVAILABLE … not a whole ONNX model")
	a := s.ask("POST", "/v2/models/birds/classify", nil, []byte("x"))
	if a.status != http.StatusNotFound ||
		!strings.Contains(string(a.body), "POST /v2/repository/index says why") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := os.Remove(at("birds.onnx")); err != nil {
		t.Fatal(err)
	}
	// It is mended: the same weights as the old version have.
	copyFile(t, modelFile("small"), at("digits", "11", "model.onnx"))
	s.serves(t, "digits/2 READY", "digits/10 READY", "digits/11 READY")
	if said, got := s.askVersion(t, "digits", values); said != "11" || !slices.Equal(got, old) {
		t.Errorf("version %s answers %v", said, got)
	}
	// Versions that are gone are let go.
	for _, version := range []string{"11", "10"} {
		if err := os.RemoveAll(at("digits", version)); err != nil {
			t.Fatal(err)
		}
	}
	s.serves(t, "digits/2 READY")
	close(stop)
	group.Wait()
	if asked.Load() == 0 {
		t.Error("nobody asked meanwhile")
	}
	// Another model, a file of its own, whose name is anything a file's name can be.
	strange := "<script>alert(1)</script>\x1b[31m=HYPERLINK(1) ☃"
	if err := os.Mkdir(at("empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	copyFile(t, modelFile("flat"), at(strings.ReplaceAll(strange, "/", "_")+".onnx"))
	s.serves(t, "<script>alert(1)<_script>\x1b[31m=HYPERLINK(1) ☃/1 READY", "digits/2 READY")
	if err := os.RemoveAll(at("digits")); err != nil {
		t.Fatal(err)
	}
	s.serves(t, "<script>alert(1)<_script>\x1b[31m=HYPERLINK(1) ☃/1 READY")
	s.ask("GET", "/v2/models/digits", nil, nil).wantError(t, http.StatusNotFound, "no model")
	if info := s.metric(t, `slipway_model_info`); info != 1 {
		t.Errorf("%v models are counted", info)
	}
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

// askVersion is ask1 that returns which version answered.
func (s *served) askVersion(t *testing.T, model string, values []float32) (string, []float32) {
	t.Helper()
	said, got := s.ask("POST", "/v2/models/"+model+"/infer", nil, request("image", "FP32", []int{1, 1,
		28, 28}, values)).scores(t)
	return said.ModelVersion, got
}

// A file that is replaced by another model, cut off, filled with nonsense, or taken away while it
// is served: what was served stays until something sound takes its place.
func TestAFileIsChangedWhileItIsServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "digits.onnx")
	copyFile(t, modelFile("small"), path)
	s := start(t, serve.Config{Models: []string{path}, Poll: poll})
	values := noise(2, 1, 784)
	before := s.ask1(t, "digits", values)
	unchanged := func(what string) {
		t.Helper()
		if got := s.ask1(t, "digits", values); !slices.Equal(got, before) {
			t.Errorf("%s: other scores are given", what)
		}
	}
	if err := os.Truncate(path, 3000); err != nil {
		t.Fatal(err)
	}
	s.serves(t, "digits/1 READY … the version before is served: digits.onnx: ")
	unchanged("cut off")
	for _, bad := range []string{"text", "stride0", "two_inputs", "nowhere"} {
		looks := s.metric(t, "slipway_model_load_failures_total")
		if bad == "nowhere" {
			if err := os.WriteFile(path, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		} else {
			copyFile(t, modelFile(bad), path)
		}
		eventually(t, func() error {
			if s.metric(t, "slipway_model_load_failures_total") == looks {
				return fmt.Errorf("%s is not looked at", bad)
			}
			return nil
		})
		unchanged(bad)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "models could not be looked for") {
			return fmt.Errorf("that it is gone is not logged")
		}
		return nil
	})
	unchanged("taken away")
	otherModel(t, path)
	s.serves(t, "digits/1 READY")
	eventually(t, func() error {
		if slices.Equal(s.ask1(t, "digits", values), before) {
			return fmt.Errorf("the new model does not answer")
		}
		return nil
	})
	// No log line and no index has more than the file's own name of where it lies.
	for _, l := range s.index(t) {
		if strings.Contains(l.Reason, filepath.Dir(path)) {
			t.Errorf("a client is told %q", l.Reason)
		}
	}
}

// A folder that cannot be read for a while keeps what it had.
func TestAFolderThatIsAwayKeepsItsModels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models")
	copyFile(t, modelFile("small"), filepath.Join(dir, "digits.onnx"))
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "models could not be looked for") {
			return fmt.Errorf("that it is gone is not logged")
		}
		return nil
	})
	s.serves(t, "digits/1 READY")
}

// A name that is no text cannot be asked by, and what else is there is served.
func TestNamesThatAreNoText(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, modelFile("small"), filepath.Join(dir, "small.onnx"))
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	raw, err := os.ReadFile(modelFile("small"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "\xff\xfe.onnx"), raw, 0o666); err != nil {
		t.Skip("this system has no such names:", err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "the name is no UTF-8") {
			return fmt.Errorf("it is not logged")
		}
		return nil
	})
	copyFile(t, modelFile("flat"), filepath.Join(dir, "flat.onnx"))
	s.serves(t, "flat/1 READY", "small/1 READY")
}

// An empty folder is a server that is not ready, until there is a model.
func TestReadyOnceThereIsAModel(t *testing.T) {
	dir := t.TempDir()
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	if a := s.ask("GET", "/v2/health/ready", nil, nil); a.status != http.StatusServiceUnavailable ||
		string(a.body) != `{"live":true,"ready":false}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.ask("GET", "/v2/models/x", nil, nil).wantError(t, http.StatusNotFound,
		`no model "x", nor any other`)
	copyFile(t, modelFile("small"), filepath.Join(dir, "x", "1", "model.onnx"))
	eventually(t, func() error {
		if a := s.ask("GET", "/v2/health/ready", nil, nil); a.status != http.StatusOK {
			return fmt.Errorf("%d", a.status)
		}
		return nil
	})
}

// What was named and cannot be served is an error from the beginning.
func TestNewSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, modelFile("small"), filepath.Join(dir, "small.onnx"))
	for says, config := range map[string]serve.Config{
		"is neither a file nor a folder":      {Models: []string{os.DevNull}},
		"there is nothing to serve":           {},
		"not a whole ONNX model":              {Models: []string{modelFile("truncated")}},
		"nowhere.onnx":                        {Models: []string{modelFile("small"), "nowhere.onnx"}},
		"are both version 1 of the model":     {Models: []string{modelFile("small"), dir}},
		`unknown runtime "natve"`:             {Models: []string{dir}, Runtime: "natve"},
		"the runtime onnx-go is for comparis": {Models: []string{dir}, Runtime: "onnx-go"},
		"none may be negative":                {Models: []string{dir}, MaxBatch: -1},
		`the limit "queue" is -1`:             {Models: []string{dir}, Limits: serve.Limits{Queue: -1}},
		"is above that of": {Models: []string{dir},
			Limits: serve.Limits{Body: 2, Memory: 1}},
	} {
		server, err := serve.New(t.Context(), config)
		if err == nil {
			server.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
