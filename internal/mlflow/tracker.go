// Package mlflow tells MLflow of a training run while it goes: parameters, metrics by epoch,
// tags, and at the end a few small files.
//
// A Tracker talks to an MLflow server by its REST API 2.0, or writes the folders of MLflow's
// file store. It does so beside the run, which it neither slows nor ends: what cannot be told
// is kept and tried again with the next epoch. Which MLflow run a run is lies in a file of the
// run's folder, so that a run that goes on does so there, too.
//
// The format of the API is mlflow/protos/service.proto, that of the store what
// mlflow/store/tracking/file_store.py reads.
package mlflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"slipway/internal/atomicfile"
)

// Status is how a run stands, by MLflow's names.
type Status string

// The statuses that a Tracker gives.
const (
	Running  Status = "RUNNING"
	Finished Status = "FINISHED"
	Failed   Status = "FAILED"
	Killed   Status = "KILLED"
)

// Metric is one value at one step.
type Metric struct {
	Name  string
	Value float64
	Step  int
	Time  time.Time
}

// Options say what is tracked and where.
type Options struct {
	// URI is a server's, http:// or https://, or a folder: a path, or file://.
	URI string
	// Experiment is the experiment's name, made where there is none; Name the run's.
	Experiment, Name string
	// Params and Tags are told once, when the MLflow run begins.
	Params, Tags map[string]string
	// StateFile records which MLflow run this is.
	StateFile string
	// Patience is how long Close waits for what is not told yet, 10 s if zero.
	Patience time.Duration
}

// store is where runs are told of. Errors of a store may pass: each call is tried again.
type store interface {
	// open finds the run, or returns errNoRun; create begins one and returns its id.
	open(ctx context.Context, runID string) error
	create(ctx context.Context, experiment, name string, began time.Time) (runID string, err error)
	// log adds to a run. What is there already of params and tags is the same.
	log(ctx context.Context, runID string, params, tags map[string]string, metrics []Metric) error
	artifact(ctx context.Context, runID, name string, content []byte) error
	end(ctx context.Context, runID string, status Status, at time.Time) error
}

// errNoRun is of a run that the store does not have, or no longer.
var errNoRun = errors.New("no such run")

// newStore chooses by the URI.
func newStore(uri string) (store, error) {
	switch scheme, _, hasScheme := strings.Cut(uri, "://"); {
	case uri == "":
		return nil, errors.New("no URI of a server and no folder")
	case strings.HasPrefix(uri, "file:"):
		parsed, err := url.Parse(uri)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", uri, err)
		}
		if parsed.Host != "" && parsed.Host != "localhost" || parsed.Path == "" {
			return nil, fmt.Errorf("%q is no folder of this machine: file:///PATH is", uri)
		}
		return newFileStore(filepath.FromSlash(parsed.Path))
	case !hasScheme:
		return newFileStore(uri)
	case scheme == "http" || scheme == "https":
		return newServer(uri)
	default:
		return nil, fmt.Errorf("%s:// is told through a server: start mlflow server "+
			"--backend-store-uri with it, and give the server's http:// address, or a folder", scheme)
	}
}

// Check reports a URI that no run can be told to.
func Check(uri string) error {
	_, err := newStore(uri)
	return err
}

// state is what the file in the run's folder says.
type state struct {
	URI   string `json:"tracking_uri"`
	RunID string `json:"run_id"`
	// Described says that its parameters and tags were told, Step is the last one whose metrics
	// were.
	Described bool `json:"described"`
	Step      int  `json:"step"`
}

// Tracker tells of one run. Its methods return at once, but for Close.
type Tracker struct {
	options Options
	store   store
	wake    chan struct{}
	done    chan struct{}
	cancel  context.CancelFunc

	mutex   sync.Mutex
	pending []Metric
	closing bool
	ending  ending
	err     error
	told    int
	known   state // of the run, once it is open
	opened  bool
}

// ending is what is told last.
type ending struct {
	status    Status
	artifacts map[string][]byte
}

// Start begins to track. Its error is one of the options; what goes wrong later is Err.
func Start(options Options) (*Tracker, error) {
	s, err := newStore(options.URI)
	if err != nil {
		return nil, err
	}
	return startIn(s, options), nil
}

// startIn begins to track in a store.
func startIn(s store, options Options) *Tracker {
	if options.Patience == 0 {
		options.Patience = 10 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Tracker{options: options, store: s, cancel: cancel,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	uri := withoutSecrets(options.URI)
	var err error
	if t.known, err = readState(options.StateFile); err != nil || t.known.URI != uri {
		// A file that cannot be read is one of another URI: a run of its own begins.
		t.known = state{URI: uri}
	}
	t.told = t.known.Step
	t.poke()
	go t.work(ctx)
	return t
}

// Told returns the last step whose metrics this run's MLflow run has, 0 for a new one: those
// of later steps are to be logged.
func (t *Tracker) Told() int { return t.told }

// Log takes metrics, those of a step in one call. Values that are no finite numbers are left out.
func (t *Tracker) Log(metrics ...Metric) {
	t.mutex.Lock()
	for _, m := range metrics {
		if !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) {
			t.pending = append(t.pending, m)
		}
	}
	t.mutex.Unlock()
	t.poke()
}

// Err returns the first thing that went wrong, nil if nothing has.
func (t *Tracker) Err() error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.err
}

// Close tells the rest, the files by their names, and how the run ended, as far as Patience
// allows. Its error is what could not be told at last.
func (t *Tracker) Close(status Status, artifacts map[string][]byte) error {
	t.mutex.Lock()
	t.closing, t.ending = true, ending{status, artifacts}
	t.mutex.Unlock()
	t.poke()
	timer := time.AfterFunc(t.options.Patience, t.cancel)
	defer timer.Stop()
	<-t.done
	t.cancel()
	return t.err
}

func (t *Tracker) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// late notes that a run that is closed was out of patience, by what was told of it last.
func (t *Tracker) late(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.closing {
		t.err = fmt.Errorf("not all was told within %v: %w", t.options.Patience, cmp.Or(t.err, err))
	}
}

// work tells what is pending whenever there is something, until the run is closed.
func (t *Tracker) work(ctx context.Context) {
	defer close(t.done)
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			t.late(ctx.Err())
			return
		}
		t.mutex.Lock()
		closing := t.closing
		t.mutex.Unlock()
		err := t.tell(ctx)
		if closing && err == nil {
			err = t.tellEnding(ctx)
		}
		if closing {
			if ctx.Err() != nil {
				t.late(err)
				return
			}
			t.mutex.Lock()
			t.err = err // what was told late is told
			t.mutex.Unlock()
			return
		}
		t.fail(err)
	}
}

func (t *Tracker) fail(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// mostAtOnce is the most metrics that MLflow takes in one request.
const mostAtOnce = 1000

// tell opens the MLflow run if it is not open, and logs what is pending.
func (t *Tracker) tell(ctx context.Context) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	// The record is written once all is told: after a crash in between, a value is told twice
	// rather than never.
	step := t.known.Step
	for {
		t.mutex.Lock()
		batch := t.pending[:min(len(t.pending), mostAtOnce)]
		t.mutex.Unlock()
		if len(batch) == 0 {
			break
		}
		if err := t.store.log(ctx, t.known.RunID, nil, nil, batch); err != nil {
			return err
		}
		t.mutex.Lock()
		t.pending = t.pending[len(batch):]
		t.mutex.Unlock()
		for _, m := range batch {
			step = max(step, m.Step)
		}
	}
	if step == t.known.Step {
		return nil
	}
	t.known.Step = step
	return t.writeState()
}

// open goes on with the run that the state names, or begins one.
func (t *Tracker) open(ctx context.Context) error {
	if t.opened {
		return nil
	}
	if t.known.RunID != "" {
		err := t.store.open(ctx, t.known.RunID)
		if errors.Is(err, errNoRun) {
			t.known.RunID, t.known.Described = "", false
		} else if err != nil {
			return err
		}
	}
	if t.known.RunID == "" {
		id, err := t.store.create(ctx, t.options.Experiment, t.options.Name, time.Now())
		if err != nil {
			return err
		}
		t.known.RunID = id
		// Before anything else, so that the run is found again.
		if err := t.writeState(); err != nil {
			return err
		}
	}
	if !t.known.Described {
		err := t.store.log(ctx, t.known.RunID, t.options.Params, t.options.Tags, nil)
		if err != nil {
			return err
		}
		t.known.Described = true
		if err := t.writeState(); err != nil {
			return err
		}
	}
	t.opened = true
	return nil
}

func (t *Tracker) tellEnding(ctx context.Context) error {
	for name, content := range t.ending.artifacts {
		if err := t.store.artifact(ctx, t.known.RunID, name, content); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
	}
	return t.store.end(ctx, t.known.RunID, t.ending.status, time.Now())
}

func readState(path string) (state, error) {
	var s state
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

func (t *Tracker) writeState() error {
	raw, err := json.MarshalIndent(t.known, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(t.options.StateFile, append(raw, '\n')); err != nil {
		return fmt.Errorf("record of the MLflow run: %w", err)
	}
	return nil
}

// withoutSecrets is the URI without a user's name and password.
func withoutSecrets(uri string) string {
	parsed, err := url.Parse(uri)
	if err != nil || parsed.User == nil {
		return uri
	}
	parsed.User = nil
	return parsed.String()
}
