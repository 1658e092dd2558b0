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
	"time"
)

const usage = `gpu-check checks and times training on CUDA, and writes one report.

  ./gpu-check                        # everything that eight minutes suffice for, the most valuable first
  ./gpu-check -budget 25m -epochs 10

It takes what is there: NVIDIA's driver, cuDNN 9 and cuBLAS 13 (from the system, LD_LIBRARY_PATH, or Python packages),
PyTorch, JAX, onnxruntime-gpu, ncu and compute-sanitizer. What is not there, or for which no time was left, is said in
the report, in the place of its figures. What the programs print goes to at most six files beside the report, as it comes.

Exit status: 0 all that could be checked passed, on a GPU; 1 something failed, or there is no GPU; 2 wrong usage.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("gpu-check", flag.ContinueOnError)
	output := flags.String("o", "gpu-report.md", "`file` of the report")
	budget := flags.Duration("budget", 8*time.Minute, "`time` for all of it")
	epochs := flags.Int("epochs", 1, "passes over the training set of E1 and E2")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	case flags.NArg() > 0, *epochs < 1, *budget <= 0, *output == "":
		fmt.Fprintln(os.Stderr,
			"gpu-check: -epochs and -budget are above 0, -o names a file, and there are no arguments")
		os.Exit(2)
	}
	ok, err := run(ctx, *output, *budget, *epochs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run makes all stages. The report is written as they go.
func run(ctx context.Context, output string, budget time.Duration, epochs int) (ok bool,
	err error) {
	program, err := os.Executable()
	if err != nil {
		// A container without /proc: the name that it was called by leads there.
		if program, err = filepath.Abs(os.Args[0]); err != nil {
			return false, fmt.Errorf("where the bundle lies: %w", err)
		}
	}
	if output, err = filepath.Abs(output); err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "gpu-check-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	c := &checker{
		bundle: &bundle{folder: filepath.Dir(program), scratch: scratch},
		report: newReport(output), epochs: epochs,
	}
	if c.write(); c.err != nil {
		return false, c.err // before the time of a GPU is spent
	}
	began := time.Now()
	limit, cancel := context.WithTimeout(ctx, min(budget, 30*time.Second))
	c.findLibraries(limit)
	cancel()
	c.check(ctx, stages(), budget-time.Since(began))
	fmt.Println("the report is", output)
	return c.passed() && c.gpu, errors.Join(c.err, ctx.Err())
}
