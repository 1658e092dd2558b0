package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/cli"
	"slipway/internal/kernel"
)

// A run that is killed again and again, wherever it happens to be, and resumed
// each time must end with the bits of one that never was.
func TestKilledRunsResumeBitForBit(t *testing.T) {
	dir := fixture(t)
	const epochs = "60"
	if code, _,
		errs := runTrain(t, arguments(dir, "-name", "whole", "-epochs", epochs)...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := arguments(dir, "-name", "killed", "-epochs", epochs)
	kills := 0
	for attempt := 0; ; attempt++ {
		if attempt > 200 {
			t.Fatal("the run did not end after 200 resumptions")
		}
		command := exec.Command(program, start...)
		command.Env = append(os.Environ(), actAsTrain+"=1")
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		var ending error
		select {
		case ending = <-ended:
		case <-time.After(time.Duration(60+20*attempt) * time.Millisecond):
			if err := command.Process.Kill(); err != nil {
				t.Log(err)
			}
			ending = <-ended
			kills++
		}
		if ending == nil {
			break
		}
		if paths,
			err := filepath.Glob(filepath.Join(dir,
			"runs/killed/checkpoints/step-*.safetensors")); err == nil && len(paths) > 0 {
			start = []string{"-resume", "-name", "killed", "-runs", dir + "/runs", "-test", dir + ":t10k"}
		} else if strings.Contains(output.String(), "train: ") {
			t.Fatalf("failed: %s", output.String())
		}
	}
	t.Logf("killed %d times", kills)
	if kills == 0 {
		t.Error("the run was never killed: it is too short for this test")
	}
	whole, killed := read(t, dir+"/runs/whole/weights.safetensors"), read(t,
		dir+"/runs/killed/weights.safetensors")
	if !bytes.Equal(whole, killed) {
		t.Error("the weights of the killed run differ from those of the whole one")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestInterruptSavesAndSaysHowToGoOn(t *testing.T) {
	dir := fixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	var out, errs bytes.Buffer
	code := run(ctx, arguments(dir, "-epochs", "1000000"),
		io.MultiWriter(&out, onEpochLine{1, cancel}), &errs, nil)
	if code != cli.ExitFailure || !strings.Contains(errs.String(), "interrupted") ||
		!strings.Contains(errs.String(), "Go on with: train -resume -name tiny -runs "+dir+"/runs") {
		t.Fatalf("exit %d, %q", code, errs.String())
	}
	code, resumed, failure := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs",
		"3", "-test", "none")
	if code != cli.ExitOK || !strings.Contains(resumed, "going on from") {
		t.Errorf("resume: exit %d, %q %q", code, resumed, failure)
	}
}

// -until-loss gives a finished run, too, the epochs that it has by default.
func TestUntilLossGoesOnWithAFinishedRun(t *testing.T) {
	dir := fixture(t)
	if code, _,
		errs := runTrain(t, arguments(dir, "-epochs", "1", "-test", "none")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	history := readHistory(t, filepath.Join(dir, "runs", "tiny"))
	threshold := fmt.Sprint(0.9 * history[0].MeanLoss)
	code, out, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-test", "none",
		"-until-loss", threshold)
	if code != cli.ExitOK || !strings.Contains(out, "Epoch [2/100]") ||
		!strings.Contains(out, "is below "+threshold) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// Other kernels round in another order: a run that goes on with them says so.
func TestResumeWithOtherKernels(t *testing.T) {
	dir := fixture(t)
	t.Setenv(kernel.EnvironmentVariable, "")
	best, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	if code, _,
		errs := runTrain(t, arguments(dir, "-epochs", "1", "-test", "none")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	for i, set := range []string{"portable", "portable", best.Name()} {
		before := []string{best.Name(), "portable", "portable"}[i]
		t.Setenv(kernel.EnvironmentVariable, set)
		code, out, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-test", "none",
			"-epochs", fmt.Sprint(2+i))
		note := fmt.Sprintf("computed with the kernels %s, and goes on with %s", before, set)
		if code != cli.ExitOK || strings.Contains(out, note) != (before != set) ||
			strings.Contains(out, "note: ") != (before != set) {
			t.Errorf("from %s to %s: exit %d: %s%s", before, set, code, out, errs)
		}
	}
}

// A run goes on with a set that was moved, and with no other in its place.
func TestResumeWithMovedData(t *testing.T) {
	dir := fixture(t)
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	moved := t.TempDir()
	for _, part := range []string{"images-idx3", "labels-idx1"} {
		name := "train-" + part + "-ubyte"
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(moved, name)); err != nil {
			t.Fatal(err)
		}
	}
	resume := func(more ...string) (int, string, string) {
		return runTrain(t, append([]string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-test",
			"none", "-epochs", "2"}, more...)...)
	}
	if code, _, errs := resume(); code != cli.ExitFailure || !strings.Contains(errs, dir) {
		t.Errorf("without the set: exit %d, %q", code, errs)
	}
	if code, _, errs := resume("-data", dir+":t10k"); code != cli.ExitFailure ||
		!strings.Contains(errs, "cannot resume with other data") {
		t.Errorf("with another set: exit %d, %q", code, errs)
	}
	if code, out, errs := resume("-data", moved+":train"); code != cli.ExitOK ||
		!strings.Contains(out, "going on from") {
		t.Errorf("with the moved set: exit %d, %q", code, errs)
	}
	// It is where it was moved to from then on.
	if code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-test", "none",
		"-epochs", "3"); code != cli.ExitOK {
		t.Errorf("afterwards: exit %d, %q", code, errs)
	}
}

// A state that could not be saved is not said to be: the message says why, and which
// checkpoint there is.
func TestAnInterruptionThatCannotBeSaved(t *testing.T) {
	dir := fixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	checkpoints := filepath.Join(dir, "runs", "tiny", "checkpoints")
	var out, errs bytes.Buffer
	// A folder is in the way of the checkpoint after the third epoch of twelve steps.
	code := run(ctx, arguments(dir, "-epochs", "1000000", "-checkpoint-every", "2"),
		io.MultiWriter(&out, onEpochLine{3, func() {
			if err := os.Mkdir(filepath.Join(checkpoints, "step-00000036.safetensors"), 0o777); err != nil {
				t.Error(err)
			}
			cancel()
		}}), &errs, nil)
	for _, want := range []string{"interrupted", "could not be saved",
		"step-00000036.safetensors is a folder", "the last good checkpoint is " +
			filepath.Join(checkpoints, "step-00000024.safetensors")} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("the message lacks %q: %s", want, errs.String())
		}
	}
	if code != cli.ExitFailure || strings.Contains(errs.String(), "its state is saved") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}

// onEpochLine calls act when the line of that epoch is written.
type onEpochLine struct {
	epoch int
	act   func()
}

func (o onEpochLine) Write(line []byte) (int, error) {
	if bytes.Contains(line, fmt.Appendf(nil, "Epoch [%d/", o.epoch)) &&
		bytes.Contains(line, []byte("mean loss")) {
		o.act()
	}
	return len(line), nil
}

// The command that a run proposes to go on with has the flags that it was given, as a shell
// reads them: the run goes on as it would have.
func TestTheProposedCommandGoesOn(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	dir := fixture(t)
	runs, logs := filepath.Join(dir, "my runs"), filepath.Join(dir, "Tom's logs")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	args := []string{"-network", dir + "/tiny.json", "-data", dir + ":train", "-test", dir + ":t10k",
		"-runs", runs, "-name", "a run $1", "-tensorboard", logs, "-threads", "1", "-device", "cpu",
		"-batch", "8", "-pixels", "0-1", "-epochs", "4"}
	if code := run(ctx, args, io.MultiWriter(&out, onEpochLine{2, cancel}), &errs,
		nil); code != cli.ExitFailure {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	_, line, found := strings.Cut(errs.String(), "Go on with: ")
	if !found {
		t.Fatalf("no command is proposed: %s", errs.String())
	}
	// The command is this test's program.
	if err := os.Symlink(os.Args[0], filepath.Join(dir, "train")); err != nil {
		t.Skip("this system makes no symbolic links:", err)
	}
	command := exec.CommandContext(t.Context(), shell, "-c", line)
	command.Env = append(os.Environ(), actAsTrain+"=1",
		"PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if output, err := command.CombinedOutput(); err != nil || !strings.Contains(string(output),
		"Epoch [4/4]") || strings.Contains(string(output), "Epoch [1/4]") {
		t.Fatalf("%s: %v: %s", line, err, output)
	}
	history := readHistory(t, filepath.Join(runs, "a run $1"))
	for _, epoch := range history {
		if epoch.TestAccuracy == nil {
			t.Errorf("epoch %d was not tested", epoch.Epoch)
		}
	}
	files, err := filepath.Glob(filepath.Join(logs, "a run $1", "*tfevents*"))
	if len(history) != 4 || err != nil || len(files) != 2 {
		t.Errorf("%d epochs; event files %v, %v", len(history), files, err)
	}
}

// Tables and a picture that cannot be written are told of once, and are no reason to stop:
// the checkpoints have what they show.
func TestAHistoryThatCannotBeWritten(t *testing.T) {
	for file, warning := range map[string]string{
		"history.csv": "train: warning: the run's history: ",
		"curve.svg":   "train: warning: the run's picture: ",
	} {
		dir := fixture(t)
		var errs bytes.Buffer
		out := onEpochLine{1, func() {
			path := filepath.Join(dir, "runs", "tiny", file)
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o777)); err != nil {
				t.Error(err)
			}
		}}
		code := run(t.Context(), arguments(dir, "-epochs", "4"), out, &errs, nil)
		if code != cli.ExitOK || strings.Count(errs.String(), warning) != 1 ||
			!strings.Contains(errs.String(), file+" is a folder") {
			t.Errorf("%s: exit %d: %s", file, code, errs.String())
		}
		if epochs := len(readHistory(t, filepath.Join(dir, "runs", "tiny"))); epochs != 4 {
			t.Errorf("%s: history.json has %d epochs", file, epochs)
		}
	}
}
