//go:build unix && cgo

package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/cli"
	"slipway/internal/kernel"
	"slipway/internal/mpi/mpitest"
	"slipway/train"
)

// job is the command under an MPI launcher.
type job struct {
	*exec.Cmd
	dir    string
	output lockedBuffer
}

// startRanks starts ranks of the command. The shell lines before see "$@", the arguments, and
// $rank; each rank's process is found by its file in the folder.
func startRanks(t *testing.T, l mpitest.Library, ranks int, before string, args ...string) *job {
	t.Helper()
	j := &job{dir: t.TempDir()}
	script := "rank=" + mpitest.Rank + "; echo $$ >" + cli.ShellLine(j.dir) + "/$rank.tmp; mv " +
		cli.ShellLine(j.dir) + "/$rank.tmp " + cli.ShellLine(j.dir) + "/$rank\n" + before + "\nexec " +
		cli.ShellLine(os.Args[0]) + ` "$@"`
	program := append([]string{"sh", "-c", script, "sh"}, args...)
	j.Cmd = l.Command(t, ranks, []string{actAsTrain + "=1"}, program...)
	j.Stdout, j.Stderr = &j.output, &j.output
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

// signal sends a signal to a rank.
func (j *job) signal(t *testing.T, rank int, signal syscall.Signal) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(j.dir, strconv.Itoa(rank)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id, signal); err != nil {
		t.Log(err) // it may have ended
	}
}

// waitForCheckpoint waits until a run has saved one.
func waitForCheckpoint(t *testing.T, run string) {
	t.Helper()
	for {
		if paths, _ := filepath.Glob(filepath.Join(run, "checkpoints/step-*.safetensors")); len(
			paths) > 0 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("no checkpoint comes")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// trainedWeights are the bytes of the weights that a run came to.
func trainedWeights(t *testing.T, dir, name string) []byte {
	t.Helper()
	return read(t, filepath.Join(dir, "runs", name, "weights.safetensors"))
}

// testFigures are what a run's weights were worth on the test set, epoch by epoch and at the end.
func testFigures(t *testing.T, dir, name string) string {
	t.Helper()
	var history []train.Epoch
	if err := json.Unmarshal(read(t, filepath.Join(dir, "runs", name, "history.json")),
		&history); err != nil {
		t.Fatal(err)
	}
	text := string(read(t, filepath.Join(dir, "runs", name, "metrics.json")))
	for _, epoch := range history {
		if epoch.TestAccuracy == nil {
			t.Fatalf("%s: epoch %d was not tested", name, epoch.Epoch)
		}
		text += fmt.Sprint(" ", *epoch.TestAccuracy)
	}
	return text
}

// Two processes under each library come to the bits of one; one of them writes and prints. The
// second network is normalised over the whole batch: the processes meet at each of its layers.
func TestMPIRunsHaveTheBitsOfOne(t *testing.T) {
	libraries := mpitest.Libraries(t)
	dir := fixture(t)
	normalised := filepath.Join(dir, "normalised.yaml")
	if err := os.WriteFile(normalised, []byte("name: normalised\ninput: [1, 8, 8]\nlayers:\n"+
		"- conv2d: {filters: 8, kernel: 3, no_bias: true}\n- batchnorm: {}\n- relu\n"+
		"- conv2d: {filters: 8, kernel: 3, no_bias: true}\n- batchnorm: {}\n- relu\n"+
		"- globalavgpool\n- flatten\n- dropout: {p: 0.2}\n- dense: {units: 10}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for network, more := range map[string][]string{"tiny": nil,
		"normalised": {"-network", normalised}} {
		settings := append([]string{"-shards", "4", "-epochs", "3", "-clip-norm", "1", "-mixup", "0.5"},
			more...)
		alone := network + "-alone"
		code, _, errs := runTrain(t, arguments(dir, append(settings, "-name", alone)...)...)
		if code != cli.ExitOK {
			t.Fatal(errs)
		}
		for _, l := range libraries {
			for _, ranks := range []int{2, 4} {
				if ranks > 2 && !mpitest.All() {
					continue
				}
				name := fmt.Sprint(network, strings.ReplaceAll(l.Name, " ", ""), ranks)
				job := startRanks(t, l, ranks, "",
					arguments(dir, append(settings, "-mpi", "-threads", "1", "-name", name)...)...)
				err := job.Wait()
				output := job.output.String()
				if err != nil || strings.Count(output, "Stopped: 3 epochs are done.") != 1 ||
					!strings.Contains(output, fmt.Sprintf("rank 0 of %d, ", ranks)) {
					t.Errorf("%s, %s, %d ranks: %v\n%s", network, l.Name, ranks, err, output)
					continue
				}
				if !bytes.Equal(trainedWeights(t, dir, name), trainedWeights(t, dir, alone)) {
					t.Errorf("%s, %s, %d ranks: the weights are others", network, l.Name, ranks)
				}
				// Each tests its share.
				if got, want := testFigures(t, dir, name), testFigures(t, dir, alone); got != want {
					t.Errorf("%s, %s, %d ranks: %s, want %s", network, l.Name, ranks, got, want)
				}
			}
		}
	}
}

// A signal to one rank stops all, and a rank that is killed ends all; one process, or several, go
// on to the bits of an unbroken run.
func TestMPIRunsAreBrokenOffAndResumed(t *testing.T) {
	libraries := mpitest.Libraries(t)
	dir := fixture(t)
	for _, l := range libraries {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			if signal == syscall.SIGKILL && !mpitest.All() {
				continue
			}
			name := fmt.Sprint(strings.ReplaceAll(l.Name, " ", ""), int(signal))
			// A run of many epochs, so that it is not over before.
			job := startRanks(t, l, 2, "", arguments(dir, "-shards", "4", "-epochs", "100000", "-mpi",
				"-threads", "1", "-name", name)...)
			waitForCheckpoint(t, filepath.Join(dir, "runs", name))
			job.signal(t, 1, signal)
			err := job.Wait()
			output := job.output.String()
			if err == nil || signal == syscall.SIGTERM &&
				!strings.Contains(output, "training was interrupted; its state is saved in ") {
				t.Fatalf("%s, %v: %v\n%s", l.Name, signal, err, output)
			}
			done := lastStep(t, filepath.Join(dir, "runs", name))
			t.Logf("%s: %v after step %d", l.Name, signal, done)
			// What is compared is the run up to the same step: it goes on for as many epochs.
			epochs := strconv.Itoa(done/12 + 2)
			if code, _, errs := runTrain(t, arguments(dir, "-shards", "4", "-epochs", epochs, "-name",
				"until-"+name)...); code != cli.ExitOK {
				t.Fatal(errs)
			}
			resumption := startRanks(t, l, 4, "", "-resume", "-name", name, "-runs", dir+"/runs", "-test",
				dir+":t10k", "-epochs", epochs, "-mpi", "-threads", "1")
			if err := resumption.Wait(); err != nil {
				t.Fatalf("%s: %v\n%s", l.Name, err, resumption.output.String())
			}
			if !bytes.Equal(trainedWeights(t, dir, name), trainedWeights(t, dir, "until-"+name)) {
				t.Errorf("%s, %v: the weights of the resumed run are others", l.Name, signal)
			}
		}
	}
}

// lastStep is the number of steps in a run's newest checkpoint.
func lastStep(t *testing.T, run string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(run, "checkpoints/step-*.safetensors"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no checkpoint: %v", err)
	}
	name := strings.TrimSuffix(filepath.Base(paths[len(paths)-1]), ".safetensors")
	step, err := strconv.Atoi(strings.TrimPrefix(name, "step-"))
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// What is wrong with a job, or with one rank, ends it with a clear error and no hang.
func TestMPIFaults(t *testing.T) {
	l := mpitest.Libraries(t)[0]
	if !mpitest.All() {
		t.Skip("each fault takes seconds: make mpi-test")
	}
	dir := fixture(t)
	other := fixture(t)
	images := read(t, filepath.Join(other, "train-images-idx3-ubyte"))
	images[len(images)-1] ^= 1
	writeFile(t, filepath.Join(other, "train-images-idx3-ubyte"), images)
	// Arguments that come again count. No rank ends before it has joined: Open MPI 5.0.11's launcher
	// can hang then.
	for name, fault := range map[string]struct {
		ranks  int
		before string
		args   []string
		want   string
	}{
		"mixed kernels": {2, "[ $rank = 0 ] || export " + kernel.EnvironmentVariable + "=portable", nil,
			"and portable on rank 1"},
		"other flags": {2, `[ $rank = 0 ] || set -- "$@" -lr 0.5`, nil,
			"setting optimizer.learning_rate is 0.001 on rank 0 and 0.5 on rank 1"},
		"other data": {2, `[ $rank = 0 ] || set -- "$@" -data ` + cli.ShellLine(other+":train"), nil,
			"training set is "},
		"three ranks": {3, "", nil, "3 ranks cannot share shards"},
		"no shards":   {2, "", []string{"-shards", "1"}, "2 ranks, and batches that are not dealt"},
		"no folder":   {2, `[ $rank = 1 ] || set -- "$@" -runs /dev/null/runs`, nil, "/dev/null/runs"},
	} {
		t.Run(name, func(t *testing.T) {
			args := arguments(dir, "-epochs", "100000", "-threads", "1", "-shards", "4", "-mpi", "-name",
				"faulty")
			job := startRanks(t, l, fault.ranks, fault.before, append(args, fault.args...)...)
			if err := job.Wait(); err == nil || !strings.Contains(job.output.String(), fault.want) {
				t.Errorf("%v, want %q:\n%s", err, fault.want, job.output.String())
			}
		})
	}
	t.Run("a rank that hangs", func(t *testing.T) {
		args := arguments(dir, "-epochs", "100000", "-threads", "1", "-shards", "4", "-mpi", "-name",
			"hanging", "-mpi-timeout", "3s")
		job := startRanks(t, l, 2, "", args...)
		waitForCheckpoint(t, filepath.Join(dir, "runs", "hanging"))
		job.signal(t, 1, syscall.SIGSTOP)
		if err := job.Wait(); err == nil || !strings.Contains(job.output.String(),
			"rank 1 has not answered for 3s") {
			t.Errorf("%v:\n%s", err, job.output.String())
		}
	})
}
