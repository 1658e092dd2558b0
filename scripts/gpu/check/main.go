// Command gpu-check checks and times training on CUDA on a machine with a GPU, and
// writes one report. It lies in a bundle (scripts/gpu/make-bundle) beside the
// programs that it runs, and needs neither Go nor a network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `gpu-check checks and times training on CUDA, and writes one report.

  ./gpu-check                    # everything, about half an hour
  ./gpu-check -epochs 1          # one pass over the training set each instead of 10

It takes what is there: NVIDIA's driver, cuDNN 9 and cuBLAS 13 (from the system, LD_LIBRARY_PATH, or Python packages),
PyTorch, onnxruntime-gpu and compute-sanitizer. What is not there is said in the report, in the place of its figures.

Exit status: 0 all that could be checked passed, on a GPU; 1 something failed, or there is no GPU; 2 wrong usage.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("gpu-check", flag.ContinueOnError)
	output := flags.String("o", "gpu-report.md", "`file` of the report")
	epochs := flags.Int("epochs", 10, "passes over the training set of E1 and E2")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil, flags.NArg() > 0, *epochs < 1:
		os.Exit(2)
	}
	ok, err := run(ctx, *output, *epochs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// run makes the checks one after another and writes the report after each, so that
// what was found stays when the machine is taken away.
func run(ctx context.Context, output string, epochs int) (ok bool, err error) {
	program, err := os.Executable()
	if err != nil {
		// A container without /proc: the name that it was called by leads there.
		if program, err = filepath.Abs(os.Args[0]); err != nil {
			return false, fmt.Errorf("where the bundle lies: %w", err)
		}
	}
	b := &bundle{folder: filepath.Dir(program)}
	if b.scratch, err = os.MkdirTemp("", "gpu-check-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(b.scratch)
	b.findLibraries(ctx)
	r := newReport()
	for _, check := range []func(context.Context, *bundle, *report, int){
		checkMachine, checkTests, checkTraining, checkSteps, checkPyTorch, checkInference, checkSanitizer,
	} {
		check(ctx, b, r, epochs)
		if err := os.WriteFile(output, []byte(r.text()), 0o666); err != nil {
			return false, fmt.Errorf("write the report: %w", err)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	fmt.Println("the report is in", output)
	return r.passed() && b.gpu, nil
}
