// Package sbom is the command sbom: the machine-learning bill of materials of an ONNX model.
package sbom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	bill "slipway/provenance/sbom"
)

const usage = `sbom writes the bill of materials of an ONNX model: CycloneDX 1.6, with a model card.

  sbom mine.onnx                                      # to standard output
  sbom -o mine.cdx.json mine.onnx                     # to a file
  sbom e1.onnx                                        # a bare name: here, or in graphs/

It says what the model's graph and metadata say: the file's digest, inputs and outputs, the
training set, its digest and its licence, the accuracy that was measured. What they do not say is
left out. The same model makes the same bytes.

Exit status: 0 it is written; 1 a failure, such as a model that is invalid; 2 wrong usage.

Flags:
`

type options struct {
	model, output string
	version       bool
}

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return Run(ctx, args, os.Stdout, os.Stderr)
	})
}

// Run is Main without the process: it returns the exit code, 0 for success, 1 for failure
// and 2 for wrong usage.
func Run(_ context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if code, done := cli.Parsed("sbom", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	if err := o.run(stdout); err != nil {
		return cli.Fail(stderr, "sbom", err)
	}
	return cli.ExitOK
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("sbom", usage, stdout)
	flags.StringVar(&o.output, "o", "", "write to this `file` instead of standard output")
	flags.BoolVar(&o.version, "version", false, "print the version")
	models, err := cli.ParseOperands(flags, args, cli.Models{})
	switch {
	case err != nil || o.version:
		return o, err
	case len(models) == 0:
		return nil, errors.New("the model is missing: sbom FILE.onnx")
	case len(models) > 1:
		return nil, fmt.Errorf("unexpected argument %q: one model is described at a time", models[1])
	case cli.Given(flags)["o"] && !strings.EqualFold(filepath.Ext(o.output), ".json"):
		return nil,
			fmt.Errorf("-o %s: the bill is JSON, give a name that ends in .json, such as mine.cdx.json",
				o.output)
	}
	o.model = models[0]
	return o, nil
}

func (o *options) run(stdout io.Writer) error {
	path, err := cli.FindModel(o.model)
	if err != nil {
		return err
	}
	text, err := bill.Of(path)
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := checkBill(o.output); err != nil {
			return err
		}
		return atomicfile.WriteBytes(o.output, text)
	}
	if _, err := stdout.Write(text); err != nil {
		return fmt.Errorf("print the bill of materials: %w", err)
	}
	return nil
}

// checkBill refuses to write over what is no bill of materials.
func checkBill(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	var there struct {
		Format string `json:"bomFormat"`
	}
	if json.Unmarshal(text, &there) != nil || there.Format != "CycloneDX" {
		return fmt.Errorf("-o %s: it is there, is no bill of materials, and is not written over: "+
			"name another file, or remove it", path)
	}
	return nil
}
