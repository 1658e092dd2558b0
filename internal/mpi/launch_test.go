package mpi

import (
	"slices"
	"testing"
)

func TestLaunched(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		want        Launch
	}{
		"by itself": {nil, Launch{}},
		"mpirun of Open MPI": {map[string]string{"OMPI_COMM_WORLD_SIZE": "4",
			"OMPI_COMM_WORLD_RANK": "2"}, Launch{"OMPI_COMM_WORLD_SIZE", 4, 2}},
		"mpiexec of MPICH": {map[string]string{"PMI_SIZE": "2", "PMI_RANK": "1"},
			Launch{"PMI_SIZE", 2, 1}},
		"srun": {map[string]string{"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8",
			"SLURM_NTASKS": "8", "SLURM_PROCID": "5"}, Launch{"SLURM_STEP_NUM_TASKS", 8, 5}},
		"srun of an old Slurm": {map[string]string{"SLURM_STEP_ID": "0", "SLURM_NTASKS": "8",
			"SLURM_PROCID": "5"}, Launch{"SLURM_NTASKS", 8, 5}},
		"a job's script": {map[string]string{"SLURM_NTASKS": "8", "SLURM_PROCID": "0",
			"SLURM_JOB_ID": "7"}, Launch{}},
		"a PMIx launcher":        {map[string]string{"PMIX_RANK": "3"}, Launch{"PMIX_RANK", 4, 3}},
		"what is not understood": {map[string]string{"PMI_SIZE": "many"}, Launch{}},
	} {
		if got := Launched(func(key string) string { return c.environment[key] }); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLibraries(t *testing.T) {
	for want, environment := range map[string]map[string]string{
		"libmpi.so.40":      nil,
		"libmpich.so.12":    {"PMI_SIZE": "2"},
		"/opt/mpi/libmpi.x": {"PMI_SIZE": "2", LibraryVariable: "/opt/mpi/libmpi.x"},
	} {
		got := libraries(func(key string) string { return environment[key] })
		if got[0] != want || environment[LibraryVariable] == "" &&
			!slices.Contains(got, "libmpi_abi.so.1") {
			t.Errorf("%v: %v, want %s first", environment, got, want)
		}
	}
}

// The launchers say which of a machine's processes one is; a batch job's script is none of several.
func TestLocalRank(t *testing.T) {
	for _, c := range []struct {
		environment map[string]string
		want        int
		known       bool
	}{
		{map[string]string{"OMPI_COMM_WORLD_LOCAL_RANK": "3", "OMPI_COMM_WORLD_RANK": "11"}, 3, true},
		{map[string]string{"MPI_LOCALRANKID": "1", "PMI_RANK": "5"}, 1, true},
		{map[string]string{"SLURM_LOCALID": "2", "SLURM_PROCID": "6"}, 2, true},
		{map[string]string{"PMI_RANK": "5"}, 0, false},
		{map[string]string{"MPI_LOCALRANKID": "-1"}, 0, false},
	} {
		got, known := LocalRank(func(key string) string { return c.environment[key] })
		if got != c.want || known != c.known {
			t.Errorf("%v: %d, %t, want %d, %t", c.environment, got, known, c.want, c.known)
		}
	}
}
