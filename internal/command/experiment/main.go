// Package experiment is the command experiment. It answers a question by many training runs. Run it
// with -h for its subcommands and their flags.
package experiment

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/term"

	"slipway/internal/cli"
)

const usage = `experiment answers a question by many training runs.

  experiment run experiments/dropout.yaml    # train every setting from every seed, and go on where it stopped
  experiment report experiments/dropout.yaml # say what it came to: experiments/dropout/report.html
  experiment insights                        # say what all of them came to: docs/insights.md
  experiment run -quick experiments/*.yaml   # short forms of all studies
  experiment list                            # the runs in runs/, and what they are worth
  experiment compare e1 e2                   # whether two runs differ, and on which images
  experiment curves e1 e2 -o curves.svg      # the histories of several runs in one picture

Each subcommand has -h.

Flags:
`

// console is where a subcommand prints.
type console struct {
	out, err io.Writer
	// terminal says that out can be redrawn in place; rows and columns are its size.
	terminal      bool
	rows, columns int
}

// subcommand is run with the arguments behind its name and returns the exit code.
type subcommand func(ctx context.Context, args []string, to console) int

// subcommands is the list of all.
func subcommands() map[string]subcommand {
	return map[string]subcommand{"run": runStudies, "report": reportStudies, "insights": writeInsights,
		"list": listRuns, "compare": compareRuns, "curves": drawCurves}
}

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	if os.Getenv("GOGC") == "" {
		// A step allocates next to nothing: a small heap costs no time, and keeps
		// the process near the size of its data.
		debug.SetGCPercent(25)
	}
	to := console{out: os.Stdout, err: os.Stderr, terminal: term.IsTerminal(int(os.Stdout.Fd()))}
	if columns, rows, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		to.rows, to.columns = rows, columns
	}
	cli.KeepOnBrokenPipe()
	return cli.Run(os.Stderr, "", func(ctx context.Context) int { return run(ctx, args, to) })
}

// run is Main without the process: it returns the exit code, 0 for success, 1
// for failure and 2 for wrong usage.
func run(ctx context.Context, args []string, to console) int {
	if len(args) > 0 {
		if command, ok := subcommands()[args[0]]; ok {
			return command(ctx, args[1:], to)
		}
	}
	return cli.NoSubcommand("experiment", usage, names(), args, to.out, to.err)
}
