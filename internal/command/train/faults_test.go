//go:build unix

package train

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway/train"
)

// process is the command as a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr lockedBuffer
	ended          chan struct{}
}

// launch starts the command. change, if it is not nil, sees it before it starts.
func launch(t *testing.T, change func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...),
		ended: make(chan struct{})}
	p.Env = append(os.Environ(), actAsTrain+"=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if change != nil {
		change(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the exit code says how it ended
		close(p.ended)
	}()
	return p
}

// end waits for the process and returns its exit code. One that died of a signal before
// it could ask for it has the code that a shell gives it.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(2 * time.Minute):
		t.Fatalf("the command does not end: %s%s", p.stdout.String(), p.stderr.String())
	}
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.ProcessState.ExitCode()
}

// await waits until the condition holds, which it must before the process ends.
func (p *process) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.ended:
			if condition() {
				return
			}
			t.Fatalf("the command ended before %s: %s%s", what, p.stdout.String(), p.stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s after two minutes: %s%s", what, p.stdout.String(), p.stderr.String())
		}
	}
}

// epochsSaved returns how many epochs the newest checkpoint has, -1 if there is none.
func epochsSaved(t *testing.T, run string) int {
	t.Helper()
	dir, err := train.OpenRun(run)
	if err != nil {
		return -1
	}
	checkpoint, _, damaged, err := dir.Latest()
	if len(damaged) > 0 {
		t.Errorf("damaged: %v", damaged)
	}
	if err != nil {
		return -1
	}
	return checkpoint.Progress.Epochs
}

const endless = "1000000"

// Whatever happens to a run, the epochs that it has finished are on the disk, and what it
// says tells what to do.
func TestFaults(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no full device:", err)
	}
	defer full.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*exec.Cmd)
		args   []string
		code   int
		epochs int
		says   []string
	}{
		{"full output", func(c *exec.Cmd) { c.Stdout = full }, nil, 0, 3,
			[]string{"warning: cannot print: ", "no space left on device; training goes on"}},
		{"closed pipe", func(c *exec.Cmd) { c.Stdout = writer }, nil, 0, 3,
			[]string{"warning: cannot print: ", "broken pipe; training goes on"}},
		{"both closed", func(c *exec.Cmd) { c.Stdout, c.Stderr = writer, writer }, nil, 0, 3, nil},
		{"loss beyond measure", nil, []string{"-lr", "1e3", "-pixels", "0-255", "-init", "absurd"}, 1, -1,
			[]string{"the loss is ", "epoch 1, step 1", "try a lower learning rate"}},
		{"TensorBoard's folder is a file", nil, []string{"-tensorboard", "file"}, 0, 3,
			[]string{"warning: TensorBoard's curves: ", "not a directory; training goes on without them"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := fixture(t)
			writeAbsurdWeights(t, filepath.Join(dir, "absurd"))
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
			p := launch(t, func(c *exec.Cmd) {
				c.Dir = dir
				if test.change != nil {
					test.change(c)
				}
			}, arguments(dir, append([]string{"-epochs", "3"}, test.args...)...)...)
			if code := p.end(t); code != test.code {
				t.Errorf("exit %d, want %d: %s", code, test.code, p.stderr.String())
			}
			if epochs := epochsSaved(t, filepath.Join(dir, "runs", "tiny")); epochs != test.epochs {
				t.Errorf("%d epochs are saved, want %d", epochs, test.epochs)
			}
			for _, want := range test.says {
				if strings.Count(p.stderr.String(), want) != 1 {
					t.Errorf("the message has %q not once: %s", want, p.stderr.String())
				}
			}
			if test.code == 0 {
				history := readHistory(t, filepath.Join(dir, "runs", "tiny"))
				for _, epoch := range history {
					if epoch.TestAccuracy == nil {
						t.Errorf("epoch %d has no test accuracy", epoch.Epoch)
					}
				}
			}
		})
	}
}

// writeAbsurdWeights writes weights of tiny that are finite, and of no use.
func writeAbsurdWeights(t *testing.T, path string) {
	t.Helper()
	network, err := readNetwork(filepath.Join(filepath.Dir(path), "tiny.json"))
	if err != nil {
		t.Fatal(err)
	}
	weights := network.InitialWeights(1)
	for _, tensor := range weights {
		for i := range tensor.Data {
			tensor.Data[i] = 1e10 * (tensor.Data[i] + 0.01)
		}
	}
	if err := train.WriteWeights(path, weights); err != nil {
		t.Fatal(err)
	}
}

// A run whose folder is removed makes it again.
func TestVanishedRunFolder(t *testing.T) {
	dir := fixture(t)
	run := filepath.Join(dir, "runs", "tiny")
	p := launch(t, nil, arguments(dir, "-epochs", endless)...)
	p.await(t, "a checkpoint", func() bool { return epochsSaved(t, run) >= 1 })
	for i := range 5 {
		// All at once: a removal file by file would take what is made again with it.
		if err := os.Rename(run, filepath.Join(dir, fmt.Sprint("removed", i))); err != nil {
			t.Fatal(err)
		}
		p.await(t, "another checkpoint", func() bool { return epochsSaved(t, run) >= 1 })
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code := p.end(t)
	if code != 143 || !strings.Contains(p.stderr.String(), "warning: the run's folder: ") ||
		!strings.Contains(p.stderr.String(), "it was removed, and is made again") {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	resumes(t, dir)
}

// resumes checks that the run tiny goes on for an epoch.
func resumes(t *testing.T, dir string, more ...string) {
	t.Helper()
	epochs := epochsSaved(t, filepath.Join(dir, "runs", "tiny"))
	args := append([]string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-test", dir + ":t10k",
		"-epochs", fmt.Sprint(epochs + 1)}, more...)
	p := launch(t, nil, args...)
	if code := p.end(t); code != 0 {
		t.Errorf("resume: exit %d: %s", code, p.stderr.String())
	}
}

// Only one process trains a run, whether it begins or goes on with it; what another one
// asks for moves nothing. The lock of a process that was killed is nobody's.
func TestTwoTrainersAtOnce(t *testing.T) {
	dir := fixture(t)
	runs := filepath.Join(dir, "runs")
	first := launch(t, nil, arguments(dir, "-epochs", endless)...)
	first.await(t, "a checkpoint", func() bool {
		return epochsSaved(t, filepath.Join(runs, "tiny")) >= 1
	})
	resume := []string{"-resume", "-name", "tiny", "-runs", runs, "-test", "none", "-epochs", endless}
	for _, args := range [][]string{arguments(dir, "-epochs", "1"), resume} {
		second := launch(t, nil, args...)
		code := second.end(t)
		for _, want := range []string{"another train is at work in " + filepath.Join(runs, "tiny"),
			fmt.Sprintf("process %d on ", first.Process.Pid), " since ",
			"wait until it has ended, or give this run another name"} {
			if code != 1 || !strings.Contains(second.stderr.String(), want) {
				t.Errorf("exit %d, the message lacks %q: %s", code, want, second.stderr.String())
			}
		}
	}
	if _, err := os.Stat(filepath.Join(runs, "tiny.1")); err == nil {
		t.Error("the run of the first one was moved aside")
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	resumes(t, dir)
	again := launch(t, nil, arguments(dir, "-epochs", "1")...)
	if code := again.end(t); code != 0 || !strings.Contains(again.stdout.String(),
		"the earlier run is kept as "+filepath.Join(runs, "tiny.1")) {
		t.Errorf("exit %d: %s%s", code, again.stdout.String(), again.stderr.String())
	}
	entries, err := os.ReadDir(runs)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder of the runs has %v, want tiny and tiny.1 alone (%v)", entries, err)
	}
}

// A signal at any moment ends the command with its exit code: with the run saved, or with
// nothing to save.
func TestSignalsAtAnyMoment(t *testing.T) {
	dir := fixture(t)
	moments := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		sent := []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}[i%3]
		wait := time.Duration(moments.IntN(400)) * time.Millisecond
		name := fmt.Sprintf("r%d", i)
		p := launch(t, nil, arguments(dir, "-epochs", "40", "-name", name)...)
		time.Sleep(wait)
		if err := p.Process.Signal(sent); err != nil && !strings.Contains(err.Error(), "finished") {
			t.Fatal(err)
		}
		code := p.end(t)
		status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
		early := ok && status.Signaled() // the process had not come to its main function
		says := p.stderr.String()
		switch saved := epochsSaved(t, filepath.Join(dir, "runs", name)); {
		case code == 0:
			if saved != 40 {
				t.Errorf("%v after %v: exit 0 with %d epochs", sent, wait, saved)
			}
		case code != 128+int(sent):
			t.Errorf("%v after %v: exit %d: %s", sent, wait, code, says)
		case saved < 0 && !early &&
			!strings.Contains(says, "interrupted before anything was trained: there is nothing to save"),
			saved >= 0 && (!strings.Contains(says, "its state is saved in ") || !strings.Contains(says,
				"Go on with: train -resume -name "+name)),
			strings.Contains(says, "context canceled"):
			t.Errorf("%v after %v, %d epochs saved: %s", sent, wait, saved, says)
		}
	}
}

// nohup's runs go on when their terminal closes.
func TestAnIgnoredHangUpDoesNotStopARun(t *testing.T) {
	if _, err := exec.LookPath("nohup"); err != nil {
		t.Skip("there is no nohup")
	}
	dir := fixture(t)
	run := filepath.Join(dir, "runs", "tiny")
	p := launch(t, func(c *exec.Cmd) {
		c.Path, c.Args = "/usr/bin/env", append([]string{"env", "nohup"}, c.Args...)
	}, arguments(dir, "-epochs", endless)...)
	p.await(t, "a checkpoint", func() bool { return epochsSaved(t, run) >= 1 })
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	before := epochsSaved(t, run)
	p.await(t, "more epochs", func() bool { return epochsSaved(t, run) >= before+2 })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != 143 {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
}

// In a step of very many images Ctrl-C is answered between two of its parts, and a second
// one at once; what was saved before is whole.
func TestCtrlCInABigBatch(t *testing.T) {
	dir := fixture(t)
	const images = 60_000
	writeIDX(t, filepath.Join(dir, "train-images-idx3-ubyte"), []int{images, 28, 28},
		bytes.Repeat([]byte{0, 80, 200, 10}, images*28*28/4))
	writeIDX(t, filepath.Join(dir, "train-labels-idx1-ubyte"), []int{images},
		bytes.Repeat([]byte{0, 1, 2, 3}, images/4))
	for _, times := range []int{1, 2} {
		runs := filepath.Join(dir, fmt.Sprint("runs", times))
		p := launch(t, nil, "-data", dir+":train", "-test", "none", "-runs", runs, "-batch",
			fmt.Sprint(images), "-epochs", "100", "-threads", "1")
		p.await(t, "the run's first line", func() bool {
			return strings.Contains(p.stdout.String(), "run "+runs)
		})
		time.Sleep(500 * time.Millisecond) // into the step
		for i := range times {
			if i > 0 {
				p.await(t, "the notice", func() bool {
					return strings.Contains(p.stderr.String(), savingNotice)
				})
			}
			if err := p.Process.Signal(os.Interrupt); err != nil && i == 0 {
				t.Fatal(err)
			}
		}
		code := p.end(t)
		took := p.ProcessState.UserTime() + p.ProcessState.SystemTime()
		if code != 130 || !strings.Contains(p.stderr.String(), savingNotice) {
			t.Errorf("%d times: exit %d: %s", times, code, p.stderr.String())
		}
		if times == 1 && !strings.Contains(p.stderr.String(), "its state is saved in ") {
			t.Error(p.stderr.String())
		}
		// A whole step computes many times as long.
		if took > 5*time.Second {
			t.Errorf("%d times: it computed for %v", times, took)
		}
	}
}

// lockedBuffer is written by a process and read meanwhile.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}
