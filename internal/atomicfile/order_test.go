package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// recorded is the system's disk with a record of what was done, in order.
func recorded(dir string) (d disk, done *[]string) {
	done = new([]string)
	real := system()
	inside := func(path string) string {
		if relative, err := filepath.Rel(dir, path); err == nil {
			return relative
		}
		return path
	}
	return disk{
		sync: func(file *os.File) error {
			info, err := file.Stat()
			if err != nil {
				return err
			}
			*done = append(*done, fmt.Sprintf("sync %d bytes", info.Size()))
			return real.sync(file)
		},
		rename: func(from, to string) error {
			*done = append(*done, "rename to "+inside(to))
			return real.rename(from, to)
		},
		syncDir: func(dir string) error {
			*done = append(*done, "sync folder "+inside(dir))
			return real.syncDir(dir)
		},
	}, done
}

// All of the file is flushed before it takes its name, and the folder after it.
func TestTheOrderOfFlushes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	d, done := recorded(dir)
	err := d.write(filepath.Join(dir, "sub", "file"), func(w io.Writer) error {
		_, err := w.Write(make([]byte, 100_000))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"sync 100000 bytes", "rename to sub/file", "sync folder sub"}; !slices.Equal(
		*done, want) {
		t.Errorf("%q, want %q", *done, want)
	}
}

// The folders in which one is made are flushed, the nearest first.
func TestFoldersAreFlushed(t *testing.T) {
	dir := t.TempDir()
	d, done := recorded(dir)
	if err := d.mkdirAll(filepath.Join(dir, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"sync folder a", "sync folder ."}; !slices.Equal(*done, want) {
		t.Errorf("%q, want %q", *done, want)
	}
}

// A file that could not be flushed does not take the place of the one before it.
func TestAFailedFlush(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := WriteBytes(path, []byte("previous")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("input/output error")
	d := system()
	d.sync = func(*os.File) error { return failed }
	if err := d.write(path, func(io.Writer) error { return nil }); !errors.Is(err, failed) {
		t.Error(err)
	}
	wantOnly(t, path, "previous")
}

// The system's disk is asked, and its refusals come back: a file that is closed and a folder
// that is not there cannot be flushed.
func TestTheSystemIsAsked(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	d := system()
	if err := d.sync(file); !errors.Is(err, os.ErrClosed) {
		t.Errorf("flushing a closed file: %v", err)
	}
	if err := d.rename(file.Name()+"-none", file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("renaming no file: %v", err)
	}
	if err := d.syncDir(file.Name() + "-none"); runtime.GOOS == "linux" &&
		!errors.Is(err, os.ErrNotExist) {
		t.Errorf("flushing no folder: %v", err)
	}
}
