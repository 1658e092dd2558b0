// Package train is the command train. It fits a network to a data set and writes a run folder with
// its checkpoints, history and plot. Run it with -h for its flags.
package train

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"slipway/internal/cli"
	"slipway/internal/mpi"
)

// savingNotice is what somebody reads who has pressed Ctrl-C.
const savingNotice = "train: saving after this step; again to quit at once"

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code. The process must end by mpi.Exit.
func Main(args []string) int {
	cli.KeepOnBrokenPipe()
	if os.Getenv("GOGC") == "" {
		// A step allocates next to nothing: a small heap costs no time, and keeps
		// the process near the size of its data.
		debug.SetGCPercent(25)
	}
	notice := savingNotice
	if mpi.Launched(os.Getenv).Rank > 0 {
		notice = "" // rank 0 tells
	}
	return cli.Run(os.Stderr, notice, func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr, cli.TerminalWidth(os.Stdout))
	})
}

// run is Main without the process: it returns the exit code, 0 for success, 1
// for failure and 2 for wrong usage. width is nil where the progress is not redrawn.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, width func() int) int {
	options, err := parse(args, stdout)
	if code, done := cli.Parsed("train", err, err == nil && options.version, stdout, stderr); done {
		return code
	}
	if err := options.ranks.join(os.Getenv); err != nil {
		return cli.Fail(stderr, "train", err)
	}
	if options.ranks.follows() {
		return options.ranks.leave(follow(ctx, options, &warnings{out: stderr}), stderr)
	}
	// A run is not ended by what reads its progress, or does not.
	out := cli.NewDispensable("train", stdout, stderr, "training goes on")
	if options.ranks.world != nil {
		return options.ranks.leave(fit(ctx, options, out, &warnings{out: stderr}, width), stderr)
	}
	if err := fit(ctx, options, out, &warnings{out: stderr}, width); err != nil {
		if wrong := options.wrongFlag(err); wrong != nil {
			return cli.Usage(stderr, "train", wrong)
		}
		return cli.Fail(stderr, "train", err)
	}
	return cli.ExitOK
}
