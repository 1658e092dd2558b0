package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"
)

// An answerer answers a request, or returns the error that a client is told.
type answerer func(w http.ResponseWriter, r *http.Request) error

// errUnauthorized is the problem of a request without the token.
var errUnauthorized = &problem{http.StatusUnauthorized,
	"the request bears no token, or a wrong one: Authorization: Bearer TOKEN is wanted", "token"}

// guarded has an answerer answer only those who may ask.
func (s *Server) guarded(answer answerer) answerer {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.mayAsk(r); err != nil {
			return err
		}
		return answer(w, r)
	}
}

func (s *Server) mayAsk(r *http.Request) error {
	if s.config.Token == "" {
		return errors.Join(checkHost(r), checkOrigin(r))
	}
	if !s.bears(r.Header.Get("Authorization")) {
		return errUnauthorized
	}
	return nil
}

// bears compares a token in a time that does not depend on it.
func (s *Server) bears(authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// checkOrigin refuses, without a token, what a browser sends for a page of another site: its author
// cannot read the answer, and can make the server compute.
func checkOrigin(r *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return &problem{http.StatusForbidden, "a page of another site asks; set a token", "origin"}
	}
	return nil
}

// checkHost refuses, on a loopback address and without a token, requests that name another host: a
// page elsewhere whose name leads to 127.0.0.1 would let its author ask, and read the answers,
// through the browser of whoever looks at it.
func checkHost(r *http.Request) error {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return nil
	}
	return checkName(local, r.Host)
}

// checkName is checkHost of an address that was asked by that name.
func checkName(local net.Addr, host string) error {
	address, err := netip.ParseAddrPort(local.String())
	if err != nil || !address.Addr().Unmap().IsLoopback() {
		return nil
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if name := strings.ToLower(host); name == "" || name == "localhost" ||
		strings.HasSuffix(name, ".localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return &problem{http.StatusMisdirectedRequest,
		"this server is for this machine alone, and the request names another host; " +
			"behind a proxy, set a token", "host"}
}

// limited has an answerer answer so many at a time.
func (s *Server) limited(answer answerer) answerer {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.inFlight.take(1) {
			w.Header().Set("Connection", "close") // the body is not read
			return overloaded("requests", "%d requests are being answered already; try again",
				s.inFlight.most)
		}
		defer s.inFlight.give(1)
		return answer(w, r)
	}
}

// noted is what is known of a request for its metrics and its line in the log.
type noted struct{ model, version string }

type notedKey struct{}

// noteModel notes which model a request is about.
func noteModel(ctx context.Context, v *version) {
	if n, ok := ctx.Value(notedKey{}).(*noted); ok {
		n.model, n.version = v.name, v.number
	}
}

// endpoint has an answerer answer with its errors told, its panics caught, and all counted.
func (s *Server) endpoint(name string, answer answerer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		n := &noted{}
		written := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		s.setDeadlines(w, r, began)
		defer func() {
			reason, half := recover(), written.begun
			if reason != nil {
				s.repository.loader.panicked(reason, debug.Stack())
				if !half {
					s.writeProblem(written, r,
						&problem{status: http.StatusInternalServerError, text: internalText})
				}
			}
			took := time.Since(began)
			s.metrics.answered(name, n.model, n.version, written.status, took)
			s.config.Logger.Debug("a request", "endpoint", name, "model", n.model, "version", n.version,
				"status", written.status,
				"seconds", took.Seconds(), "client", r.RemoteAddr)
			if reason != nil && half {
				panic(http.ErrAbortHandler) // half an answer is none: the connection ends
			}
		}()
		ctx := context.WithValue(r.Context(), notedKey{}, n)
		if err := answer(written, r.WithContext(ctx)); err != nil {
			s.writeProblem(written, r, err)
		}
	})
}

// setDeadlines has a client that sends no body, though it said so, or takes no answer, let go: also
// where nobody reads the body, which the server then passes over.
func (s *Server) setDeadlines(w http.ResponseWriter, r *http.Request, began time.Time) {
	control := http.NewResponseController(w)
	err := control.SetWriteDeadline(began.Add(s.longest()))
	if r.ContentLength != 0 {
		err = errors.Join(err, control.SetReadDeadline(began.Add(s.config.Limits.BodyTime)))
	}
	// Where there are none, as on a test's recorder, there is nobody to wait for.
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.config.Logger.Debug("no deadline for a request", "error", err)
	}
}

// longest is how long a request may take in all, from its header on.
func (s *Server) longest() time.Duration {
	l := s.config.Limits
	return l.BodyTime + l.AnswerTime + l.WriteTime
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// outermost adds what all answers have, and tells in JSON of paths and methods that there are not.
// To these belong paths such as //v2, which package http would redirect: to anyone, and without a
// limit of time.
func (s *Server) outermost(mux *http.ServeMux) http.Handler {
	nowhere := s.endpoint("other", s.guarded(func(w http.ResponseWriter, r *http.Request) error {
		// Package http knows whether another method would do.
		probe := &header{header: make(http.Header)}
		handler, _ := mux.Handler(r)
		handler.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			return refuse(http.StatusMethodNotAllowed, "%s takes %s", shorten(r.URL.Path),
				probe.header.Get("Allow"))
		}
		return refuse(http.StatusNotFound, "there is nothing at %s", shorten(r.URL.Path))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if _, pattern := mux.Handler(r); pattern == "" || !isClean(r.URL.EscapedPath()) {
			nowhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isClean reports whether a path has no //, /./ or /../.
func isClean(text string) bool {
	clean := path.Clean(text)
	return strings.HasPrefix(text, "/") && (text == clean || text == clean+"/" && clean != "/")
}

// header is a response of which only the header counts.
type header struct {
	header http.Header
	status int
}

func (h *header) Header() http.Header { return h.header }

func (h *header) Write(p []byte) (int, error) { return len(p), nil }

func (h *header) WriteHeader(status int) { h.status = status }
