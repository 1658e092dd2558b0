package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Links in a run's folder are not followed, what killed saves have left is swept, and no run
// lies in another one's checkpoints.
func TestOpeningARun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	dir, _, err := CreateRun(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"weights.safetensors", "checkpoints/step-00000009.safetensors"} {
		link := filepath.Join(path, name)
		if err := os.Symlink(other, link); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRun(path); err == nil || !strings.Contains(err.Error(), link+" is a link") {
			t.Errorf("%s as a link: %v", name, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	const temporary = ".history.csv.0011223344556677.atomic-tmp"
	for _, folder := range dir.folders() {
		if err := os.WriteFile(filepath.Join(folder, temporary), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, ".notes"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	// The run's folder itself may be a link.
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenRun(linked)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Sweep(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range dir.folders() {
		if _, err := os.Lstat(filepath.Join(folder, temporary)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a temporary is left in %s (%v)", folder, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(path, ".notes")); err != nil {
		t.Errorf("what is no temporary is gone: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(path, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(path, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRun(path); err == nil || !strings.Contains(err.Error(), "checkpoints is a link") {
		t.Errorf("checkpoints as a link: %v", err)
	}
	for _, name := range []string{"x/checkpoints", "checkpoints", "checkpoints/x"} {
		if CheckRunName(name) == nil || CheckRunPath(name) == nil {
			t.Errorf("a run is called %s", name)
		}
	}
	if err := CheckRunName("checkpoints2"); err != nil {
		t.Error(err)
	}
}
