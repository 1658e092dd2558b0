// Package export is the command export. It turns training runs into ONNX graphs that other runtimes
// have confirmed. Run it with -h for its flags.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/export"
	"slipway/internal/cli"
	"slipway/internal/command/worker"
	"slipway/internal/nearest"
	"slipway/pretrained"
	"slipway/train"
)

const usage = `export writes a run's network as ONNX, after other runtimes have answered as the
trainer does on all images of the run's test set. Beside NAME.onnx it writes a folder
NAME/ with the card, ONNX test data and the trainer's answers.

  export                                   # every run of runs/ named e1 or e2
  export -run runs/mine -o mine.onnx -verify onnxruntime
  export -run runs/mine -o mine.onnx -verify all         # in all runtimes that are brought in minutes
  export -run runs/mine -o mine.onnx -variant float16,int8   # and smaller ones beside it
  export -run runs/mine -o mine.onnx -data other         # judged on another set than the run's
  export -run runs/mine -o mine.onnx -verify none        # unverified: needs no data
  export -model graphs/e1.onnx -variant int8 -o e1-int8.onnx
  export -model resnet.onnx -variant int8 -pixels 0.5,0.5 -data birds:t10k -calibration-data birds:train
  export -model graphs/e1.onnx -input uint8 -softmax -batch 1
  export -from efficientnet_lite0 -o lite0.onnx          # a pretrained network as it is

-variant, -batch, -softmax and -input ask for variants of the graph, each in a file
of its own; the graph itself stays what it is. A variant is written once onnxruntime
has answered with it on the test images as with the graph: exactly alike where only
the form is another one; float16 within 5 of 10,000 labels; int8 at -max-loss. The
test images, and those that int8's ranges are measured on, are of the sets that the
graph records, where this program knows them by that word, or of -data and
-calibration-data.

-verify takes names, separated by commas; usual, which is taken where none is given,
is onnxruntime and, as a second opinion, onnx-go or, where that does not run the
graph, native: which, and why, is said and recorded. %s run in this program;
%s
are brought by scripts/conformance, each in a pinned version into a folder of its
own, and so are %s, which all leaves out. One that differs, or that
cannot be installed, ends the export before anything is written; all passes over
native and onnx-go where they do not run the graph.

Flags:
`

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	if worker.Asked(args) {
		return worker.Main()
	}
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr)
	})
}

type options struct {
	run, output, runs, graphs string
	from                      string
	verify                    []string
	data                      string
	skipDamaged               bool
	passOver                  bool // of verify, those that do not run the graph
	tolerance                 float64
	variants                  variants
	version                   bool
}

// run is Main without the process: it returns the exit code, 0 for success, 1
// for failure and 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if code, done := cli.Parsed("export", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	err = o.work(ctx, stdout, stderr)
	if err != nil {
		return cli.Fail(stderr, "export", err)
	}
	return cli.ExitOK
}

// work exports runs, or makes variants of a model.
func (o *options) work(ctx context.Context, stdout, stderr io.Writer) error {
	if o.from != "" {
		return o.exportPretrained(ctx, stdout, stderr)
	}
	if o.variants.model == "" {
		return exportAll(ctx, o, stdout, stderr)
	}
	opener, err := openerForModel(o.variants.model, o.skipDamaged, stdout)
	if err != nil {
		return err
	}
	test, err := opener.open(ctx, o.data, dataset.Test)
	if err != nil {
		return fmt.Errorf("-data: %w", err)
	}
	return o.variants.make(ctx, o.variants.model, o.output, variantSets{test: test}, opener)
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("export", fmt.Sprintf(usage, strings.Join(export.Runtimes(), ", "),
		strings.Join(export.ForeignRuntimes(), ", "), strings.Join(export.OptionalRuntimes(), ", ")),
		stdout)
	flags.StringVar(&o.run, "run", "", "`folder` of the run; every e1 and e2 in -runs if empty")
	cli.Suggest(flags, &o.from, "from", "", cli.Words(pretrained.Names()),
		"`name` of a pretrained network that is exported as it is: "+strings.Join(pretrained.Names(),
			", ")+" (brought once, docs/pretrained.md)")
	flags.StringVar(&o.output, "o", "", "the ONNX `file` of -run; the run's name in -graphs if empty")
	flags.StringVar(&o.runs, "runs", "runs", "`folder` of the runs")
	flags.StringVar(&o.graphs, "graphs", "graphs", "`folder` of the graphs")
	var verify string
	cli.Suggest(flags, &verify, "verify", export.Usual,
		cli.Words(slices.Concat(export.Runtimes(), export.ForeignRuntimes(), export.OptionalRuntimes(),
			[]string{export.Usual, "all", "none"})),
		"`runtimes` that must agree: names, usual, all, or none")
	flags.Float64Var(&o.tolerance, "tolerance", 0,
		"largest logit difference as a fraction of the logits' range (1e-5)")
	cli.Suggest(flags, &o.data, "data", "", cli.DataSets{},
		"`set` to verify on, instead of the one that the run, or the model, was tested on")
	flags.BoolVar(&o.skipDamaged, "skip-damaged", false,
		"leave out pictures of -data and -calibration-data that cannot be read, and list them")
	readVariants := o.variants.define(flags)
	flags.BoolVar(&o.version, "version", false, "print the version")
	if err := cli.Parse(flags, args); err != nil {
		return nil, err
	}
	given := cli.Given(flags)
	switch {
	case o.output != "" && o.run == "" && o.variants.model == "" && o.from == "":
		return nil, errors.New(
			"-o names the file of one run or of one variant; give its -run or -model too")
	case o.output != "" && filepath.Ext(o.output) != ".onnx":
		return nil, fmt.Errorf("-o %s does not end in .onnx", o.output)
	case o.run != "" && given["runs"]:
		return nil, errors.New("-run and -runs each say what to export; give one of them")
	case o.variants.model != "" && (given["run"] || given["runs"] || given["graphs"]):
		return nil, errors.New("-model is there already; -run, -runs and -graphs are for making one")
	case o.variants.model != "" && (given["verify"] || given["tolerance"]):
		return nil, errors.New(
			"-verify and -tolerance are of a run's graph; a variant of -model is held against it in onnxruntime")
	case o.skipDamaged && o.data == "" && o.variants.calibration == "":
		return nil, errors.New(
			"-skip-damaged is of -data and -calibration-data; a run's own sets are read as they were")
	case given["tolerance"] && !(o.tolerance > 0 && o.tolerance < 1):
		return nil, fmt.Errorf("-tolerance %v is outside 0 < t < 1", o.tolerance)
	}
	if err := readVariants(given, o.output); err != nil {
		return nil, err
	}
	if err := o.checkFrom(given); err != nil {
		return nil, err
	}
	var err error
	o.verify, err = runtimes(verify)
	o.passOver = slices.Contains(strings.Split(verify, ","), "all")
	return o, err
}

// runtimes returns the names that -verify lists, each once.
func runtimes(list string) ([]string, error) {
	if list == "none" {
		return nil, nil
	}
	all := slices.Concat(export.Runtimes(), export.ForeignRuntimes())
	known := slices.Concat(all, export.OptionalRuntimes())
	var chosen []string
	for _, name := range strings.Split(list, ",") {
		names := []string{name}
		if name == "all" {
			names = all
		} else if name != export.Usual && !slices.Contains(known, name) {
			return nil, fmt.Errorf("-verify: unknown runtime %q%s; there are %s", name,
				nearest.Hint(name, known), strings.Join(known, ", "))
		}
		for _, name := range names {
			if !slices.Contains(chosen, name) {
				chosen = append(chosen, name)
			}
		}
	}
	return chosen, nil
}

// exportAll exports the run asked for, or every run of an experiment.
func exportAll(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	runs := []string{o.run}
	if o.run == "" {
		runs = nil
		for _, name := range []string{"e1", "e2"} {
			path := filepath.Join(o.runs, name)
			if _, err := os.Stat(path); err == nil {
				runs = append(runs, path)
			}
		}
		if len(runs) == 0 {
			return fmt.Errorf("%s has no run e1 or e2; train one with: make train-e1", o.runs)
		}
	}
	asWorker, err := worker.Command()
	if err != nil {
		return err
	}
	script := ""
	if slices.ContainsFunc(o.verify, func(name string) bool {
		return name != export.Usual && !slices.Contains(export.Runtimes(), name)
	}) {
		if script, err = export.FindConformance(); err != nil {
			return fmt.Errorf("-verify: %w", err)
		}
	}
	for _, path := range runs {
		dir, err := train.OpenRun(path)
		if err != nil {
			return err
		}
		sets, err := o.setsOf(dir)
		if err != nil {
			return err
		}
		opener, err := openerFor(sets, o.skipDamaged, stdout)
		if err != nil {
			return err
		}
		test, err := opener.open(ctx, o.data, dataset.Test)
		if err != nil {
			return fmt.Errorf("-data: %w", err)
		}
		output := o.output
		if output == "" {
			output = filepath.Join(o.graphs, filepath.Base(path)+".onnx")
		}
		fmt.Fprintf(stdout, "%s → %s\n", path, output)
		err = export.Run(ctx, dir, export.Options{
			Output: output, Test: test, Verify: o.verify, PassOver: o.passOver, Tolerance: o.tolerance,
			Worker:      asWorker,
			Conformance: script, ProducerVersion: cli.ModuleVersion, Messages: stdout, Progress: stderr,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := o.variants.makeOfRun(ctx, sets, output, test, opener); err != nil {
			return err
		}
	}
	return nil
}
