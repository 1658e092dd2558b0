package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/tensorboard"
	"slipway/train"
)

// A run that goes on adds a file to those that there are; without the flag there are
// none.
func TestTensorBoard(t *testing.T) {
	dir := fixture(t)
	logs := filepath.Join(dir, "logs")
	sizes := func() (sizes []int64) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(logs, "tiny", "*tfevents*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size())
		}
		return sizes
	}
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK ||
		sizes() != nil {
		t.Fatalf("exit %d, files of %v bytes: %s", code, sizes(), errs)
	}
	code, _, errs := runTrain(t, arguments(dir, "-epochs", "2", "-tensorboard", logs)...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	first := sizes()
	code, _, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "3",
		"-test", dir+":t10k", "-tensorboard", logs)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	both := sizes()
	if len(first) != 1 || len(both) != 2 || both[0] != first[0] || both[1] >= first[0] {
		t.Errorf("files of %v bytes after two epochs, of %v after one more", first, both)
	}
}

// Curves that cannot be written are told of once, and are off from then on.
func TestCurvesThatCannotBeWritten(t *testing.T) {
	writer, err := tensorboard.Create(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil { // every later write fails
		t.Fatal(err)
	}
	var told strings.Builder
	c := &curves{writer: writer, warnings: &warnings{out: &told}}
	for i := range 3 {
		c.epoch(train.Epoch{Epoch: i + 1})
	}
	if got := told.String(); c.writer != nil || strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "warning: TensorBoard's curves: ") {
		t.Errorf("%q", got)
	}
}
