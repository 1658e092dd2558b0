package serve

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"slipway/internal/cli"
)

// serverName is the server's name in the protocol.
const serverName = "slipway"

// routes returns the handler of all that is offered.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	// Those for health answer anyone, and without limits: who watches a server has no token, and
	// must hear of it also when it is busy.
	mux.Handle("GET /v2/health/live", s.endpoint("live", s.live))
	mux.Handle("GET /v2/health/ready", s.endpoint("ready", s.ready))
	mux.Handle("GET /{$}", s.endpoint("page", s.page))
	guarded := func(pattern, name string, answer answerer) {
		mux.Handle(pattern, s.endpoint(name, s.guarded(answer)))
	}
	guarded("GET /metrics", "metrics", s.metricsPage)
	guarded("GET /v2", "server", s.server)
	guarded("GET /v2/{$}", "server", s.server)
	guarded("POST /v2/repository/index", "index", s.index)
	for _, prefix := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		guarded("GET "+prefix, "model", s.model)
		guarded("GET "+prefix+"/ready", "model_ready", s.modelReady)
		guarded("POST "+prefix+"/infer", "infer", s.limited(s.infer))
		guarded("POST "+prefix+"/classify", "classify", s.limited(s.classify))
	}
	return s.outermost(mux)
}

// live says that the process answers.
func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	return nil
}

// ready says whether requests are welcome: a model is served, and the server is not ending.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	ready, status := s.isReady(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	// The protocol's text has "live" here, too, and its programs "ready".
	writeJSON(w, status, map[string]bool{"live": true, "ready": ready})
	return nil
}

func (s *Server) isReady() bool { return s.repository.ready() && !s.draining.Load() }

func (s *Server) metricsPage(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler().ServeHTTP(w, r)
	return nil
}

// extensions are those of the protocol that are offered.
func extensions() []string {
	return []string{"binary_tensor_data", "model_repository(index)", "classify_picture"}
}

func (s *Server) server(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{serverName, cli.ModuleVersion, extensions()})
	return nil
}

// index lists the repository. Its body, which may be empty, can ask for what is ready alone.
func (s *Server) index(w http.ResponseWriter, r *http.Request) error {
	body, done, err := s.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer done()
	var asked struct {
		Ready bool `json:"ready"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &asked); err != nil {
			return badRequest(`the request is no JSON such as {"ready": true}: %v`, err)
		}
	}
	lines := []indexed{}
	for _, line := range s.repository.index() {
		if !asked.Ready || line.State == stateReady {
			lines = append(lines, line)
		}
	}
	writeJSON(w, http.StatusOK, lines)
	return nil
}

// versionOf acquires the version that a request's path names.
func (s *Server) versionOf(r *http.Request) (*version, error) {
	number := r.PathValue("version")
	v, err := s.repository.acquire(r.PathValue("model"), number)
	if err == nil {
		noteModel(r.Context(), v)
	}
	return v, err
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	v, err := s.versionOf(r)
	if err != nil {
		return err
	}
	defer v.release()
	writeJSON(w, http.StatusOK, struct {
		Name     string       `json:"name"`
		Versions []string     `json:"versions"`
		Platform string       `json:"platform"`
		Inputs   []tensorInfo `json:"inputs"`
		Outputs  []tensorInfo `json:"outputs"`
	}{v.name, s.repository.serving.Load().numbers(v.name), v.platform,
		[]tensorInfo{v.input}, []tensorInfo{v.output}})
	return nil
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) error {
	v, err := s.versionOf(r)
	if err != nil {
		return err
	}
	defer v.release()
	ready, status := !s.draining.Load(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{v.name, ready})
	return nil
}

func (s *Server) infer(w http.ResponseWriter, r *http.Request) error {
	header := -1
	if text := r.Header.Get(headerLength); text != "" {
		length, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return badRequest("%s is %q, no number of bytes", headerLength, shorten(text))
		}
		header = int(length)
	}
	v, err := s.versionOf(r)
	if err != nil {
		return err
	}
	defer v.release()
	body, done, err := s.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Limits.AnswerTime)
	defer cancel()
	q, err := understand(body, header, v.input, v.output)
	if err != nil {
		return err
	}
	scores, err := v.batcher.run(ctx, q.images)
	if err != nil {
		return err
	}
	return q.write(w, v.name, v.number, v.output, scores)
}

// defaultTop is how many classes are told of a picture.
const defaultTop = 5

func (s *Server) classify(w http.ResponseWriter, r *http.Request) error {
	top := defaultTop
	if text := r.URL.Query().Get("top"); text != "" {
		number, err := strconv.ParseUint(text, 10, 31)
		if err != nil || number < 1 {
			return badRequest("top is %q; a number of classes, 1 or more, is wanted", shorten(text))
		}
		top = int(number)
	}
	if err := checkPictureType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	v, err := s.versionOf(r)
	if err != nil {
		return err
	}
	defer v.release()
	file, done, err := s.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Limits.AnswerTime)
	defer cancel()
	best, labels, err := v.classify(ctx, s.decoders, file, top)
	if err != nil {
		return err
	}
	answer := struct {
		ModelName    string       `json:"model_name"`
		ModelVersion string       `json:"model_version"`
		Top          []candidate  `json:"top"`
		Labels       *[]candidate `json:"labels,omitempty"`
	}{v.name, v.number, best, nil}
	if labels != nil {
		answer.Labels = &labels
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// checkPictureType refuses what is not meant as a picture. Which picture it is, its own bytes say.
func checkPictureType(text string) error {
	kind, _, err := mime.ParseMediaType(text)
	if text == "" || err == nil && (strings.HasPrefix(kind, "image/") ||
		kind == "application/octet-stream") {
		return nil
	}
	return refuse(http.StatusUnsupportedMediaType,
		"the Content-Type is %q: post a picture as it is, as image/jpeg, image/png and others, or as "+
			"application/octet-stream", shorten(text))
}

// writeProblem tells a client of an error.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) (status int) {
	p, own := told(err)
	if own {
		s.config.Logger.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.reason != "" {
		s.metrics.refused.WithLabelValues(p.reason).Inc()
	}
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if errors.Is(err, errUnauthorized) {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, p.status, map[string]string{"error": p.text})
	return p.status
}
