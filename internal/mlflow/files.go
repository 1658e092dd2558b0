package mlflow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway/internal/atomicfile"
)

// fileStore is a folder as MLflow's file store has it: EXPERIMENT/meta.yaml, and in
// EXPERIMENT/RUN meta.yaml, a file for each parameter, tag and metric, and artifacts.
type fileStore struct{ root string }

const metaFile = "meta.yaml"

func newFileStore(dir string) (*fileStore, error) {
	// The store records where its artifacts are.
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of MLflow: %w", err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; a folder is wanted, or a server's http:// address", dir)
	}
	return &fileStore{root}, nil
}

type experimentMeta struct {
	ArtifactLocation string `yaml:"artifact_location"`
	CreationTime     int64  `yaml:"creation_time"`
	ExperimentID     string `yaml:"experiment_id"`
	LastUpdateTime   int64  `yaml:"last_update_time"`
	LifecycleStage   string `yaml:"lifecycle_stage"`
	Name             string `yaml:"name"`
}

type runMeta struct {
	ArtifactURI    string `yaml:"artifact_uri"`
	EndTime        *int64 `yaml:"end_time"`
	EntryPointName string `yaml:"entry_point_name"`
	ExperimentID   string `yaml:"experiment_id"`
	LifecycleStage string `yaml:"lifecycle_stage"`
	RunID          string `yaml:"run_id"`
	RunName        string `yaml:"run_name"`
	SourceName     string `yaml:"source_name"`
	SourceType     int    `yaml:"source_type"`
	SourceVersion  string `yaml:"source_version"`
	StartTime      int64  `yaml:"start_time"`
	Status         int    `yaml:"status"`
	UserID         string `yaml:"user_id"`
}

const (
	active     = "active"
	sourceType = 4 // LOCAL of mlflow.entities.SourceType
)

// statusNumber is that of mlflow.protos.service.RunStatus.
func statusNumber(status Status) int {
	return map[Status]int{Running: 1, Finished: 3, Failed: 4, Killed: 5}[status]
}

func (f *fileStore) uri(parts ...string) string {
	path := filepath.ToSlash(filepath.Join(append([]string{f.root}, parts...)...))
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/")}).String()
}

func writeMeta(path string, meta any) error {
	raw, err := yaml.Marshal(meta)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, raw)
}

func readMeta(path string, meta any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(raw, meta); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// find returns the folder of a run.
func (f *fileStore) find(runID string) (dir string, err error) {
	if runID != filepath.Base(runID) || strings.ContainsAny(runID, `*?[\`) {
		return "", errNoRun
	}
	entries, err := os.ReadDir(f.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		dir := filepath.Join(f.root, entry.Name(), runID)
		if _, err := os.Stat(filepath.Join(dir, metaFile)); err == nil {
			return dir, nil
		}
	}
	return "", errNoRun
}

func (f *fileStore) open(_ context.Context, runID string) error {
	return f.setStatus(runID, Running, nil)
}

func (f *fileStore) setStatus(runID string, status Status, end *int64) error {
	dir, err := f.find(runID)
	if err != nil {
		return err
	}
	var meta runMeta
	if err := readMeta(filepath.Join(dir, metaFile), &meta); err != nil {
		return err
	}
	if meta.LifecycleStage != active {
		return errNoRun
	}
	meta.Status, meta.EndTime = statusNumber(status), end
	return writeMeta(filepath.Join(dir, metaFile), meta)
}

func (f *fileStore) create(_ context.Context, experiment, name string,
	began time.Time) (string, error) {
	experimentID, err := f.experiment(experiment, began)
	if err != nil {
		return "", err
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	runID := hex.EncodeToString(id[:])
	dir := filepath.Join(f.root, experimentID, runID)
	for _, part := range []string{"artifacts", "metrics", "params", "tags"} {
		if err := atomicfile.MkdirAll(filepath.Join(dir, part)); err != nil {
			return "", err
		}
	}
	if err := f.write(dir, "tags", "mlflow.runName", name); err != nil {
		return "", err
	}
	return runID, writeMeta(filepath.Join(dir, metaFile), runMeta{
		ArtifactURI: f.uri(experimentID, runID, "artifacts"), ExperimentID: experimentID,
		LifecycleStage: active, RunID: runID, RunName: name, SourceType: sourceType,
		StartTime: began.UnixMilli(), Status: statusNumber(Running), UserID: "unknown"})
}

// experiment finds the experiment of that name, or makes it.
func (f *fileStore) experiment(name string, now time.Time) (id string, err error) {
	entries, err := os.ReadDir(f.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("folder of MLflow: %w", err)
	}
	for _, entry := range entries {
		var meta experimentMeta
		err := readMeta(filepath.Join(f.root, entry.Name(), metaFile), &meta)
		if err == nil && meta.Name == name {
			return meta.ExperimentID, nil
		}
	}
	// As many digits as MLflow's own ids have. Runs that begin at once, as a study's do, make the
	// same one by the name.
	sum := sha256.Sum256([]byte(name))
	id = strconv.FormatUint(1e17+binary.BigEndian.Uint64(sum[:8])%9e17, 10)
	return id, writeMeta(filepath.Join(f.root, id, metaFile), experimentMeta{
		ArtifactLocation: f.uri(id), CreationTime: now.UnixMilli(), ExperimentID: id,
		LastUpdateTime: now.UnixMilli(), LifecycleStage: active, Name: name})
}

// write writes a parameter or a tag.
func (f *fileStore) write(dir, kind, key, value string) error {
	return atomicfile.WriteBytes(filepath.Join(dir, kind, plainKey(key)), []byte(value))
}

func (f *fileStore) log(_ context.Context, runID string, params, tags map[string]string,
	metrics []Metric) error {
	dir, err := f.find(runID)
	if err != nil {
		return err
	}
	for kind, all := range map[string][]pair{
		"params": pairs(params, longestParam), "tags": pairs(tags, longest),
	} {
		for _, p := range all {
			if err := f.write(dir, kind, p.Key, p.Value); err != nil {
				return err
			}
		}
	}
	for _, m := range metrics {
		line := fmt.Sprintf("%d %s %d\n", m.Time.UnixMilli(),
			strconv.FormatFloat(m.Value, 'g', -1, 64), m.Step)
		if err := appendTo(filepath.Join(dir, "metrics", plainKey(m.Name)), line); err != nil {
			return err
		}
	}
	return nil
}

// appendTo adds a line in one call to the system.
func appendTo(path, line string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line)
	return errors.Join(err, file.Close())
}

func (f *fileStore) artifact(_ context.Context, runID, name string, content []byte) error {
	dir, err := f.find(runID)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, "artifacts", name), content)
}

func (f *fileStore) end(_ context.Context, runID string, status Status, at time.Time) error {
	milliseconds := at.UnixMilli()
	return f.setStatus(runID, status, &milliseconds)
}
