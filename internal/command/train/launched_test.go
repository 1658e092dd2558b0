package train

import (
	"strings"
	"testing"

	"slipway/internal/cli"
)

// One of several processes that nobody joins would train the run by itself, over the others' files.
func TestALaunchedProcessThatIsAlone(t *testing.T) {
	dir := fixture(t)
	t.Setenv("OMPI_COMM_WORLD_SIZE", "2")
	t.Setenv("OMPI_COMM_WORLD_RANK", "1")
	code, out, errs := runTrain(t, arguments(dir)...)
	if code != cli.ExitFailure || out != "" ||
		!strings.Contains(errs,
			"one of 2 processes (OMPI_COMM_WORLD_SIZE), each of which would train the same run by itself: give -mpi and -shards") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	t.Setenv("OMPI_COMM_WORLD_SIZE", "1")
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Errorf("one process: exit %d: %s", code, errs)
	}
}

func TestRankFlagsThatDoNotGo(t *testing.T) {
	dir := fixture(t)
	for want, args := range map[string][]string{
		"-mpi-timeout applies to -mpi alone":                     {"-mpi-timeout", "1s"},
		"-mpi-timeout 0s; waiting takes time":                    {"-mpi", "-mpi-timeout", "0s"},
		"-mpi does not go with -find-lr, which one process does": {"-mpi", "-find-lr"},
		"-shards 0; more than 0 is needed":                       {"-shards", "0"},
		"-shards does not apply to -resume: a run keeps its settings": {"-resume", "-name", "x",
			"-shards", "2"},
	} {
		code, _, errs := runTrain(t, append(args, "-data", dir+":train")...)
		if code != cli.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s, want %q", args, code, errs, want)
		}
	}
	code, _, errs := runTrain(t, arguments(dir, "-shards", "3")...)
	if code != cli.ExitUsage || !strings.Contains(errs, "3 shards; their number is a power of two") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
