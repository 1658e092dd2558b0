package serve

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/display"
)

// An indexed is a line of the index of the repository, as Triton's extension has it.
type indexed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// States of an index.
const (
	stateReady       = "READY"
	stateUnavailable = "UNAVAILABLE"
)

// index lists all versions that there are, also those that cannot be served, with the reason.
func (r *repository) index() []indexed {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := []indexed{}
	for k, e := range r.entries {
		line := indexed{Name: k.name, Version: k.number, State: stateUnavailable}
		if e.loaded != nil {
			line.State = stateReady
		}
		switch {
		case e.err != nil:
			line.Reason = reasonOf(e)
		case e.loaded == nil:
			line.Reason = "it is new, or still being written: two looks in a row must see the same"
		}
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b indexed) int {
		switch {
		case a.Name != b.Name:
			return strings.Compare(a.Name, b.Name)
		case newer(a.Version, b.Version):
			return 1
		}
		return -1
	})
	return lines
}

// reasonOf tells a client why an entry's files are not served. Where they lie is for the log.
func reasonOf(e *entry) string {
	err := e.err
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	places := []string{e.place.path, filepath.Base(e.place.path)}
	if folder := filepath.Dir(e.place.path); folder != "." {
		places = append(places, folder+string(filepath.Separator), "") // of a signature beside it
	}
	reason := display.Printable(strings.NewReplacer(places...).Replace(err.Error()))
	if e.loaded != nil {
		reason = "the version before is served: " + reason
	}
	return reason
}
