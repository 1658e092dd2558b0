//go:build unix

package infer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What another user can put another file in the place of is not loaded: any folder on the way, the
// file itself, and what a link leads to.
func TestPathsThatOthersCanChange(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(top, "a", "b", "lib")
	file, link := filepath.Join(folder, "libonnxruntime.so"), filepath.Join(top, "link")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(top, "a"), link); err != nil {
		t.Fatal(err)
	}
	through := filepath.Join(link, "b", "lib", "libonnxruntime.so")
	for _, path := range []string{file, through} {
		if real, err := trusted(path); err != nil || real != file {
			t.Errorf("our own: %s is %q: %v", path, real, err)
		}
	}
	for _, place := range []string{file, folder, filepath.Join(top, "a"), top} {
		info, err := os.Stat(place)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(place, info.Mode().Perm()|0o002); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, through} {
			_, err := trusted(path)
			if err == nil ||
				!strings.Contains(err.Error(), filepath.Base(place)+" can be written to by other users") {
				t.Errorf("%s of all: %v", place, err)
			}
		}
		if err := os.Chmod(place, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
		const somebody = 54321
		if err := os.Lchown(place, somebody, -1); err != nil {
			t.Logf("only root gives a file away: %v", err)
			continue
		}
		for _, path := range []string{file, through} {
			if _, err := trusted(path); err == nil ||
				!strings.Contains(err.Error(), filepath.Base(place)+" is another user's") {
				t.Errorf("%s of another user: %v", place, err)
			}
		}
		if err := os.Lchown(place, os.Geteuid(), -1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := trusted(filepath.Join(top, "missing")); err == nil {
		t.Error("a file that is not there is trusted")
	}
}
