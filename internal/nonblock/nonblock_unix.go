//go:build unix

package nonblock

import "syscall"

// Flag opens a pipe without waiting for its other end, as a flag of os.OpenFile.
const Flag = syscall.O_NONBLOCK
