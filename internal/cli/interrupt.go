package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// signalBase and a signal's number make the exit code of a command that the signal ended,
// as shells count: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
const signalBase = 128

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// Run runs a command whose context ends at Ctrl-C, SIGTERM and, unless it was ignored when
// the process began, as nohup does, SIGHUP. A second Ctrl-C ends the process at once.
// Run returns the command's exit code; one that failed after a signal has that of the
// signal, 130, 143 or 129.
//
// notice, if there is one, is printed to stderr at the first signal, for a command that
// takes a while to end.
func Run(stderr io.Writer, notice string, command func(ctx context.Context) int) int {
	signals := make(chan os.Signal, 4)
	ending := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ending = append(ending, syscall.SIGHUP)
	}
	signal.Notify(signals, ending...)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	noticed := make(chan struct{})
	go func() {
		first := <-signals
		cancel(&signalError{asSystem(first)})
		if notice != "" {
			fmt.Fprintln(stderr, notice)
		}
		close(noticed)
		// A terminal that closes can send SIGHUP twice, and a system that shuts down
		// SIGTERM and SIGHUP: only somebody at the keyboard is in a hurry.
		for s := range signals {
			if s == os.Interrupt {
				os.Exit(signalBase + int(asSystem(s)))
			}
		}
	}()
	code := command(ctx)
	if ctx.Err() != nil {
		<-noticed // else a command that ends at once could take the process away before it
	}
	return ExitCode(ctx, code)
}

// ExitCode returns the exit code of a command that ended with code: that of the signal if
// it failed after one ended its context.
func ExitCode(ctx context.Context, code int) int {
	var cause *signalError
	if code == ExitFailure && errors.As(context.Cause(ctx), &cause) {
		return signalBase + int(cause.signal)
	}
	return code
}

func asSystem(s os.Signal) syscall.Signal {
	if number, ok := s.(syscall.Signal); ok {
		return number
	}
	return syscall.SIGINT
}
