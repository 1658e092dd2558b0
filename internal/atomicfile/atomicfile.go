// Package atomicfile replaces a file as a whole or not at all.
//
// The new content goes to a temporary file in the same folder, is flushed to
// the disk, and takes the old file's name by rename(2), which POSIX makes
// atomic. Until then the old file is untouched: a write error, a full disk or
// a killed process leaves it as it was.
package atomicfile

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// StaleAfter is the age from which a temporary file is taken for one left by
// a killed process: a running Write keeps modifying its own.
const StaleAfter = time.Hour

// A temporary of NAME is called .NAME.XXXXXXXXXXXXXXXX.atomic-tmp, X a hex digit.
const (
	tempSuffix = ".atomic-tmp"
	tempRandom = 8
)

// Write replaces the file at path by what write writes.
//
// On an error before the rename the previous file, if any, is whole and no
// temporary is left. The one error after it, a failed flush of the folder,
// says that the new content is in place but may not survive a power cut.
// A symbolic link is followed; an existing file keeps its permissions; what
// is not a regular file (a folder, a device) is refused. Temporaries of the
// same path older than StaleAfter are removed.
func Write(path string, write func(io.Writer) error) error {
	return system().write(path, write)
}

// disk is what makes a change last, and in which order: a test looks at it, since only a
// power cut would show what is missing.
type disk struct {
	sync    func(file *os.File) error
	rename  func(from, to string) error
	syncDir func(dir string) error
}

// system is the operating system's disk.
func system() disk { return disk{(*os.File).Sync, os.Rename, syncDir} }

func (d disk) write(path string, write func(io.Writer) error) error {
	target, perm, err := resolve(path)
	if err != nil {
		return err
	}
	// Best effort: a leftover that cannot be removed must not stop the save.
	_, _ = RemoveStale(target, StaleAfter)

	temp, err := create(target)
	if err != nil {
		return fmt.Errorf("%s: cannot write into the folder: %w", path, err)
	}
	renamed := false
	defer func() {
		if !renamed { // also reached when write panics
			temp.Close()
			os.Remove(temp.Name())
		}
	}()

	buffered := bufio.NewWriterSize(temp, 1<<16)
	if err := write(buffered); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, withoutTempName(err))
	}
	if perm != nil {
		if err := temp.Chmod(*perm); err != nil {
			return fmt.Errorf("write %s: %w", path, withoutTempName(err))
		}
	}
	if err := d.sync(temp); err != nil {
		return fmt.Errorf("flush %s to the disk: %w", path, withoutTempName(err))
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("close %s: %w", path, withoutTempName(err))
	}
	if err := d.rename(temp.Name(), target); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	renamed = true
	if err := d.syncDir(filepath.Dir(target)); err != nil {
		return fmt.Errorf(
			"%s is written, but its folder could not be flushed and a power cut may undo it: %w", path, err)
	}
	return nil
}

// WriteBytes replaces the file at path by data, as Write does.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// SyncDir makes the names in a folder last through a crash, as those of files that were made in it.
func SyncDir(path string) error { return syncDir(path) }

// MkdirAll makes a folder and those above it that are missing, as os.MkdirAll does, and
// flushes the folders in which it made one, so that they survive a power cut.
func MkdirAll(path string) error { return system().mkdirAll(path) }

func (d disk) mkdirAll(path string) error {
	var changed []string
	for dir := filepath.Clean(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break // os.MkdirAll says what else is wrong
		}
		changed = append(changed, filepath.Dir(dir))
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	for _, dir := range changed {
		if err := d.syncDir(dir); err != nil {
			return fmt.Errorf(
				"%s is made, but the folder that it is in could not be flushed and a power cut may undo it: %w",
				path, err)
		}
	}
	return nil
}

// RemoveStale removes the temporaries of path that have not been modified for
// at least age, and says how many it removed.
func RemoveStale(path string, age time.Duration) (int, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var removed int
	var errs []error
	for _, entry := range entries {
		if !isTemp(entry.Name(), base) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // its owner has just renamed it
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !info.Mode().IsRegular() || time.Since(info.ModTime()) < age {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// resolve follows symbolic links to the file that is to be replaced and
// returns its permissions, nil when there is none yet.
func resolve(path string) (target string, perm *fs.FileMode, err error) {
	if path == "" {
		return "", nil, errors.New("atomicfile: the file name is empty")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, linkErr := os.Lstat(path); linkErr == nil {
			return "", nil, fmt.Errorf(
				"%s: the symbolic link points to nothing; remove it or make its target", path)
		}
		return path, nil, nil
	case err != nil:
		return "", nil, err
	case info.IsDir():
		return "", nil, fmt.Errorf("%s is a folder; give a file's name", path)
	case !info.Mode().IsRegular():
		// Renaming over /dev/null as root would replace the device.
		return "", nil, fmt.Errorf("%s is not a regular file (%s); give a file's name", path, info.Mode().
			Type())
	}
	target, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", nil, err
	}
	mode := info.Mode().Perm()
	return target, &mode, nil
}

// create makes the temporary with the permissions that the umask leaves,
// which os.CreateTemp does not.
func create(target string) (*os.File, error) {
	var random [tempRandom]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	dir, base := filepath.Split(target)
	name := filepath.Join(dir, "."+base+"."+hex.EncodeToString(random[:])+tempSuffix)
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func isTemp(name, base string) bool {
	random, ok := strings.CutPrefix(name, "."+base+".")
	if !ok {
		return false
	}
	random, ok = strings.CutSuffix(random, tempSuffix)
	if !ok || len(random) != 2*tempRandom {
		return false
	}
	_, err := hex.DecodeString(random)
	return err == nil
}

// withoutTempName drops the temporary's name, which means nothing to the
// reader of the message and no longer exists.
func withoutTempName(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// IsTemporary reports whether a file's name is that of a temporary, which a killed
// process may have left.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, tempSuffix)
}
