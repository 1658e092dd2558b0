package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/nearest"
)

// graphFolders are where a bare model name is looked for beside the working folder:
// graphs/, and graphs/ beside the folder of this program.
func graphFolders() []string {
	folders := []string{"graphs"}
	if executable, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			executable = real
		}
		folders = append(folders, filepath.Join(filepath.Dir(executable), "..", "graphs"))
	}
	return folders
}

// FindModel returns the path of the model of that name. A bare one is looked up in
// the working folder, in graphs/, and in graphs/ beside the folder of this program.
func FindModel(name string) (string, error) {
	candidates := []string{name}
	bare := filepath.Base(name) == name
	if bare {
		for _, folder := range graphFolders() {
			candidates = append(candidates, filepath.Join(folder, name))
		}
	}
	for _, candidate := range candidates {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the model: %w", err)
		}
	}
	hint := ""
	if bare {
		hint = nearest.Hint(name, GraphNames())
	}
	return "", fmt.Errorf(
		"there is no model %s: looked for %s; `make export` makes those of graphs/%s", name,
		strings.Join(candidates, ", "), hint)
}

// GraphNames lists the bare names of the models in graphs/ and in graphs/ beside the
// folder of this program, sorted.
func GraphNames() []string {
	var names []string
	for _, folder := range graphFolders() {
		paths, err := filepath.Glob(filepath.Join(folder, "*.onnx"))
		if err != nil {
			continue // the pattern is sound: a folder's name holds what Glob takes for one
		}
		for _, path := range paths {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
