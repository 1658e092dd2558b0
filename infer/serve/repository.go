package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway/infer"
	"slipway/provenance"
)

// A repository holds what is served, and keeps it as the files are.
type repository struct {
	loader  *loader
	serving atomic.Pointer[snapshot]

	// mu guards entries, which only look changes.
	mu      sync.Mutex
	entries map[key]*entry
	// faults are those of the last look, each told once, and changed says that the entries are not
	// yet what is served. Both are of whoever looks.
	faults  []fault
	changed bool
}

// A snapshot is what is served at one time, by name and version. It is never changed, only
// replaced.
type snapshot struct {
	models map[string]map[string]*version
	newest map[string]string
}

// An entry is what is known of one version of a model.
type entry struct {
	place place
	// seen are the files at the last look, and decided those that loaded or err are of.
	seen, decided []file
	reading       reading
	// loaded is what is served, nil for nothing, and loadedSum the digest of its files.
	loaded    *version
	loadedSum [sha256.Size]byte
	// err says why what the files hold now is not served.
	err error
	// missed counts the looks in a row that did not find it.
	missed int
	// retried counts how often what the files hold now was tried again.
	retried int
}

// mostRetries is how often a model is tried again that took more memory than the limit while it was
// loaded. onnxruntime's sessions count what others take meanwhile, so that it may be theirs; but a
// model that is too large in itself must not take all that memory at each look for ever.
const mostRetries = 3

// retries reports whether what the files hold is to be tried again after an error.
func (e *entry) retries(err error) bool {
	if !errors.Is(err, infer.ErrBatchMemory) || e.retried == mostRetries {
		return false
	}
	e.retried++
	return true
}

func newRepository(l *loader) *repository {
	r := &repository{loader: l, entries: make(map[key]*entry)}
	r.serving.Store(&snapshot{})
	return r
}

// watch looks again and again until ctx ends.
func (r *repository) watch(ctx context.Context) {
	ticker := time.NewTicker(r.loader.config.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look(ctx, false)
		}
	}
}

// look takes up what has changed. At first everything is loaded as it is; later a change must have
// been there the last time, too: who writes a file takes a while.
func (r *repository) look(ctx context.Context, first bool) {
	defer func() {
		if reason := recover(); reason != nil {
			r.loader.panicked(reason, debug.Stack()) // what is served stays
		}
	}()
	places, faults := scan(r.loader.config.Models, r.servedAt)
	r.tellFaults(faults)
	found := make(map[key]bool)
	for _, p := range places {
		if ctx.Err() != nil {
			return
		}
		found[p.key] = true
		r.lookAt(ctx, p, first)
	}
	r.forget(found)
	if r.changed {
		r.publish()
		r.changed = false
	}
}

// servedAt returns where the version of a model that is served lies, "" for none.
func (r *repository) servedAt(k key) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[k]; e != nil && e.loaded != nil {
		return e.place.path
	}
	return ""
}

// tellFaults logs what is no model to serve, each once.
func (r *repository) tellFaults(faults []fault) {
	for _, f := range faults {
		told := slices.ContainsFunc(r.faults, func(before fault) bool {
			return before.err.Error() == f.err.Error()
		})
		if !told {
			r.loader.config.Logger.Error("models could not be looked for; what is served stays", "error",
				f.err)
		}
	}
	r.faults = faults
}

// lookAt loads what has changed at a place. The old version of it, if there was one, goes on until
// the new one answers.
func (r *repository) lookAt(ctx context.Context, p place, first bool) {
	r.mu.Lock()
	e := r.entries[p.key]
	if e == nil {
		e = &entry{place: p}
		r.entries[p.key] = e
	}
	r.mu.Unlock()
	e.missed = 0
	files, err := r.files(e, p.path, first)
	if err != nil {
		r.fail(e, nil, err)
		return
	}
	settled := first || sameFiles(files, e.seen)
	e.seen = files
	if !settled {
		e.retried = 0
	}
	if !settled || sameFiles(files, e.decided) && e.place.path == p.path {
		return
	}
	r.mu.Lock()
	e.place = p
	r.mu.Unlock()
	sum, err := digest(files)
	if err != nil {
		r.fail(e, nil, err) // tried again at the next look
		return
	}
	if e.loaded != nil && sum == e.loadedSum {
		r.settle(e, files, e.loaded, sum)
		return
	}
	loaded, err := r.loader.load(ctx, p.name, p.number, p.path)
	if ctx.Err() != nil {
		if loaded != nil {
			loaded.retire()
		}
		return
	}
	if err != nil {
		if !first && e.retries(err) {
			files = nil // at the next look; at first nobody else computes
		}
		r.fail(e, files, err)
		return
	}
	if now, err := r.files(e, p.path, first); err != nil || !sameFiles(files, now) {
		loaded.retire()
		r.fail(e, nil, errors.New("it changed while it was read; the next look sees what it has become"))
		return
	}
	r.changed = true
	r.settle(e, files, loaded, sum)
}

// files looks at the files of an entry's model, and at those that may hold its signature where one
// is needed: a new signature is a change. One that is missing is told of when the model is loaded.
func (r *repository) files(e *entry, path string, atOnce bool) ([]file, error) {
	files, err := e.reading.files(path, atOnce)
	if err != nil || r.loader.config.RequireSignature == nil {
		return files, err
	}
	files = slices.Clone(files)
	for _, signature := range provenance.SignaturesOf(path) {
		if info, err := os.Stat(signature); err == nil && info.Mode().IsRegular() {
			files = append(files, file{signature, info})
		}
	}
	return files, nil
}

// settle notes what is served of an entry.
func (r *repository) settle(e *entry, files []file, loaded *version, sum [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.decided, e.loaded, e.loadedSum, e.err = files, loaded, sum, nil
	r.loader.metrics.failed(e.place.name, e.place.number, false)
}

// fail notes and logs why an entry's files are not served.
func (r *repository) fail(e *entry, files []file, err error) {
	r.mu.Lock()
	repeated := e.err != nil && e.err.Error() == err.Error()
	e.decided, e.err = files, err
	r.mu.Unlock()
	r.loader.metrics.failed(e.place.name, e.place.number, true)
	if repeated {
		return
	}
	r.loader.metrics.loadFailures.Inc()
	log := r.loader.config.Logger.With("model", e.place.name, "version", e.place.number)
	if e.loaded != nil {
		log.Error("a changed model cannot be served; the one before stays", "error", err)
	} else {
		log.Error("a model cannot be served", "error", err)
	}
}

// forget lets go of what was not found twice in a row. What was named itself stays: that its file
// is gone is no wish to end. So does what may still lie where nobody could look.
func (r *repository) forget(found map[key]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, e := range r.entries {
		if found[k] || e.place.named || slices.ContainsFunc(r.faults, func(f fault) bool {
			return f.hides(e.place.path)
		}) {
			continue
		}
		if e.missed++; e.missed < 2 {
			continue
		}
		delete(r.entries, k)
		r.loader.metrics.failed(k.name, k.number, false)
		if e.loaded != nil {
			r.changed = true
			r.loader.config.Logger.Info("a model is gone and served no more", "model", k.name, "version",
				k.number)
		}
	}
}

// publish serves what the entries hold, all at once, and retires what is served no more.
func (r *repository) publish() {
	r.mu.Lock()
	now := &snapshot{models: make(map[string]map[string]*version), newest: make(map[string]string)}
	for k, e := range r.entries {
		if e.loaded == nil {
			continue
		}
		if now.models[k.name] == nil {
			now.models[k.name] = make(map[string]*version)
		}
		now.models[k.name][k.number] = e.loaded
		if newest, ok := now.newest[k.name]; !ok || newer(k.number, newest) {
			now.newest[k.name] = k.number
		}
	}
	r.mu.Unlock()
	before := r.serving.Swap(now)
	for v := range now.all() {
		if before.models[v.name][v.number] != v {
			r.loader.metrics.loaded(v.name, v.number, v.runtime.Info())
			r.loader.tell(v)
		}
	}
	for v := range before.all() {
		successor := now.models[v.name][v.number]
		if successor == nil {
			r.loader.metrics.unloaded(v.name, v.number)
		}
		if successor != v {
			v.retire()
		}
	}
}

// all are the versions of a snapshot.
func (s *snapshot) all() iter.Seq[*version] {
	return func(yield func(*version) bool) {
		for _, versions := range s.models {
			for _, v := range versions {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// close retires everything, and returns once all is closed, or later than the longest time: what
// still computes then ends with the process. Nobody may look any more.
func (r *repository) close(longest time.Duration) error {
	r.mu.Lock()
	var loaded []*version
	for _, e := range r.entries {
		if e.loaded != nil {
			loaded = append(loaded, e.loaded)
		}
	}
	clear(r.entries)
	r.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.publish() // which closes at once what nobody asks, and waits for what it computes
		// A look that was ended early may have loaded what was never served.
		for _, v := range loaded {
			v.retire()
		}
		r.loader.open.Wait()
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(longest):
		return fmt.Errorf("models that are still asked could not be closed within %v", longest)
	}
}

// ready reports whether anything is served.
func (r *repository) ready() bool { return len(r.serving.Load().models) > 0 }

// acquire returns a version of a model, the newest for "", which the caller must release.
func (r *repository) acquire(name, number string) (*version, error) {
	for {
		serving := r.serving.Load()
		versions, ok := serving.models[name]
		if !ok {
			if r.fails(name) {
				return nil, refuse(http.StatusNotFound, "the model %q is there and cannot be served: "+
					"POST /v2/repository/index says why", shorten(name))
			}
			return nil, refuse(http.StatusNotFound, "there is no model %q%s", shorten(name),
				r.namesOf(serving))
		}
		chosen := number
		if chosen == "" {
			chosen = serving.newest[name]
		}
		v, ok := versions[chosen]
		if !ok {
			return nil, refuse(http.StatusNotFound, "the model %q has no version %q; it has %s",
				shorten(name), shorten(number), strings.Join(serving.numbers(name), ", "))
		}
		if v.acquire() {
			return v, nil
		}
		// It was replaced just now: the next snapshot has what took its place.
	}
}

// fails reports whether a version of the model could not be loaded.
func (r *repository) fails(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, e := range r.entries {
		if k.name == name && e.err != nil {
			return true
		}
	}
	return false
}

// namesOf lists the models for an error, the first few of many.
func (r *repository) namesOf(serving *snapshot) string {
	const most = 8
	names := slices.Sorted(maps.Keys(serving.models))
	if len(names) == 0 {
		return ", nor any other"
	}
	if len(names) > most {
		return fmt.Sprintf("; there are %d others", len(names))
	}
	return "; there are " + strings.Join(names, ", ")
}

// numbers lists the versions of a model, the oldest first.
func (s *snapshot) numbers(name string) []string {
	return slices.SortedFunc(maps.Keys(s.models[name]), func(a, b string) int {
		switch {
		case a == b:
			return 0
		case newer(a, b):
			return 1
		}
		return -1
	})
}
