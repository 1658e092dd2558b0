// Package worker makes a program the onnx-go worker of another process of itself. onnx-go can panic
// in goroutines where no recover reaches, so that it runs in a process of its own.
package worker

import (
	"fmt"
	"os"
	"os/signal"

	"slipway/infer/onnxgo"
	"slipway/internal/cli"
)

// argument is the only one of a worker.
const argument = "onnx-go-worker"

// Command returns the command line that starts this program's file as a worker.
func Command() ([]string, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf(
			"onnx-go runs in a process of its own, from this program's file: %w", err)
	}
	return []string{executable, argument}, nil
}

// Asked reports whether a program's arguments, without its name, ask for a worker.
func Asked(args []string) bool { return len(args) == 1 && args[0] == argument }

// Main runs the worker in this process and returns the exit code.
func Main() int {
	// Ctrl-C reaches the whole process group; the process that started this one
	// ends it, and says so better than its death would.
	signal.Ignore(os.Interrupt)
	// What onnx-go prints must not get into the answers.
	answers := os.Stdout
	os.Stdout = os.Stderr
	if err := onnxgo.Serve(os.Stdin, answers); err != nil {
		return cli.Fail(os.Stderr, argument, err)
	}
	return cli.ExitOK
}
