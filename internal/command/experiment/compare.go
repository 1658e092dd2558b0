package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/internal/tracking"
)

const compareUsage = `experiment compare says whether two runs differ on the test set that both were tested on: the
difference in accuracy with its interval, McNemar's exact test, the images that only one of them
answers right, and the settings that are not the same.

  experiment compare e1 e2                   # runs/e1 and runs/e2
  experiment compare e1 e1-again -o report   # and a page with the images that changed
  experiment compare e1 e2 -data ~/mnist     # the test set has moved

RUN is the folder of a run, of train or of a study, or its name in the folder of -runs. Runs that
were tested on different sets are refused; of runs of studies that were tested on the first images
of one set (test_images) those are compared that both have.

Flags:
`

// compareOptions is what the command line of compare asks for.
type compareOptions struct {
	runs, data, output string
	json               bool
}

// compareRuns is the subcommand compare.
func compareRuns(ctx context.Context, args []string, to console) int {
	const command = "experiment compare"
	o := new(compareOptions)
	flags := cli.NewFlagSet(command, compareUsage, to.out)
	flags.StringVar(&o.runs, "runs", "runs", "`folder` of the runs that are named")
	cli.Suggest(flags, &o.data, "data", "", cli.DataSets{},
		"the runs' test `set`, where it is not at the place that they record")
	flags.StringVar(&o.output, "o", "",
		"write report.html, report.md and comparison.json with the images that changed into this `folder`")
	flags.BoolVar(&o.json, "json", false, "print comparison.json instead of text")
	version := flags.Bool("version", false, "print the version")
	names, err := cli.ParseOperands(flags, args, cli.Words{cli.FileNames})
	if err == nil && !*version && len(names) != 2 {
		err = fmt.Errorf("two runs are wanted, by their folders or by their names in %s; there are %d",
			o.runs, len(names))
	}
	if code, done := cli.Parsed(command, err, err == nil && *version, to.out, to.err); done {
		return code
	}
	if err := o.compare(ctx, names, to); err != nil {
		return cli.Fail(to.err, command, err)
	}
	return cli.ExitOK
}

func (o *compareOptions) compare(ctx context.Context, names []string, to console) error {
	if o.output != "" {
		if err := document.CheckFolder(o.output, tracking.ComparisonFile); err != nil {
			return err
		}
	}
	var pair [2]*tracking.Record
	for i, name := range names {
		var err error
		if pair[i], err = readRun(o.runs, name); err != nil {
			return err
		}
	}
	test, err := tracking.SameTest(pair[0], pair[1])
	if err != nil {
		return err
	}
	set, err := o.openTest(ctx, test, to.err)
	if err != nil {
		return err
	}
	comparison, err := tracking.Compare(ctx, pair[0], pair[1], set)
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := comparison.Write(ctx, set, o.output); err != nil {
			return err
		}
	}
	text := comparisonText(comparison)
	if o.json {
		if text, err = json.MarshalIndent(comparison, "", "  "); err != nil {
			return fmt.Errorf("print the comparison: %w", err)
		}
		text = append(text, '\n')
	}
	_, err = to.out.Write(text)
	return err
}

// openTest opens the set that both runs were tested on.
func (o *compareOptions) openTest(ctx context.Context, test dataset.Info,
	messages io.Writer) (dataset.Source, error) {
	switch {
	case o.data != "":
		test.Place = o.data
	case test.Place == "" && dataset.IsWord(test.Name): // a study's record has no places
		test.Place = test.Name
	case test.Place == "":
		return nil, fmt.Errorf("the runs were tested on %s, and do not say where it is; -data does",
			test.Name)
	}
	set, err := dataset.Reopen(ctx, test, dataset.Options{Part: dataset.Test, Messages: messages})
	if err != nil {
		return nil, fmt.Errorf("the runs' test set %s: %w; -data names the place where it is now",
			test.Name, err)
	}
	return set, nil
}

// mostTold is the most images that are listed as text.
const mostTold = 20

func comparisonText(c *tracking.Comparison) []byte {
	var b bytes.Buffer
	name := func(i int) string { return display.Printable(c.Runs[i]) }
	fmt.Fprintf(&b, "tested on %s\n\n", display.Printable(c.Test.String()))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%.2f %%\n%s\t%.2f %%\n", name(0), 100*c.Accuracy[0], name(1),
		100*c.Accuracy[1])
	t.Flush()
	fmt.Fprintf(&b, "\n%s\n\n", display.Printable(c.Sentence()))
	fmt.Fprintf(&b, "both right %d, only %s %d, only %s %d, both wrong %d\n", c.BothRight, name(0),
		c.OnlyFirst, name(1), c.OnlySecond, c.BothWrong)
	if len(c.Settings) > 0 {
		fmt.Fprint(&b, "\n")
		t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "setting\t%s\t%s\n", name(0), name(1))
		for _, s := range c.Settings {
			fmt.Fprintf(t, "%s\t%s\t%s\n", display.Printable(s.Name), display.Printable(s.First),
				display.Printable(s.Second))
		}
		t.Flush()
	}
	if len(c.Changed) == 0 {
		return b.Bytes()
	}
	classes := c.ClassNames()
	fmt.Fprint(&b, "\n")
	t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "image\tlabel\t%s\t%s\tfile\n", name(0), name(1))
	for _, change := range c.Changed[:min(mostTold, len(c.Changed))] {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", change.Image, classes(change.Label), classes(change.First),
			classes(change.Second), display.Printable(change.File))
	}
	t.Flush()
	if rest := len(c.Changed) - mostTold; rest > 0 {
		fmt.Fprintf(&b, "and %s more; -o FOLDER writes all\n", display.Count(rest, "image"))
	}
	return b.Bytes()
}
