package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/tracking"
)

const curvesUsage = `experiment curves draws the histories of several runs into one picture: losses and accuracies,
a line for each run.

  experiment curves e1 e2                         # runs/e1 and runs/e2 into curves.svg
  experiment curves runs/e1 elsewhere/e1 -o both.svg

RUN is the folder of a run, or its name in the folder of -runs.

Flags:
`

// drawCurves is the subcommand curves.
func drawCurves(_ context.Context, args []string, to console) int {
	const command = "experiment curves"
	flags := cli.NewFlagSet(command, curvesUsage, to.out)
	root := flags.String("runs", "runs", "`folder` of the runs that are named")
	output := flags.String("o", "curves.svg", "`file` of the picture")
	version := flags.Bool("version", false, "print the version")
	names, err := cli.ParseOperands(flags, args, cli.Words{cli.FileNames})
	if err == nil && !*version && len(names) == 0 {
		err = errors.New("a run is missing: its folder, or its name in " + *root)
	}
	if code, done := cli.Parsed(command, err, err == nil && *version, to.out, to.err); done {
		return code
	}
	if err := curves(*root, names, *output); err != nil {
		return cli.Fail(to.err, command, err)
	}
	fmt.Fprintln(to.out, *output)
	return cli.ExitOK
}

func curves(root string, names []string, output string) error {
	var records []*tracking.Record
	for _, name := range names {
		record, err := readRun(root, name)
		if err != nil {
			return err
		}
		records = append(records, record)
	}
	if err := mayReplacePicture(output); err != nil {
		return err
	}
	svg, err := tracking.Curves(records)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(output, svg)
}

// readRun reads a run by its folder or by its name in the folder of the runs.
func readRun(root, name string) (*tracking.Record, error) {
	dir := name
	if !isFolder(dir) {
		dir = filepath.Join(root, name)
	}
	record, err := tracking.Read(dir)
	if errors.Is(err, tracking.ErrNoRun) && dir == name && isFolder(filepath.Join(root, name)) {
		// A folder of that name lies here, as export makes one beside a graph.
		dir = filepath.Join(root, name)
		record, err = tracking.Read(dir)
	}
	if errors.Is(err, tracking.ErrNoRun) {
		return nil, fmt.Errorf("%w; experiment list shows the runs of a folder", err)
	}
	if err != nil {
		return nil, err
	}
	if record.Name == filepath.Base(dir) {
		record.Name = filepath.ToSlash(name) // tells e1 from elsewhere/e1
	}
	return record, nil
}

// mayReplacePicture reports a file that is no SVG, and so not one of ours.
func mayReplacePicture(path string) error {
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("-o: %w", err)
	case len(raw) > 0 && !bytes.Contains(raw[:min(len(raw), 512)], []byte("<svg")):
		return fmt.Errorf("-o: %s is no SVG picture, and is not written over; name another file", path)
	}
	return nil
}
