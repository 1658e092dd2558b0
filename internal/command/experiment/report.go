package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/study"
	"slipway/internal/study/report"
)

const reportUsage = `experiment report says what a study came to: report.html, which needs no other file,
report.md, and beside every figure the CSV file that it was drawn from.

  experiment report experiments/dropout.yaml            # into experiments/dropout/
  experiment report -quick experiments/dropout.yaml     # of the short form, into its own folder
  experiment report runs/studies/dropout -o dropout-report

STUDY is a study's file, or the folder that experiment run made of it. Runs that are
not finished are left out, and the report says so.

Flags:
`

// reportOptions is what the command line of report asks for.
type reportOptions struct {
	where
	studies []string
	output  string
	test    string
	unseen  string
	version bool
}

func parseReport(args []string, to console) (*reportOptions, error) {
	o := new(reportOptions)
	flags := cli.NewFlagSet("experiment report", reportUsage, to.out)
	o.define(flags, "report on the study's short form")
	flags.StringVar(&o.output, "o", "",
		"`folder` of the report (beside the study's file and named like it; report/ in a study's folder)")
	flags.StringVar(&o.test, "test", "",
		"the study's test `set`, where it is not at the place that the study records")
	flags.StringVar(&o.unseen, "unseen", "",
		"`sets` that the networks were not trained for, such as optdigits,fashion: how right and how sure they are on them")
	flags.BoolVar(&o.version, "version", false, "print the version")
	studies, err := cli.ParseOperands(flags, args, cli.Words{cli.FileNames})
	if err != nil {
		return nil, err
	}
	o.studies = studies
	o.take()
	switch {
	case o.version:
		return o, nil
	case len(studies) == 0:
		return nil, errors.New("a study is missing, such as experiments/dropout.yaml")
	case len(studies) > 1 && o.output != "":
		return nil, errors.New("-o names the folder of one report; give one study")
	}
	for _, name := range studies {
		if given := cli.Given(flags); isFolder(name) && (given["quick"] || given["runs"]) {
			return nil, fmt.Errorf(
				"%s is a folder of runs itself: -quick and -runs say where those of a study's FILE lie", name)
		}
	}
	return o, nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// reportStudies is the subcommand report.
func reportStudies(ctx context.Context, args []string, to console) int {
	o, err := parseReport(args, to)
	if code, done := cli.Parsed("experiment report", err, err == nil && o.version, to.out,
		to.err); done {
		return code
	}
	for _, name := range o.studies {
		if err := o.reportStudy(ctx, name, to); err != nil {
			return cli.Fail(to.err, "experiment report", err)
		}
	}
	return cli.ExitOK
}

func (o *reportOptions) reportStudy(ctx context.Context, name string, to console) error {
	dir, output, test, err := o.place(name)
	if err != nil {
		return err
	}
	set, err := openTest(ctx, dir, test)
	if err != nil {
		return fmt.Errorf("test set: %w", err)
	}
	s, err := report.Load(dir, set)
	if err != nil {
		return err
	}
	if o.unseen != "" {
		var sets []*dataset.Set
		for name := range strings.SplitSeq(o.unseen, ",") {
			set, err := dataset.Open(ctx, name, dataset.Options{})
			if err != nil {
				return fmt.Errorf("-unseen: %w", err)
			}
			sets = append(sets, set)
		}
		if err := s.MeasureUnseen(ctx, sets); err != nil {
			return err
		}
	}
	if err := s.Write(output); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "study %s: %s\n", s.Plan.Study, filepath.Join(output, report.HTMLFile))
	return nil
}

// openTest opens the test set of the study in the folder as the study read it.
func openTest(ctx context.Context, dir, test string) (*dataset.Set, error) {
	plan, err := study.ReadPlan(dir)
	if err != nil {
		return nil, err
	}
	reading, err := dataset.Options{Part: dataset.Test}.AsRecorded(plan.Test)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Open(ctx, test, reading)
	if err != nil {
		return nil, err
	}
	if names := plan.Test.ClassNames; len(set.Files) > 0 && len(names) > 0 &&
		!slices.Equal(names, set.ClassNames) {
		return set.Relabelled(names)
	}
	return set, nil
}

// place returns the folder of the study's runs, that of its report, and its test set.
func (o *reportOptions) place(name string) (dir, output, test string, err error) {
	output = o.output
	if isFolder(name) {
		if output == "" {
			output = filepath.Join(name, "report")
		}
		return name, output, o.testSet(name, string(dataset.Test)), nil
	}
	file, err := study.ReadFile(name)
	if err != nil {
		return "", "", "", err
	}
	dir = filepath.Join(o.runs, file.Name)
	if output == "" {
		output = strings.TrimSuffix(name, filepath.Ext(name))
		if o.quick {
			output = filepath.Join(dir, "report")
		}
	}
	before := file.Test
	if before == "" {
		before = string(dataset.Test)
	}
	return dir, output, o.testSet(dir, before), nil
}

// testSet names the test set of the study in the folder: the one of -test, or the one
// that its plan records. Plans of before they recorded it are of the set before.
func (o *reportOptions) testSet(dir, before string) string {
	if o.test != "" {
		return o.test
	}
	if plan, err := study.ReadPlan(dir); err == nil && plan.Test.Place != "" {
		return plan.Test.Place
	}
	return before
}
