package cli

import (
	"fmt"
	"runtime"
)

// MostThreads is the largest number of threads that a command takes: more than cores are
// of use to nobody, and very many end in the system's refusal to start them.
func MostThreads() int {
	const perCore, always = 4, 64
	return max(perCore*runtime.NumCPU(), always)
}

// CheckThreads reports a number of threads that is out of range; 0 stands for a default.
func CheckThreads(threads int) error {
	switch most := MostThreads(); {
	case threads < 0:
		return fmt.Errorf("-threads %d is negative", threads)
	case threads > most:
		return fmt.Errorf("-threads %d is more than %d, the most for the %d cores of this machine",
			threads, most, runtime.NumCPU())
	}
	return nil
}
