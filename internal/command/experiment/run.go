package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/internal/mlflow"
	"slipway/internal/study"
)

const runUsage = `experiment run trains every setting of a study from every seed. What is finished
is not run again, what was under way goes on: run it again after a crash or Ctrl-C.

  experiment run experiments/dropout.yaml
  experiment run -quick experiments/*.yaml     # a short form, in a folder of its own
  experiment run -part 2/8 experiments/dropout.yaml   # one of eight jobs, each on a machine of its own

A study FILE is YAML; docs/tutorial-study.md explains it by an example. Any number of processes, on machines
that share the folder of -runs, may run a study at once: each run is one process's, which says so in the
folder again and again. One that is killed is noticed, after a minute where it was on another machine,
and its runs go on elsewhere, from where they were saved. -part leaves the waiting for others out.

Flags:
`

// names lists the subcommands.
func names() []string { return slices.Sorted(maps.Keys(subcommands())) }

// runOptions is what the command line of run asks for.
type runOptions struct {
	where
	files             []string
	parallel, threads int
	part              study.Part
	dataDir           string
	tensorBoard       string
	mlflow            mlflow.Flags
	version           bool
}

func parseRun(args []string, stdout io.Writer) (*runOptions, error) {
	o := new(runOptions)
	flags := cli.NewFlagSet("experiment run", runUsage, stdout)
	o.define(flags, "the study's short form: fewer images, epochs and seeds")
	flags.IntVar(&o.parallel, "parallel", 0,
		"runs at a time; 0 for what the file says, or one for each core")
	flags.IntVar(&o.threads, "threads", 0, "threads of each run; 0 for what the file says, or 1")
	flags.Func("part",
		"train `I/N`, the I-th of N shares of the runs, as an array of jobs does; experiment report tells of all",
		func(text string) (err error) {
			o.part, err = study.ParsePart(text)
			return err
		})
	flags.StringVar(&o.dataDir, "data-dir", "", "`folder` with MNIST's training files")
	flags.StringVar(&o.tensorBoard, "tensorboard", "",
		"also write TensorBoard's event files below this `folder`")
	o.mlflow.Define(flags, "", "`name` of MLflow's experiment; the study's if empty")
	flags.BoolVar(&o.version, "version", false, "print the version")
	files, err := cli.ParseOperands(flags, args, cli.Words{cli.FileNames})
	if err != nil {
		return nil, err
	}
	o.files = files
	o.take()
	switch {
	case o.version:
		return o, nil
	case len(o.files) == 0:
		return nil, errors.New("a study file is missing, such as experiments/dropout.yaml")
	case o.parallel < 0:
		return nil, fmt.Errorf("-parallel %d is negative", o.parallel)
	}
	if err := o.mlflow.Check(cli.Given(flags)); err != nil {
		return nil, err
	}
	return o, cli.CheckThreads(o.threads)
}

// runStudies is the subcommand run.
func runStudies(ctx context.Context, args []string, to console) int {
	o, err := parseRun(args, to.out)
	if code, done := cli.Parsed("experiment run", err, err == nil && o.version, to.out, to.err); done {
		return code
	}
	// All files are checked before the first run of the first one starts.
	var files []*study.File
	for _, path := range o.files {
		file, err := study.ReadFile(path)
		if err == nil {
			err = file.Load(ctx, to.err)
		}
		if err != nil {
			return cli.Fail(to.err, "experiment run", err)
		}
		if o.quick {
			file.Shorten()
		}
		files = append(files, file)
	}
	// What is learned is in files: a study does not end with who reads its progress.
	to.out = cli.NewDispensable("experiment run", to.out, to.err, "the study goes on")
	for _, file := range files {
		if err := o.runStudy(ctx, file, to); err != nil {
			return cli.Fail(to.err, "experiment run", err)
		}
	}
	return cli.ExitOK
}

func (o *runOptions) runStudy(ctx context.Context, file *study.File, to console) error {
	form := ""
	if o.quick {
		form = ", the short form"
	}
	fmt.Fprintf(to.out, "study %s%s, into %s\n", file.Name, form, filepath.Join(o.runs, file.Name))
	reporter := study.NewReporter(to.out, to.terminal, to.rows, to.columns)
	results, err := study.Execute(ctx, file, study.Options{
		Root: o.runs, Parallel: o.parallel, Threads: o.threads, DataDir: o.dataDir,
		TensorBoard: o.tensorBoard, MLflow: o.mlflow, Part: o.part, Progress: reporter,
		Messages: func(line string) {
			reporter.Close() // takes the table away
			fmt.Fprint(to.out, line)
		},
	})
	reporter.Close()
	if errors.Is(err, study.ErrInterrupted) {
		return fmt.Errorf("%w; what was under way is saved.\nGo on with the same command", err)
	}
	if err != nil {
		return err
	}
	if o.part.Of > 0 {
		// Figures of a share of the seeds would pass for those of the study.
		_, err := fmt.Fprintf(to.out,
			"part %v of study %s: %s of it finished; experiment report %s tells of all parts\n", o.part,
			file.Name, display.Count(len(results), "run"), file.Path)
		return err
	}
	return study.WriteTable(to.out, study.Summarize(results))
}
