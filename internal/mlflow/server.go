package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// server is an MLflow server, by its REST API.
type server struct {
	base   *url.URL
	client *http.Client
	// authorize adds who asks.
	authorize func(*http.Request)
	// waits are those before each further try.
	waits []time.Duration
}

const (
	requestTimeout = 10 * time.Second
	// mostAnswer is the most that is read of an answer.
	mostAnswer = 1 << 20
	// Bounds of the API: mlflow/utils/validation.py.
	mostParams, mostTags   = 100, 100
	longestParam, longest  = 6000, 5000
	noSuch, alreadyThere   = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
	artifactScheme, apiURL = "mlflow-artifacts:/", "api/2.0/"
)

// newServer takes the server's address. Who asks is in it, or in the variables that MLflow's own
// client reads.
func newServer(uri string) (*server, error) {
	base, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("address of the MLflow server: %w", err)
	}
	if base.Host == "" {
		return nil, fmt.Errorf("%q is no address of a server; http://127.0.0.1:5000 is one",
			withoutSecrets(uri))
	}
	user, password := os.Getenv("MLFLOW_TRACKING_USERNAME"), os.Getenv("MLFLOW_TRACKING_PASSWORD")
	if base.User != nil {
		user = base.User.Username()
		password, _ = base.User.Password()
		base.User = nil
	}
	token := os.Getenv("MLFLOW_TRACKING_TOKEN")
	return &server{
		base: base, client: &http.Client{Timeout: requestTimeout},
		waits: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second},
		authorize: func(r *http.Request) {
			switch {
			case user != "":
				r.SetBasicAuth(user, password)
			case token != "":
				r.Header.Set("Authorization", "Bearer "+token)
			}
		},
	}, nil
}

// apiError is what the server says of a request that it refuses.
type apiError struct {
	Status  int
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the MLflow server answers %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("the MLflow server answers %d %s: %s", e.Status, e.Code, e.Message)
}

func hasCode(err error, code string) bool {
	var refused *apiError
	return errors.As(err, &refused) && refused.Code == code
}

// passes reports an answer that may be another one later.
func (e *apiError) passes() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests
}

// call asks the server, again where the network or the server fails, and decodes its answer.
// body is JSON, or bytes as they are.
func (s *server) call(ctx context.Context, method, at string, query url.Values,
	body, answer any) error {
	address := s.base.JoinPath(at)
	address.RawQuery = query.Encode()
	content, isBytes := body.([]byte)
	if !isBytes && body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		err := s.once(ctx, method, address.String(), content, isBytes, answer)
		var refused *apiError
		lasting := errors.As(err, &refused) && !refused.passes()
		if err == nil || lasting || try == len(s.waits) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(s.waits[try]):
		}
	}
}

func (s *server) once(ctx context.Context, method, address string, content []byte, isBytes bool,
	answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if isBytes {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	s.authorize(request)
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		refused := &apiError{}
		_ = json.Unmarshal(raw, refused) // a proxy may answer in HTML
		refused.Status = response.StatusCode
		return refused
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("%s is no MLflow server: its answer is not JSON", s.base.Redacted())
	}
	return nil
}

func (s *server) mlflow(ctx context.Context, method, what string, query url.Values,
	body, answer any) error {
	return s.call(ctx, method, apiURL+"mlflow/"+what, query, body, answer)
}

// runInfo is what is needed of a run.
type runInfo struct {
	Run struct {
		Info struct {
			RunID       string `json:"run_id"`
			ArtifactURI string `json:"artifact_uri"`
			Lifecycle   string `json:"lifecycle_stage"`
		} `json:"info"`
	} `json:"run"`
}

func (s *server) get(ctx context.Context, runID string) (runInfo, error) {
	var run runInfo
	err := s.mlflow(ctx, http.MethodGet, "runs/get", url.Values{"run_id": {runID}}, nil, &run)
	if hasCode(err, noSuch) || err == nil && run.Run.Info.Lifecycle == "deleted" {
		return run, errNoRun
	}
	return run, err
}

func (s *server) open(ctx context.Context, runID string) error {
	if _, err := s.get(ctx, runID); err != nil {
		return err
	}
	return s.mlflow(ctx, http.MethodPost, "runs/update", nil,
		map[string]any{"run_id": runID, "status": Running}, nil)
}

func (s *server) create(ctx context.Context, experiment, name string,
	began time.Time) (string, error) {
	id, err := s.experiment(ctx, experiment)
	if err != nil {
		return "", err
	}
	var run runInfo
	err = s.mlflow(ctx, http.MethodPost, "runs/create", nil, map[string]any{
		"experiment_id": id, "run_name": name, "start_time": began.UnixMilli()}, &run)
	if err == nil && run.Run.Info.RunID == "" {
		err = fmt.Errorf("%s is no MLflow server: it gives a new run no id", s.base.Redacted())
	}
	return run.Run.Info.RunID, err
}

// experiment finds the experiment of that name, or makes it.
func (s *server) experiment(ctx context.Context, name string) (string, error) {
	var found struct {
		Experiment struct {
			ID        string `json:"experiment_id"`
			Lifecycle string `json:"lifecycle_stage"`
		} `json:"experiment"`
	}
	find := func() error {
		return s.mlflow(ctx, http.MethodGet, "experiments/get-by-name",
			url.Values{"experiment_name": {name}}, nil, &found)
	}
	err := find()
	if hasCode(err, noSuch) {
		var made struct {
			ID string `json:"experiment_id"`
		}
		err = s.mlflow(ctx, http.MethodPost, "experiments/create", nil,
			map[string]any{"name": name}, &made)
		if !hasCode(err, alreadyThere) {
			return made.ID, err
		}
		err = find() // another run made it in between
	}
	if err == nil && found.Experiment.Lifecycle == "deleted" {
		err = fmt.Errorf("the experiment %q is deleted: restore it with mlflow experiments restore, "+
			"or name another", name)
	}
	return found.Experiment.ID, err
}

// pair is a parameter or a tag.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// pairs are sorted by their keys. MLflow refuses values that are too long, and empty ones.
func pairs(from map[string]string, most int) []pair {
	all := []pair{}
	for key, value := range from {
		if len(value) > most {
			value = strings.ToValidUTF8(value[:most], "")
		}
		if value != "" {
			all = append(all, pair{plainKey(key), value})
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// plainKey replaces by _ what names of MLflow do not have.
func plainKey(key string) string {
	return strings.Map(func(r rune) rune {
		isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if isLetter || r >= '0' && r <= '9' || strings.ContainsRune("_-. ", r) {
			return r
		}
		return '_'
	}, key)
}

func (s *server) log(ctx context.Context, runID string, params, tags map[string]string,
	metrics []Metric) error {
	type value struct {
		Key       string  `json:"key"`
		Value     float64 `json:"value"`
		Timestamp int64   `json:"timestamp"`
		Step      int     `json:"step"`
	}
	values := []value{}
	for _, m := range metrics {
		values = append(values, value{plainKey(m.Name), m.Value, m.Time.UnixMilli(), m.Step})
	}
	allParams, allTags := pairs(params, longestParam), pairs(tags, longest)
	for {
		someParams := allParams[:min(len(allParams), mostParams)]
		someTags := allTags[:min(len(allTags), mostTags)]
		err := s.mlflow(ctx, http.MethodPost, "runs/log-batch", nil, map[string]any{
			"run_id": runID, "metrics": values, "params": someParams, "tags": someTags}, nil)
		if err != nil {
			return err
		}
		allParams, allTags = allParams[len(someParams):], allTags[len(someTags):]
		values = values[:0]
		if len(allParams)+len(allTags) == 0 {
			return nil
		}
	}
}

// artifact puts a file where the server keeps them. One that does not serve files has runs keep
// theirs elsewhere.
func (s *server) artifact(ctx context.Context, runID, name string, content []byte) error {
	run, err := s.get(ctx, runID)
	if err != nil {
		return err
	}
	place, served := strings.CutPrefix(run.Run.Info.ArtifactURI, artifactScheme)
	if !served {
		return fmt.Errorf("the server keeps files in %s, which it does not serve; start it with "+
			"--serve-artifacts", run.Run.Info.ArtifactURI)
	}
	at := path.Join(apiURL, "mlflow-artifacts/artifacts", place, name)
	return s.call(ctx, http.MethodPut, at, nil, content, nil)
}

func (s *server) end(ctx context.Context, runID string, status Status, at time.Time) error {
	return s.mlflow(ctx, http.MethodPost, "runs/update", nil,
		map[string]any{"run_id": runID, "status": status, "end_time": at.UnixMilli()}, nil)
}
