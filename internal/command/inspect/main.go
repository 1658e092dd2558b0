// Package inspect is the command inspect. It shows what an ONNX file holds, draws its graph, and
// says which runtimes will refuse it. Run it with -h for its flags and the form of -json.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/inspect"
)

const usage = `inspect shows what an ONNX file holds: its graph as a table, its totals, inputs and outputs, metadata, opsets and
versions, and which known runtimes will refuse it, and why.

  inspect e2.onnx                       # a bare name is looked up here, then in graphs/
  inspect -svg graph.svg e2.onnx        # and draw the graph as a picture
  inspect -json other.onnx              # for programs

Multiply-adds are the multiplications with an addition in convolutions and matrix products, for one example where the
batch is free, else for one run: of a convolution output elements × channels of a group × kernel elements, of a product
output elements × inner dimension. Zeros of a padding count; biases, activations, pooling and normalisation do not.
Parameters are the numbers in initializers and Constant nodes, without int64, bool and string: shapes, axes and labels.

A runtime "runs" the file where nothing is known against it, "refuses" it where something is, in load or in answer, and
is "unknown" where the file has something that was not tried. Slipway's own runtimes are asked, the native one about a
black image; the source of every other reason stands in brackets. It is no proof: infer -cross-validate runs the file.

Exit status: 0 the file is a valid model, whoever refuses it; 1 it is invalid (what can be told of it is printed), or a
failure; 2 wrong usage.

-json prints one object:
  file, sha256, bytes, external_bytes    the file; bytes of external data beside it
  ir_version, opsets                     opsets: domain, version
  producer, producer_version, graph, description
  inputs, outputs                        name, type, shape: numbers, names, null for a free dimension
  initializers                           by type: type, tensors, values, bytes
  parameters, parameter_bytes            totals
  multiply_adds, multiply_adds_partial   total; true where it is a lower bound
  batch                                  the first dimension of the first input, null where it is free
  nodes                                  name, operator, attributes, inputs, outputs, parameters, multiply_adds
  functions                              model-local functions
  not_checked                            operators held only against the general rules
  metadata                               the model's metadata_props
  notes                                  what was changed in reading it, such as nodes that were sorted
  problem                                what is invalid, or null
  runtimes                               runtime, version, expectation (runs, refuses, unknown), reasons: text, source

Flags:
`

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr)
	})
}

type options struct {
	model   string
	svg     string
	json    bool
	version bool
}

// run is Main without the process: it returns the exit code, 0 for success, 1
// for failure or an invalid model and 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if code, done := cli.Parsed("inspect", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	if err := show(ctx, o, stdout); err != nil {
		return cli.Fail(stderr, "inspect", err)
	}
	return cli.ExitOK
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("inspect", usage, stdout)
	flags.BoolVar(&o.json, "json", false, "print JSON instead of text")
	flags.StringVar(&o.svg, "svg", "", "draw the graph to an SVG `file`")
	flags.BoolVar(&o.version, "version", false, "print the version")
	models, err := cli.ParseOperands(flags, args, cli.Models{})
	switch {
	case err != nil || o.version:
		return o, err
	case len(models) == 0:
		return nil, errors.New("the model is missing: inspect FILE.onnx")
	case len(models) > 1:
		return nil, fmt.Errorf("unexpected argument %q: one model is inspected at a time", models[1])
	case cli.Given(flags)["svg"] && !strings.EqualFold(filepath.Ext(o.svg), ".svg"):
		return nil, fmt.Errorf("-svg %s: the picture is SVG, give a name that ends in .svg", o.svg)
	}
	o.model = models[0]
	return o, nil
}

// show prints what is in the file. An invalid model is told of, and is an error.
func show(ctx context.Context, o *options, stdout io.Writer) error {
	path, err := cli.FindModel(o.model)
	if err != nil {
		return err
	}
	inspection, err := inspect.File(ctx, path)
	if err != nil {
		return err
	}
	if o.svg != "" {
		svg, err := inspection.Picture()
		if err != nil {
			return fmt.Errorf("-svg: %w", err)
		}
		if err := atomicfile.WriteBytes(o.svg, svg); err != nil {
			return fmt.Errorf("-svg: %w", err)
		}
	}
	output := []byte(inspection.Text())
	if o.json {
		if output, err = inspection.JSON(); err != nil {
			return err
		}
	}
	if _, err := stdout.Write(output); err != nil {
		return fmt.Errorf("print what is in the file: %w", err)
	}
	if inspection.Report.Problem != "" {
		return fmt.Errorf("%s is not valid: %s", path, inspection.Report.Problem)
	}
	return nil
}
