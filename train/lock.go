package train

import (
	"errors"
	"fmt"
	"path/filepath"

	"slipway/internal/lockfile"
)

// BusyError says that another process trains the run.
type BusyError struct {
	// Path is the run's folder, Owner the process that holds its lock.
	Path, Owner string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf(
		"another train is at work in %s: %s; wait until it has ended, or give this run another name",
		e.Path, e.Owner)
}

// ErrNoLocks is returned by LockRun where the file system knows no locks: nothing keeps
// two processes from training the run.
var ErrNoLocks = errors.New(
	"the file system knows no locks: train no run of that name elsewhere meanwhile")

// LockRun makes this process the owner of a run's folder, which need not be there yet, until
// release is called or the process ends. Whoever creates, moves or trains a run has its
// lock. The error is a *BusyError if another one does.
//
// The lock's file lies beside the folder, which may be moved aside: runs/.e1.lock.
func LockRun(path string) (release func() error, err error) {
	dir, base := filepath.Split(filepath.Clean(path))
	lock, err := lockfile.Acquire(filepath.Join(dir, "."+base+".lock"))
	var held *lockfile.HeldError
	switch {
	case errors.As(err, &held):
		return nil, &BusyError{path, held.Owner.String()}
	case errors.Is(err, lockfile.ErrUnsupported):
		return nil, fmt.Errorf("%s: %w", path, ErrNoLocks)
	case err != nil:
		return nil, fmt.Errorf("lock the run %s: %w", path, err)
	}
	return lock.Release, nil
}
