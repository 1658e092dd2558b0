// Package doctor is the command doctor. It says what of Slipway's needs is installed, in which
// version, what will be used, and how to get what is missing. Run it with -h for its flags and the
// form of -json.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/internal/cli"
	"slipway/internal/scaling"
)

const usage = `doctor says what is installed, which versions, what will be used, and how to get what is missing.

  doctor
  doctor -json
  mpirun -n 2 doctor -mpi      # what an exchange of ranks takes, and what it comes to on more of them

Exit status: 0 everything needed to build, train and infer on the CPU is there; 1 something of that is missing or
damaged; 2 wrong usage. With -mpi 1 says that the ranks could not measure.

-json prints one object: ok (boolean) and checks, a list of
  name      what was looked at
  state     ok, missing or damaged
  needed    whether ok depends on it
  found     version and place, or what is wrong
  remedy    how to get it, empty where nothing is to be done

Flags:
`

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr)
	})
}

// run is Main without the process: it returns the exit code, 0 when all that is
// needed is there, 1 when it is not and 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := cli.NewFlagSet("doctor", usage, stdout)
	asJSON := flags.Bool("json", false, "print JSON instead of text")
	ofRanks := flags.Bool("mpi", false,
		"measure, with the other processes that a launcher has started, what "+
			"exchanges take, and predict what more of them come to (docs/scale.md)")
	version := flags.Bool("version", false, "print the version")
	err := cli.Parse(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return cli.ExitOK
	case err != nil:
		return cli.Usage(stderr, "doctor", err)
	case *version:
		fmt.Fprintln(stdout, cli.Version("doctor"))
		return cli.ExitOK
	case *ofRanks && *asJSON:
		return cli.Usage(stderr, "doctor", errors.New("-json does not go with -mpi, which prints text"))
	case *ofRanks:
		return examineRanks(ctx, scaling.Sizes(), stdout, stderr)
	}
	report := examine(ctx)
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		_, err = io.WriteString(stdout, report.text())
	}
	if err != nil {
		return cli.Fail(stderr, "doctor", fmt.Errorf("print the report: %w", err))
	}
	if !report.OK {
		return cli.ExitFailure
	}
	return cli.ExitOK
}

// text writes one line a check, and a second one for a remedy.
func (r report) text() string {
	var b strings.Builder
	for _, c := range r.Checks {
		mark := "ok"
		switch {
		case c.State != stateOK && c.Needed:
			mark = strings.ToUpper(string(c.State))
		case c.State != stateOK:
			mark = "-"
		}
		fmt.Fprintf(&b, "%-8s %-18s %s\n", mark, c.Name, c.Found)
		if c.Remedy != "" {
			fmt.Fprintf(&b, "%-8s %-18s → %s\n", "", "", c.Remedy)
		}
	}
	if r.OK {
		b.WriteString("\nEverything that is needed on the CPU is there.\n")
	} else {
		b.WriteString("\nSomething that is needed is missing: see the lines in capitals.\n")
	}
	return b.String()
}
