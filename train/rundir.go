package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/internal/atomicfile"
	"slipway/internal/safetensors"
)

// RunDir is the folder of one training run:
//
//	config.json                       the network and the Config
//	history.csv, history.json         one row an epoch
//	curve.svg                         loss and accuracy over the epochs
//	checkpoints/step-00018750.safetensors   the last few, newest by name
//	weights.safetensors               the final weights, a PyTorch state dict
//	mlflow.json                       which MLflow run it is, where it is tracked
//	metrics.json                      what they are worth on the test set
//
// Every file is written atomically.
type RunDir struct{ path string }

const checkpointPattern = "step-*.safetensors"

// CreateRun makes the folder of a new run. A run that is already there is
// moved aside to path.1, path.2, …; its new place is returned, empty if there
// was none.
func CreateRun(path string) (dir RunDir, movedTo string, err error) {
	if _, err := os.Lstat(path); err == nil {
		if movedTo, err = freeName(path); err != nil {
			return RunDir{}, "", fmt.Errorf("move the earlier run aside: %w", err)
		}
		if err := os.Rename(path, movedTo); err != nil {
			return RunDir{}, "", fmt.Errorf("move the earlier run aside: %w", err)
		}
	}
	// The first folder that is made is path, so that the move is flushed with it.
	if err := atomicfile.MkdirAll(filepath.Join(path, checkpointsFolder)); err != nil {
		return RunDir{}, movedTo, fmt.Errorf("create run: %w", err)
	}
	return RunDir{path}, movedTo, nil
}

// freeName returns the first of path.1, path.2, … that is not there.
func freeName(path string) (string, error) {
	for i := 1; ; i++ {
		name := fmt.Sprintf("%s.%d", path, i)
		switch _, err := os.Lstat(name); {
		case errors.Is(err, os.ErrNotExist):
			return name, nil
		case err != nil:
			return "", err
		}
	}
}

// CheckRunPath reports a name that does not lead to a folder inside that of the runs.
func CheckRunPath(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf(
			"%q names no folder inside that of the runs; give a name such as e1, or e1/again", name)
	}
	return checkParts(name)
}

// CheckRunName reports a name that a new run may not have: one that CheckRunPath
// reports, or of which a part is no name of a folder on every system.
func CheckRunName(name string) error {
	if err := CheckRunPath(name); err != nil {
		return err
	}
	for part := range strings.SplitSeq(name, "/") {
		if plain := PlainName(part); plain != part {
			return fmt.Errorf("%q is no name of a folder on every system; give one such as %q", part, plain)
		}
	}
	return nil
}

// PlainName replaces by _ what a file's name may not have on some system: a slash, the
// characters that Windows keeps for itself, control characters, and a blank or
// point at the end. A name that is a device's there gets a _ before it.
func PlainName(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, name)
	if trimmed := strings.TrimRight(plain, " ."); trimmed != plain {
		plain = trimmed + strings.Repeat("_", len(plain)-len(trimmed))
	}
	stem, _, _ := strings.Cut(strings.ToUpper(plain), ".")
	device := slices.Contains([]string{"CON", "PRN", "AUX", "NUL"}, stem)
	if len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '1' && stem[3] <= '9' {
		device = true
	}
	if device {
		plain = "_" + plain
	}
	return plain
}

// Restore makes the folder again, and that of its checkpoints, where somebody has removed
// them. What is there stays.
func (d RunDir) Restore() error {
	if err := atomicfile.MkdirAll(filepath.Join(d.path, checkpointsFolder)); err != nil {
		return fmt.Errorf("make the run's folder again: %w", err)
	}
	return nil
}

// Path returns the folder.
func (d RunDir) Path() string { return d.path }

// WeightsPath returns the file of the final weights.
func (d RunDir) WeightsPath() string { return filepath.Join(d.path, "weights.safetensors") }

// WriteConfig records the network, the configuration and the sets.
func (d RunDir) WriteConfig(network *builder.Network, config Config, sets Sets) error {
	raw, err := json.MarshalIndent(struct {
		Network *builder.Network `json:"network"`
		Config  Config           `json:"config"`
		Sets    Sets             `json:"sets"`
	}{network, config, sets}, "", "  ")
	if err != nil {
		return fmt.Errorf("config of run %s: %w", d.path, err)
	}
	return d.write("config.json", append(raw, '\n'))
}

// PictureError says that a picture could not be drawn or written. All else was.
type PictureError struct{ Err error }

func (e *PictureError) Error() string { return fmt.Sprintf("the picture curve.svg: %v", e.Err) }

func (e *PictureError) Unwrap() error { return e.Err }

// WriteHistory writes history.csv, history.json and the plot. A plot that cannot be drawn
// or written is a PictureError.
func (d RunDir) WriteHistory(title string, history History) error {
	table, err := history.CSV()
	if err != nil {
		return err
	}
	list, err := history.JSON()
	if err != nil {
		return err
	}
	if err := errors.Join(d.write("history.csv", table), d.write("history.json", list)); err != nil {
		return err
	}
	curve, err := history.SVG(title)
	if err == nil {
		err = d.write("curve.svg", curve)
	}
	if err != nil {
		return &PictureError{err}
	}
	return nil
}

func (d RunDir) write(name string, data []byte) error {
	if err := atomicfile.WriteBytes(filepath.Join(d.path, name), data); err != nil {
		return fmt.Errorf("run %s: %w", d.path, err)
	}
	return nil
}

// WriteCheckpoint saves a checkpoint and removes older ones, so that
// Config.KeepCheckpoints stay. It returns the file.
//
// Those that are newer by name stay: the run went on from before them, so that they
// are damaged, and must not count as kept.
func (d RunDir) WriteCheckpoint(c *Checkpoint) (string, error) {
	path := filepath.Join(d.path, checkpointsFolder,
		fmt.Sprintf("step-%08d.safetensors", c.Progress.Step))
	if err := WriteCheckpoint(path, c); err != nil {
		return "", err
	}
	paths, err := d.Checkpoints()
	if err != nil {
		return "", err
	}
	paths = slices.DeleteFunc(paths, func(other string) bool {
		return filepath.Base(other) > filepath.Base(path)
	})
	for len(paths) > c.Config.KeepCheckpoints {
		last := len(paths) - 1
		if err := os.Remove(paths[last]); err != nil {
			return "", fmt.Errorf("remove old checkpoint: %w", err)
		}
		paths = paths[:last]
	}
	return path, nil
}

// Checkpoints returns the run's checkpoint files, newest first.
func (d RunDir) Checkpoints() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(d.path), checkpointsFolder,
		checkpointPattern))
	if err != nil {
		return nil, fmt.Errorf("checkpoints of run %s: %w", d.path, err)
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	return paths, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Latest reads the newest checkpoint that is whole. damaged holds what was
// wrong with newer ones. Extra are the kinds of layers that ReadCheckpoint is told of.
func (d RunDir) Latest(extra ...builder.Layer) (checkpoint *Checkpoint, path string,
	damaged []error, err error) {
	paths, err := d.Checkpoints()
	if err != nil {
		return nil, "", nil, err
	}
	for _, path := range paths {
		checkpoint, err := ReadCheckpoint(path, extra...)
		if err == nil {
			return checkpoint, path, damaged, nil
		}
		damaged = append(damaged, err)
	}
	if len(damaged) > 0 {
		return nil, "", damaged, fmt.Errorf("run %s: none of its %d checkpoints is whole: %w", d.path,
			len(paths), errors.Join(damaged...))
	}
	return nil, "", nil, fmt.Errorf("run %s has no checkpoint yet; train it from the start", d.path)
}

// LogitsPath returns the file of the trainer's own answer on a data set.
func (d RunDir) LogitsPath(data string) string {
	return filepath.Join(d.path, PlainName(filepath.Base(data))+"_logits.safetensors")
}

// WriteLogits records the trainer's own answer on a data set: the tensor
// "logits", N×Classes, and in the metadata the data set and the number of
// images classified right.
func (d RunDir) WriteLogits(data string, evaluation *Evaluation) error {
	shape := []int{len(evaluation.Logits) / evaluation.Classes, evaluation.Classes}
	err := safetensors.Write(d.LogitsPath(data), &safetensors.File{
		Metadata: map[string]string{"data": data, "correct": strconv.Itoa(evaluation.Correct)},
		Tensors:  []safetensors.Tensor{safetensors.NewFloat32("logits", shape, evaluation.Logits)},
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", d.path, err)
	}
	return nil
}
