package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteReplacesAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	for _, content := range []string{"first", strings.Repeat("second", 100_000), ""} {
		if err := WriteBytes(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		wantOnly(t, path, content)
	}
}

func TestMkdirAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // the second time they are there
		if err := MkdirAll(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Errorf("no folder: %v", err)
	}
	file := filepath.Join(path, "file")
	if err := WriteBytes(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(file, "d")); err == nil ||
		!strings.Contains(err.Error(), "not a directory") {
		t.Errorf("below a file: %v", err)
	}
	t.Chdir(path)
	if err := MkdirAll("d/e"); err != nil {
		t.Error(err)
	}
}

func TestWriteErrorsKeepThePreviousFile(t *testing.T) {
	errFails := errors.New("the source ran dry")
	for name, write := range map[string]func(io.Writer) error{
		"before the first byte": func(io.Writer) error { return errFails },
		"after a part": func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
			return errFails
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "checkpoint")
			if err := WriteBytes(path, []byte("previous")); err != nil {
				t.Fatal(err)
			}
			err := Write(path, write)
			if !errors.Is(err, errFails) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that wraps %q and names %s", err, errFails, path)
			}
			wantOnly(t, path, "previous")
		})
	}
}

func TestWritePanicLeavesNoTemporary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := WriteBytes(path, []byte("previous")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the caller's panic was swallowed")
			}
		}()
		_ = Write(path, func(io.Writer) error { panic("caller's bug") })
	}()
	wantOnly(t, path, "previous")
}

func TestWriteRefusesWhatIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
		t.Skip("this system makes no symbolic links:", err)
	}
	for _, test := range []struct{ path, want string }{
		{"", "empty"},
		{dir, "is a folder"},
		{os.DevNull, "not a regular file"},
		{filepath.Join(dir, "missing", "file"), "cannot write into the folder"},
		{dangling, "points to nothing"},
	} {
		err := WriteBytes(test.path, []byte("x"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("WriteBytes(%q) = %v, want an error with %q", test.path, err, test.want)
		}
	}
}

func TestWriteFollowsLinksAndKeepsPermissions(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Skip("this system makes no symbolic links:", err)
	}
	if err := WriteBytes(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != 0o640 {
		t.Errorf("mode %v, want 0640 as before", got)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "new" {
		t.Errorf("the link's target holds %q (%v), want %q", got, err, "new")
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v (%v)", info.Mode(), err)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model")
	old := time.Now().Add(-2 * StaleAfter)
	for name, aged := range map[string]bool{
		".model.0123456789abcdef.atomic-tmp":  true,
		".model.fedcba9876543210.atomic-tmp":  false, // another process is writing it
		".model2.0123456789abcdef.atomic-tmp": true,  // another file's
		".model.0123.atomic-tmp":              true,  // not a name of ours
		"model.bak":                           true,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if aged {
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := WriteBytes(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".model.0123456789abcdef.atomic-tmp")); !errors.Is(err,
		os.ErrNotExist) {
		t.Errorf("the stale temporary outlived the next Write (%v)", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 { // the four others and the file itself
		t.Errorf("%d entries are left, want 5: %v", len(entries), entries)
	}
	if n, err := RemoveStale(path, 0); n != 1 || err != nil {
		t.Errorf("RemoveStale(age 0) = %d, %v, want 1 removed", n, err)
	}
}

// wantOnly checks that path holds content and its folder nothing else.
func wantOnly(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Errorf("%s holds %d bytes, want %d", path, len(got), len(content))
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("the folder holds %v, want the file alone", entries)
	}
}
