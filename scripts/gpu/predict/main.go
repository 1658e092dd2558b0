// Command predict predicts what a training step's launches take on a GPU that nobody here has: from
// what the simulator saw of them, the instructions of the kernels, and published figures of the
// device. scripts/gpu/make-prediction runs it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"slipway/internal/cuda/trace"
)

const usage = `predict writes what the launches of steps are predicted to take on an NVIDIA H200.

  go run ./scripts/gpu/predict -launches FILE -sass FILE -ptx FILE -o docs/cuda-predicted.md

make gpu-predict makes the first two files, and runs it.

Flags:
`

func main() {
	flags := flag.NewFlagSet("predict", flag.ContinueOnError)
	launches := flags.String("launches", "",
		"`file` that the tests of internal/cuda wrote (SLIPWAY_LAUNCHES)")
	sass := flags.String("sass", "",
		"`file` with the instructions of the kernels, as nvdisasm -c -g lists them")
	ptx := flags.String("ptx", "internal/cuda/kernels/kernels.ptx",
		"`file` of the kernels that the program embeds: the page names its digest")
	output := flags.String("o", "docs/cuda-predicted.md", "`file` of the page")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	case flags.NArg() > 0, *launches == "", *sass == "", *ptx == "", *output == "":
		fmt.Fprintln(os.Stderr,
			"predict: -launches, -sass, -ptx and -o name files, and there are no arguments")
		os.Exit(2)
	}
	if err := run(*launches, *sass, *ptx, *output); err != nil {
		fmt.Fprintln(os.Stderr, "predict:", err)
		os.Exit(1)
	}
}

func run(launches, sass, ptx, output string) error {
	text, err := os.ReadFile(launches)
	if err != nil {
		return err
	}
	var steps []trace.Step
	if err := json.Unmarshal(text, &steps); err != nil {
		return fmt.Errorf("%s: %w", launches, err)
	}
	listing, err := os.Open(sass)
	if err != nil {
		return err
	}
	functions, err := readSASS(listing)
	if err = errors.Join(err, listing.Close()); err != nil {
		return fmt.Errorf("%s: %w", sass, err)
	}
	var all []predictedStep
	for _, step := range steps {
		predictions, err := predict(functions, step)
		if err != nil {
			return err
		}
		predicted := predictedStep{step.Network, step.Batch, predictions, nil}
		for _, l := range step.Launches {
			if !l.Kernel() {
				continue
			}
			passed, unknown := loopsWithout(functions, l)
			if len(unknown) > 0 {
				return fmt.Errorf("%s at %d, kernel %s: the loops at %v have no accesses that the simulator "+
					"counted: their rounds are not known", step.Network, step.Batch, l.Name, unknown)
			}
			predicted.passed = append(predicted.passed, passed...)
		}
		all = append(all, predicted)
	}
	kernels, err := os.ReadFile(ptx)
	if err != nil {
		return err
	}
	return os.WriteFile(output, []byte(page(all, kernels)), 0o666)
}
