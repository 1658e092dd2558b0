package kernel

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/cpu"
)

// tilesAMX computes products of bfloat16; see tileArgs.
//
//go:noescape
func tilesAMX(args *byte)

// Linux lets a process use AMX that has asked for its registers, 8 KB a thread (arch_prctl(2)).
const archRequestState, stateOfTiles = 0x1023, 18

// tilesOfCPU returns the product of tiles, nil where the CPU has none. permitTiles comes first.
func tilesOfCPU() func(args *byte) {
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXBF16 {
		return nil
	}
	return tilesAMX
}

// permitTiles asks Linux to let this process use tiles. It is asked where they are wanted alone:
// from then on signals take larger stacks in all threads, and a sandbox may forbid to ask.
func permitTiles() error {
	if _, _, failed := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archRequestState, stateOfTiles,
		0); failed != 0 {
		return fmt.Errorf("the system does not let this process use it (arch_prctl): %w", failed)
	}
	return nil
}
