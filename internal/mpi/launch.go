package mpi

import (
	"strconv"
)

// LibraryVariable names the environment variable with the file of the MPI library to load. Without
// it the system's loader looks for the names that Open MPI and MPICH have.
const LibraryVariable = "SLIPWAY_MPI"

// Launch is what a launcher told this process. The zero value is of a process that was started by
// itself.
type Launch struct {
	// By is the environment variable that says so.
	By string
	// Size is the number of processes, at least what is known of it, and Rank this one's number.
	Size, Rank int
}

// Launched returns what the environment says of a launcher.
func Launched(getenv func(string) string) Launch {
	// Slurm sets the tasks' number for a whole job as well, whose script is one process: a step alone
	// has a number of its own.
	for _, names := range [][2]string{
		{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
		{"PMI_SIZE", "PMI_RANK"},
		{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
	} {
		size, err := strconv.Atoi(getenv(names[0]))
		if err != nil {
			continue
		}
		rank, err := strconv.Atoi(getenv(names[1]))
		if err != nil {
			rank = 0
		}
		return Launch{names[0], size, rank}
	}
	if getenv("SLURM_STEP_ID") != "" {
		if size, err := strconv.Atoi(getenv("SLURM_NTASKS")); err == nil {
			rank, _ := strconv.Atoi(getenv("SLURM_PROCID"))
			return Launch{"SLURM_NTASKS", size, rank}
		}
	}
	if rank, err := strconv.Atoi(getenv("PMIX_RANK")); err == nil {
		return Launch{"PMIX_RANK", rank + 1, rank}
	}
	return Launch{}
}

// LocalRank returns this process's number among those of the launcher's on its machine, from 0 on,
// and whether the environment says it: Open MPI's launcher does, Hydra (MPICH, Intel MPI), Slurm,
// MVAPICH and Cray PALS.
func LocalRank(getenv func(string) string) (int, bool) {
	for _, name := range []string{"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
		"MV2_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID", "PMI_LOCAL_RANK", "SLURM_LOCALID"} {
		if local, err := strconv.Atoi(getenv(name)); err == nil && local >= 0 {
			return local, true
		}
	}
	return 0, false
}

// libraries returns the names of libraries to try, in order.
func libraries(getenv func(string) string) []string {
	if own := getenv(LibraryVariable); own != "" {
		return []string{own}
	}
	open, mpich := []string{"libmpi.so.40"}, []string{"libmpich.so.12", "libmpi.so.12"}
	if getenv("PMI_SIZE") != "" && getenv("PMIX_RANK") == "" { // MPICH's launcher
		return append(append(mpich, "libmpi_abi.so.1", "libmpi_abi.so.0"), open...)
	}
	return append(append(open, mpich...), "libmpi_abi.so.1", "libmpi_abi.so.0")
}
