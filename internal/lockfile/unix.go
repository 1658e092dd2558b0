//go:build unix

package lockfile

import (
	"errors"
	"syscall"
)

// noLocks reports what file systems answer that have no locks, or no server for them.
func noLocks(err error) bool {
	return errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.ENOSYS) ||
		errors.Is(err, syscall.EOPNOTSUPP)
}
