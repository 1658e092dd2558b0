package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full of TensorBoard's files costs the curves, not the run.
func TestFullTensorBoardDisk(t *testing.T) {
	dir := fixture(t)
	logs := t.TempDir()
	if err := syscall.Mount("tmpfs", logs, "tmpfs", 0, "size=4k"); err != nil {
		t.Skip("no right to mount a small file system:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(logs, 0); err != nil {
			t.Error(err)
		}
	})
	const epochs = 40 // more than 4 KiB of curves
	p := launch(t, nil, arguments(dir, "-epochs", "40", "-tensorboard", logs)...)
	code := p.end(t)
	if got := epochsSaved(t, filepath.Join(dir, "runs", "tiny")); code != 0 || got != epochs {
		t.Errorf("exit %d, %d epochs are saved: %s", code, got, p.stderr.String())
	}
	const warning = "warning: TensorBoard's curves: "
	if says := p.stderr.String(); strings.Count(says, warning) != 1 || !strings.Contains(says, "no space left on device; training goes on without them") {
		t.Errorf("the message: %s", says)
	}
}
