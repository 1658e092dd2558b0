// Command train fits a network to a data set and writes a run folder with its
// checkpoints, history and plot. Run it with -h for its flags.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"slipway/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		// A step allocates next to nothing: a small heap costs no time, and keeps
		// the process near the size of its data.
		debug.SetGCPercent(25)
	}
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, terminal))
}

// run is main without the process: it returns the exit code, 0 for success, 1
// for failure and 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, terminal bool) int {
	options, err := parse(args, stdout)
	if code, done := cli.Parsed("train", err, err == nil && options.version, stdout, stderr); done {
		return code
	}
	if err := fit(ctx, options, stdout, terminal); err != nil {
		return cli.Fail(stderr, "train", err)
	}
	return cli.ExitOK
}
