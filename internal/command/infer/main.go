// Package infer is the command infer. It runs an ONNX image classifier on a data set, in ONNX
// Runtime, in the native runtime or in onnx-go, and compares what several runtimes and the trainer
// answer. infer compare says where two models, or two runtimes, differ, and infer robustness how
// models do on damaged and on unseen images. Run any of them with -h for its flags and the form of
// -json.
package infer

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"

	"slipway/internal/cli"
	"slipway/internal/command/worker"
)

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	if worker.Asked(args) {
		return worker.Main()
	}
	var progress io.Writer
	if term.IsTerminal(int(os.Stderr.Fd())) {
		progress = os.Stderr
	}
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr, progress)
	})
}

// run is Main without the process: it returns the exit code, 0 for success, 1
// for failure or disagreement and 2 for wrong usage. Progress, if not nil, is a
// terminal.
func run(ctx context.Context, args []string, stdout, stderr, progress io.Writer) int {
	if len(args) > 0 && args[0] == compareCommand {
		return runCompare(ctx, args[1:], stdout, stderr, progress)
	}
	if len(args) > 0 && args[0] == robustnessCommand {
		return runRobustness(ctx, args[1:], stdout, stderr, progress)
	}
	options, err := parse(args, stdout)
	if code, done := cli.Parsed("infer", err, err == nil && options.version, stdout, stderr); done {
		return code
	}
	if len(options.operands) > 0 {
		return exitCode("infer", classify(ctx, options, os.Stdin, stdout, stderr), stderr)
	}
	return exitCode("infer", evaluate(ctx, options, stdout, stderr, progress), stderr)
}

// exitCode prints an error, if there is one, and returns the command's exit code.
func exitCode(command string, err error, stderr io.Writer) int {
	var usage *usageError
	switch {
	case err == nil:
		return cli.ExitOK
	case errors.As(err, &usage):
		return cli.Usage(stderr, command, err)
	}
	return cli.Fail(stderr, command, err)
}

// usageError is an error of usage that shows only when the arguments are used.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }
