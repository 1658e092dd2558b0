//go:build unix

package scaling

import (
	"syscall"
	"time"
)

// processorTime is what this process has computed for. Where other processes are on the cores it
// says more of a step than the time that has passed.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
