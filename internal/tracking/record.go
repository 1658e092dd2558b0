// Package tracking reads the folders of finished and unfinished training runs, those of train and
// those of studies, to list them and to set them beside each other. It opens no checkpoint:
// what it tells is in the small files beside them.
package tracking

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"slipway/dataset"
	"slipway/internal/study"
	"slipway/metrics"
	"slipway/train"
)

// Record is what the folder of a run says.
type Record struct {
	// Name is the run's path inside the folder of the runs, Dir where it is.
	Name, Dir string
	// Network is the network's name; Layers is its JSON.
	Network string
	Layers  json.RawMessage
	Config  train.Config
	Sets    train.Sets
	History train.History
	// Metrics are those of the run's weights on its test set, nil where they were not measured
	// or the run has gone on since.
	Metrics *metrics.Metrics
	// TestAccuracy is that of these weights, nil where it was not measured.
	TestAccuracy *float64
	// Changed is when the run last wrote its history.
	Changed time.Time
	// ofStudy is what a study's run says of itself, nil of another one.
	ofStudy *study.Result
	// test is the whole test set of its study, zero where that is not known.
	test dataset.Info
}

// ErrNoRun is wrapped by the error for a folder that is not that of a run.
var ErrNoRun = errors.New("not the folder of a run")

const (
	configFile  = "config.json"
	historyFile = "history.json"
	checkpoints = "checkpoints"
)

// Read reads the run in the folder.
func Read(dir string) (*Record, error) {
	r := &Record{Name: filepath.Base(dir), Dir: dir}
	if result, err := study.ReadResult(dir); err == nil {
		return r, r.ofResult(result)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path := filepath.Join(dir, configFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrNoRun, err)
	}
	r.Changed = info.ModTime()
	var config struct {
		Network json.RawMessage `json:"network"`
		Config  train.Config    `json:"config"`
		Sets    train.Sets      `json:"sets"`
	}
	if err := readJSON(path, &config); err != nil {
		return nil, err
	}
	r.Layers, r.Config, r.Sets = config.Network, config.Config, config.Sets
	var network struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(r.Layers, &network); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.Network = network.Name
	history := filepath.Join(dir, historyFile)
	err = readJSON(history, &r.History)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil // in its first epoch
	}
	if err != nil {
		return nil, err
	}
	if info, err = os.Stat(history); err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	r.Changed = info.ModTime()
	return r, r.readMetrics()
}

// ofResult takes what a study's run says of itself.
func (r *Record) ofResult(result study.Result) error {
	r.ofStudy = &result
	r.Name = fmt.Sprintf("%s, seed %d", result.Setting, result.Seed)
	r.Network, r.Config, r.Sets, r.History = result.Network, result.Config, result.Sets, result.History
	if len(r.History) > 0 && r.Sets.Test != nil {
		r.TestAccuracy = &result.TestAccuracy
	}
	// Studies lie beside the pool of their runs.
	if plan, err := study.ReadPlan(filepath.Join(r.Dir, "..", "..", result.Study)); err == nil {
		r.test = plan.Test
	}
	info, err := os.Stat(filepath.Join(r.Dir, study.ResultFile))
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	r.Changed = info.ModTime()
	return nil
}

// readMetrics reads metrics.json and keeps it where it is of the run as it stands: one that
// has gone on writes it again at its end.
func (r *Record) readMetrics() error {
	if len(r.History) == 0 {
		return nil
	}
	last := r.History[len(r.History)-1]
	r.TestAccuracy = last.TestAccuracy
	if _, err := os.Stat(filepath.Join(r.Dir, checkpoints)); err != nil {
		return nil
	}
	run, err := train.OpenRun(r.Dir)
	if err != nil {
		return err
	}
	m, err := run.ReadMetrics()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// A run that keeps its best epoch comes to one before the last.
	of := slices.IndexFunc(r.History, func(e train.Epoch) bool { return e.Epoch == m.Epoch })
	if of < 0 || !r.Config.KeepsBest() && m.Epoch != last.Epoch ||
		r.History[of].TestAccuracy == nil || *r.History[of].TestAccuracy != m.Accuracy {
		return nil
	}
	r.Metrics, r.TestAccuracy = m, &m.Accuracy
	return nil
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// isStudies reports whether it is the folder of studies, which share a pool of runs.
func isStudies(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "pool"))
	return err == nil
}

// List reads all runs below the folder, in the order of their names. What is not the folder of
// a run is passed over, and so are studies inside the folder, which may have hundreds; damaged
// says of runs that cannot be read why.
func List(root string) (records []*Record, damaged []error, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if path != root && isStudies(path) {
			return fs.SkipDir
		}
		record, err := Read(path)
		switch {
		case errors.Is(err, ErrNoRun):
			return nil
		case err != nil:
			damaged = append(damaged, err)
			return fs.SkipDir
		}
		if record.ofStudy == nil {
			if record.Name, err = filepath.Rel(root, path); err != nil {
				return err
			}
			record.Name = filepath.ToSlash(record.Name)
		}
		records = append(records, record)
		return nil // a run may lie inside the folder of another: e1 and e1/again
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list runs: %w", err)
	}
	return records, damaged, nil
}
