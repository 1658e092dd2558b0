// Package mpitest starts the ranks of tests under the launchers that scripts/setup-mpi brings.
package mpitest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"slipway/internal/mpi"
)

// Library is one that scripts/setup-mpi brings, with its launcher.
type Library struct {
	// Name is also that of its binary interface.
	Name, Launcher, File string
}

// All reports whether all libraries and faults are to be tried, which takes a minute: make mpi-test
// does.
func All() bool { return os.Getenv("SLIPWAY_MPI_TESTS") == "all" }

// Libraries returns those that are here, the first of them unless All: Open MPI, MPICH, and MPICH
// by the standard's binary interface. It skips the test where none is.
func Libraries(t *testing.T) []Library {
	t.Helper()
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(moduleRoot(working), ".cache", "mpi")
	var here []Library
	for _, l := range []Library{
		{"Open MPI", "openmpi/bin/mpirun", "openmpi/lib/libmpi.so.40"},
		{"MPICH", "mpich/bin/mpiexec", "mpich/lib/libmpi.so.12"},
		{"standard", "mpich/bin/mpiexec", "mpich/lib/libmpi_abi.so.1"},
	} {
		l.Launcher, l.File = filepath.Join(root, l.Launcher), filepath.Join(root, l.File)
		if _, err := os.Stat(l.Launcher); err == nil {
			here = append(here, l)
		}
	}
	if len(here) == 0 {
		t.Skipf("no MPI in %s; scripts/setup-mpi brings it", root)
	}
	if !All() {
		here = here[:1]
	}
	return here
}

// moduleRoot returns the folder above one that has go.mod.
func moduleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// Rank is what a shell of a rank has its number as.
const Rank = "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"

// Command returns the launcher's command for so many ranks of a program, with that in the
// environment beside this process's. It ends with the test, after some minutes at most.
func (l Library) Command(t *testing.T, ranks int, environment []string,
	program ...string) *exec.Cmd {
	t.Helper()
	args := []string{"-n", strconv.Itoa(ranks)}
	if l.Name == "Open MPI" {
		args = append(args, "--oversubscribe", "--bind-to", "none", "--mca", "btl_tcp_if_include", "lo")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, l.Launcher, append(args, program...)...)
	command.Env = append(append(os.Environ(), mpi.LibraryVariable+"="+l.File,
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1"), environment...)
	command.WaitDelay = time.Second
	return command
}
