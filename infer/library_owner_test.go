//go:build unix

package infer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLibrariesOfOthersAreNotLoaded: a folder above the working one may be anybody's,
// as /tmp/.cache is.
func TestLibrariesOfOthersAreNotLoaded(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(top, ".cache")
	folder, working := filepath.Join(cache, "onnxruntime"), filepath.Join(top, "project")
	for _, dir := range []string{folder, working} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(working)
	found := func() (taken bool, refused string) {
		places := cacheFolders()
		for _, err := range places.refused {
			refused += err.Error()
		}
		return slices.ContainsFunc(places.folders, func(f cacheFolder) bool { return f.path == folder }), refused
	}
	if taken, refused := found(); !taken || strings.Contains(refused, folder) {
		t.Errorf("our own: taken %v, refused %q", taken, refused)
	}
	for _, theirs := range []string{folder, cache} {
		const somebody = 54321
		if err := os.Chown(theirs, somebody, -1); err != nil {
			t.Skipf("only root gives a folder away: %v", err)
		}
		if taken, refused := found(); taken || !strings.Contains(refused, folder) || !strings.Contains(refused, LibraryVariable) {
			t.Errorf("%s of another user: taken %v, refused %q", theirs, taken, refused)
		}
		if err := os.Chown(theirs, os.Geteuid(), -1); err != nil {
			t.Fatal(err)
		}
	}
}
