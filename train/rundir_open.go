package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/atomicfile"
)

// checkpointsFolder is the one of a run's folder that holds its checkpoints.
const checkpointsFolder = "checkpoints"

// OpenRun opens the folder of a run that is there. A link in it is an error: what it leads to is
// not the run's own, and would be read or replaced in its place. The run's folder itself may be
// one.
func OpenRun(path string) (RunDir, error) {
	dir := RunDir{path}
	info, err := os.Lstat(filepath.Join(path, checkpointsFolder))
	if err == nil && info.Mode()&fs.ModeSymlink == 0 && !info.IsDir() {
		err = errors.New("its checkpoints are no folder")
	}
	if err != nil {
		return RunDir{}, fmt.Errorf("%s is not the folder of a run: %w", path, err)
	}
	for _, folder := range dir.folders() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return RunDir{}, fmt.Errorf("open run: %w", err)
		}
		for _, entry := range entries {
			if entry.Type()&fs.ModeSymlink != 0 {
				return RunDir{}, fmt.Errorf(
					"open run: %s is a link, and a run's files are its own; put what it leads to in its place, "+
						"or link the run's folder as a whole", filepath.Join(folder, entry.Name()))
			}
		}
	}
	return dir, nil
}

// folders are those that hold a run's files; that of the checkpoints may be a link, which the first
// one's entries show.
func (d RunDir) folders() []string {
	return []string{d.path, filepath.Join(d.path, checkpointsFolder)}
}

// Sweep removes what saves that were killed have left half-written. The caller has the run's lock,
// so that no other process writes there.
func (d RunDir) Sweep() error {
	for _, folder := range d.folders() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return fmt.Errorf("sweep run: %w", err)
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !atomicfile.IsTemporary(entry.Name()) {
				continue
			}
			if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil &&
				!errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("sweep run: %w", err)
			}
		}
	}
	return nil
}

// checkParts reports a part of a run's name that is a folder's inside another run.
func checkParts(name string) error {
	if slices.Contains(strings.Split(name, "/"), checkpointsFolder) {
		return fmt.Errorf("%q: %s is the folder of another run's checkpoints; give another name", name,
			checkpointsFolder)
	}
	return nil
}
