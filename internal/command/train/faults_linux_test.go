package train

import (
	"fmt"
	"os"
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
	if says := p.stderr.String(); strings.Count(says, warning) != 1 ||
		!strings.Contains(says, "no space left on device; training goes on without them") {
		t.Errorf("the message: %s", says)
	}
}

// A disk that is full of decoded pictures, at once or while they are written, costs the
// time to decode them in each epoch, not the run, and nothing stays on it.
func TestFullPictureCache(t *testing.T) {
	dir := pictureFixture(t)
	// The last ones are larger than what the first let expect.
	for i := range 4 {
		writePicture(t, filepath.Join(dir, "own", "cat", fmt.Sprint("z", i, ".png")), 300, 300, uint64(i))
	}
	base := pictureArguments(dir, "-epochs", "1", "-memory", "1")
	whole := launch(t, nil, append(base, "-name", "whole", "-picture-cache", "none")...)
	if code := whole.end(t); code != 0 {
		t.Fatalf("exit %d: %s", code, whole.stderr.String())
	}
	want := outcomeOf(t, filepath.Join(dir, "runs", "whole"))
	for size, says := range map[string]string{
		"4k":    "decoded they take about ",
		"1500k": "no space left on device",
	} {
		t.Run(size, func(t *testing.T) {
			cache := t.TempDir()
			if err := syscall.Mount("tmpfs", cache, "tmpfs", 0, "size="+size); err != nil {
				t.Skip("no right to mount a small file system:", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(cache, 0); err != nil {
					t.Error(err)
				}
			})
			p := launch(t, nil, append(base, "-name", size, "-picture-cache", cache)...)
			code := p.end(t)
			out := p.stdout.String()
			if code != 0 || strings.Count(out, "are decoded in each epoch: ") != 1 ||
				!strings.Contains(out, says) {
				t.Fatalf("exit %d: %s%s", code, out, p.stderr.String())
			}
			if entries, err := os.ReadDir(cache); err != nil || len(entries) != 0 {
				t.Errorf("left over: %v, %v", entries, err)
			}
			outcomeOf(t, filepath.Join(dir, "runs", size)).same(t, want)
		})
	}
}
