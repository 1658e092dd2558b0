// Package lockfile gives a folder one owner at a time, among the processes of this machine
// and of those that share its disk.
//
// The lock is the operating system's on an open file (flock where there is one), so that
// it ends with its process, however that ends: nothing is guessed from process numbers,
// and nothing is left to clean up. What is written in the file tells others who holds it.
package lockfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Owner is the process that holds a lock.
type Owner struct {
	Process int       `json:"process"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
}

// String says who it is, as "process 12 on host since 2026-01-02 15:04:05".
func (o Owner) String() string {
	if o.Process == 0 {
		return "a process that has not said which" // it has just taken the lock
	}
	return fmt.Sprintf("process %d on %s since %s", o.Process, o.Host, o.Since.Local().
		Format(time.DateTime))
}

// HeldError says that another one has the lock.
type HeldError struct {
	Path  string
	Owner Owner
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s is held by %v", e.Path, e.Owner) }

// ErrUnsupported says that the file system of the path knows no locks.
var ErrUnsupported = errors.New("the file system knows no locks")

// Lock is a lock that is held.
type Lock struct{ file *flock.Flock }

// attempts bounds how often Acquire begins again because the file that it locked was
// removed by its former owner meanwhile.
const attempts = 100

// Acquire takes the lock at the path, of which it makes the folder. It does not wait: its
// error is a *HeldError if another one has it, in this process or in another, and
// ErrUnsupported where there are no locks.
func Acquire(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for range attempts {
		file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o666))
		locked, err := file.TryLock()
		if err != nil {
			if unsupported(err) {
				return nil, fmt.Errorf("%s: %w", path, ErrUnsupported)
			}
			return nil, err
		}
		if !locked {
			return nil, &HeldError{path, readOwner(path)}
		}
		if current(file, path) {
			// Who holds it is told as far as the disk has room for it.
			_ = writeOwner(path)
			return &Lock{file}, nil
		}
		_ = file.Close() // the lock of a file that is gone
	}
	return nil, fmt.Errorf("%s: the file was removed again and again", path)
}

// Release gives the lock up and removes its file.
func (l *Lock) Release() error {
	// Before the lock ends, so that it is not another one's file, unless somebody has
	// removed it. Where a file that is open cannot be removed it stays, and is no harm.
	if current(l.file, l.file.Path()) {
		_ = os.Remove(l.file.Path())
	}
	return l.file.Close()
}

// current reports whether the file that was locked is still the one at the path.
func current(file *flock.Flock, path string) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(locked, there)
}

func readOwner(path string) Owner {
	var owner Owner
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &owner) != nil {
		return Owner{}
	}
	return owner
}

func writeOwner(path string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	raw, err := json.Marshal(Owner{os.Getpid(), host, time.Now().Truncate(time.Second)})
	if err != nil {
		return err
	}
	// Not replaced by another file, which would not be locked.
	return os.WriteFile(path, append(raw, '\n'), 0o666)
}

// unsupported reports an error of a file system without locks.
func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || noLocks(err)
}
