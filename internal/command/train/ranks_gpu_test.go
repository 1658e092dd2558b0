//go:build gpu && linux && amd64

package train

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/cuda/simulator"
	"slipway/internal/mpi/mpitest"
)

// onSimulatedGPUs has ranks that are started find so many simulated GPUs on their machine.
func onSimulatedGPUs(t *testing.T, number string) {
	t.Helper()
	library := os.Getenv(simulator.Variable)
	for _, variable := range []string{"SLIPWAY_CUDA_DRIVER", "SLIPWAY_CUDNN", "SLIPWAY_CUBLAS",
		"SLIPWAY_CUBLASLT", "SLIPWAY_NCCL"} {
		t.Setenv(variable, library)
	}
	t.Setenv(simulator.DevicesVariable, number)
}

// Two processes under a launcher, each on a GPU of its own, come to the bits of one process on one
// GPU; one of them writes and prints. They are saved by two and go on as one, and the reverse.
func TestCUDARanksHaveTheBitsOfOne(t *testing.T) {
	execute := simulated(t)
	l := mpitest.Libraries(t)[0]
	dir := fixture(t)
	settings := []string{"-device", "cuda", "-shards", "4", "-epochs", "3", "-clip-norm", "1"}
	if code, output := execute(arguments(dir, append(settings, "-name",
		"alone")...)...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, output)
	}
	onSimulatedGPUs(t, "2")
	together := func(args ...string) string {
		t.Helper()
		job := startRanks(t, l, 2, "", append(args, "-mpi", "-threads", "1")...)
		if err := job.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, job.output.String())
		}
		return job.output.String()
	}
	output := together(arguments(dir, append(settings, "-name", "two")...)...)
	for _, want := range []string{"rank 0 of 2, ", "engine cuda, device cuda:0 (simulated",
		"Stopped: 3 epochs are done."} {
		if strings.Count(output, want) != 1 {
			t.Errorf("the output has %q %d times\n%s", want, strings.Count(output, want), output)
		}
	}
	want := trainedWeights(t, dir, "alone")
	if !bytes.Equal(trainedWeights(t, dir, "two"), want) {
		t.Error("two ranks have other weights")
	}
	if got, want := testFigures(t, dir, "two"), testFigures(t, dir, "alone"); got != want {
		t.Errorf("two ranks: %s, want %s", got, want)
	}

	// One begins and two go on, and the reverse.
	short := append(settings[:4:4], "-epochs", "1", "-clip-norm", "1")
	if code, output := execute(arguments(dir, append(short, "-name",
		"begun")...)...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, output)
	}
	resume := func(name string) []string {
		return []string{"-resume", "-name", name, "-runs", filepath.Join(dir, "runs"), "-epochs", "3",
			"-test", "none", "-device", "cuda"}
	}
	together(resume("begun")...)
	together(arguments(dir, append(short, "-name", "left")...)...)
	if code, output := execute(resume("left")...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, output)
	}
	for _, name := range []string{"begun", "left"} {
		if !bytes.Equal(trainedWeights(t, dir, name), want) {
			t.Errorf("%s: the weights are others", name)
		}
	}
}

// A rank that is asked to stop has both saved, in the middle of an epoch, and the run goes on.
func TestCUDARanksAreInterrupted(t *testing.T) {
	execute := simulated(t)
	l := mpitest.Libraries(t)[0]
	dir := fixture(t)
	onSimulatedGPUs(t, "2")
	run := func(name string, epochs int) []string {
		return arguments(dir, "-device", "cuda", "-shards", "2", "-epochs", fmt.Sprint(epochs), "-name",
			name, "-checkpoint-every", "1")
	}
	job := startRanks(t, l, 2, "", append(run("stopped", 500), "-mpi", "-threads", "1")...)
	waitForCheckpoint(t, filepath.Join(dir, "runs", "stopped"))
	job.signal(t, 1, syscall.SIGTERM)
	err := job.Wait()
	if err == nil || !strings.Contains(job.output.String(), "its state is saved in") {
		t.Fatalf("%v\n%s", err, job.output.String())
	}
	code, output := execute("-resume", "-name", "stopped", "-runs", filepath.Join(dir, "runs"),
		"-epochs", "1", "-test", "none", "-device", "cuda")
	if code != cli.ExitOK || !strings.Contains(output, "going on from ") {
		t.Errorf("exit %d: %s", code, output)
	}
}

// More ranks than a machine has GPUs are refused by all that have none, and so are two on one GPU.
func TestMoreCUDARanksThanGPUs(t *testing.T) {
	simulated(t)
	l := mpitest.Libraries(t)[0]
	dir := fixture(t)
	for gpus, want := range map[string]string{
		"1": "ranks 0 and 1 have the same GPU, ",
		"3": "this is process 3 of this machine, counted from 0, and the driver shows 3 GPUs; " +
			"start at most 3 on a machine",
	} {
		onSimulatedGPUs(t, gpus)
		ranks := 2
		if gpus == "3" {
			ranks = 4
		}
		job := startRanks(t, l, ranks, "", arguments(dir, "-device", "cuda", "-shards", "4", "-epochs",
			"1", "-mpi", "-threads", "1")...)
		if err := job.Wait(); err == nil || !strings.Contains(job.output.String(), want) {
			t.Errorf("%s GPUs: %v, want %q\n%s", gpus, err, want, job.output.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
		t.Error("a run was begun all the same")
	}
}
