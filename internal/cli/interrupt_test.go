//go:build unix

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// actAsCommand makes the test binary a command: one that ends with its context, or one that
// does not.
const actAsCommand = "CLI_TEST_COMMAND"

func TestMain(m *testing.M) {
	behaviour := os.Getenv(actAsCommand)
	if behaviour == "" {
		os.Exit(m.Run())
	}
	os.Exit(Run(late{}, "saving", func(ctx context.Context) int {
		fmt.Println("ready")
		if behaviour == "hasty" {
			return ExitOK
		}
		<-ctx.Done()
		if behaviour == "slow" {
			time.Sleep(time.Minute)
		}
		return Fail(os.Stderr, "command", fmt.Errorf("read: %w", ctx.Err()))
	}))
}

// late is a stderr that takes its time with the notice: the command must not end before it.
type late struct{}

func (late) Write(text []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return os.Stderr.Write(text)
}

// start runs the command until it is ready.
func start(t *testing.T, behaviour string) (command *exec.Cmd, stderr *bufio.Reader) {
	t.Helper()
	command = exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), actAsCommand+"="+behaviour)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return command, bufio.NewReader(errs)
}

func TestASignalsExitCode(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143,
		syscall.SIGHUP: 129} {
		if signal.Ignored(s) {
			t.Logf("not tried with %v: it is ignored here, as under nohup, and stays ignored", s)
			continue
		}
		command, stderr := start(t, "patient")
		if err := command.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(stderr)
		if err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // the exit code says how it ended
		if got := command.ProcessState.ExitCode(); got != code ||
			string(text) != "saving\ncommand: interrupted\n" &&
				string(text) != "command: interrupted\nsaving\n" {
			t.Errorf("%v: exit %d, %q", s, got, text)
		}
	}
}

// Ctrl-C twice ends a command that takes its time; a second SIGTERM does not.
func TestASecondInterruptEndsAtOnce(t *testing.T) {
	command, stderr := start(t, "slow")
	for i, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		if err := command.Process.Signal(s); err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		if i == 0 {
			if line, err := stderr.ReadString('\n'); line != "saving\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = command.Wait() // the exit code says how it ended
	if code := command.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
}

// nohup's processes go on when their terminal closes.
func TestAnIgnoredHangUpStaysIgnored(t *testing.T) {
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Ignore(syscall.SIGHUP)
		defer signal.Reset(syscall.SIGHUP)
	}
	command, stderr := start(t, "patient")
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // the exit code says how it ended
	if code := command.ProcessState.ExitCode(); code != 143 ||
		!strings.Contains(string(text), "saving") {
		t.Errorf("exit %d, %q", code, text)
	}
}

func TestACommandThatIsDoneHasItsOwnExitCode(t *testing.T) {
	command, _ := start(t, "hasty")
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}
