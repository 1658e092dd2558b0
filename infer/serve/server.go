package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Server serves models. Its methods may be called by several goroutines.
type Server struct {
	config     Config
	repository *repository
	metrics    *metrics
	bodies     *bodyReader
	// inFlight counts requests, connections connections.
	inFlight, connections *budget
	// decoders has a place for each picture that is decoded at a time.
	decoders chan struct{}
	token    [sha256.Size]byte // of the token's sha256, if there is one
	draining atomic.Bool
	handler  http.Handler
	stop     context.CancelFunc
	watched  chan struct{} // closed once nobody looks for models
	closed   sync.Once
}

// New loads the models and returns a Server of them, which looks for changes until Close. A model
// that was named itself and cannot be served is an error; one in a folder is logged, and told by
// the index of the repository.
func New(ctx context.Context, config Config) (*Server, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	memory := &budget{most: config.Limits.Memory}
	s := &Server{
		config:      config,
		inFlight:    &budget{most: int64(config.Limits.Requests)},
		connections: &budget{most: int64(config.Limits.Connections)},
		bodies:      &bodyReader{limits: config.Limits, memory: memory},
		decoders:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		token:       sha256.Sum256([]byte(config.Token)),
		watched:     make(chan struct{}),
	}
	s.metrics = newMetrics(s.inFlight, s.connections, memory)
	s.repository = newRepository(&loader{config: config, metrics: s.metrics})
	s.repository.look(ctx, true)
	err = s.repository.firstError()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, s.repository.close(config.Limits.DrainTime))
	}
	s.handler = s.routes()
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.watched)
		s.repository.watch(watching)
	}()
	return s, nil
}

// firstError is why what was named cannot be served from the beginning.
func (r *repository) firstError() error {
	var errs []error
	for _, f := range r.faults {
		if f.named {
			errs = append(errs, f.err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.place.named && e.err != nil {
			errs = append(errs, e.err)
		}
	}
	return errors.Join(errs...)
}

// Handler returns what answers HTTP requests, for a server of the caller's own. Limits of time and
// of connections are Serve's.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers HTTP requests on a listener until ctx ends, and then no new ones: readiness ends,
// the listener is closed after Config.DrainDelay, and requests have Limits.DrainTime to end. It
// returns nil after that, also if some did not.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	limits := s.config.Limits
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: limits.HeaderTime,
		IdleTimeout:       limits.IdleTime,
		MaxHeaderBytes:    64 << 10,
		// OPTIONS * is answered as anything else: by who may ask, and in time.
		DisableGeneralOptionsHandler: true,
		// Failed handshakes and broken requests are the clients' affair.
		ErrorLog: slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	limited := &limitedListener{Listener: listener, open: s.connections,
		refused: s.metrics.refused.WithLabelValues("connections").Inc}
	go func() {
		if s.config.TLS == nil {
			ended <- server.Serve(limited)
			return
		}
		server.TLSConfig = s.config.TLS.Clone()
		ended <- server.ServeTLS(limited, "", "")
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	s.drain("HTTP")
	finish, cancel := context.WithTimeout(context.Background(), limits.DrainTime)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		s.config.Logger.Warn("some requests did not end in time and were cut off", "limit",
			limits.DrainTime.String())
		_ = server.Close() // the listener is closed already
	}
	<-ended
	return nil
}

// drain ends readiness, and gives balancers time to see it.
func (s *Server) drain(protocol string) {
	s.draining.Store(true)
	s.config.Logger.Info("draining", "protocol", protocol, "requests", s.inFlight.used.Load())
	time.Sleep(s.config.DrainDelay)
}

// Close ends looking for models and unloads them, each once the requests that it answers are done.
// It waits for them no longer than Limits.DrainTime.
func (s *Server) Close() (err error) {
	s.closed.Do(func() {
		s.draining.Store(true)
		s.stop()
		<-s.watched
		err = s.repository.close(s.config.Limits.DrainTime)
	})
	return err
}
