package experiment

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/study/report"
)

const insightsUsage = `experiment insights reads the reports of all studies and writes what was asked, what was
found, what became of the notebook's claims, and what remains open.

  experiment insights                # experiments/*/ into docs/insights.md
  experiment insights -o all.md

It needs the reports alone, not the runs.

Flags:
`

// writeInsights is the subcommand insights.
func writeInsights(_ context.Context, args []string, to console) int {
	const command = "experiment insights"
	flags := cli.NewFlagSet(command, insightsUsage, to.out)
	folder := flags.String("experiments", "experiments",
		"`folder` with the reports, each in a folder of its own")
	histories := flags.String("histories", filepath.Join("docs", "e2"),
		"`folder` with E2's histories of one seed, pytorch.csv and slipway.csv")
	output := flags.String("o", filepath.Join("docs", "insights.md"), "`file` to write")
	version := flags.Bool("version", false, "print the version")
	err := cli.Parse(flags, args)
	if code, done := cli.Parsed(command, err, err == nil && *version, to.out, to.err); done {
		return code
	}
	if err := insights(*folder, *histories, *output); err != nil {
		return cli.Fail(to.err, command, err)
	}
	fmt.Fprintln(to.out, *output)
	return cli.ExitOK
}

func insights(folder, histories, output string) error {
	link, err := relative(filepath.Dir(output), folder)
	if err != nil {
		return err
	}
	text, err := report.Insights(folder, histories, link)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(output, text)
}

// relative returns the path from one folder to another, with slashes.
func relative(from, to string) (string, error) {
	absoluteFrom, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	absoluteTo, err := filepath.Abs(to)
	if err != nil {
		return "", err
	}
	path, err := filepath.Rel(absoluteFrom, absoluteTo)
	return filepath.ToSlash(path), err
}
