//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Used is the time that all threads of this process have computed, in the program and in the system
// for it.
func Used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
