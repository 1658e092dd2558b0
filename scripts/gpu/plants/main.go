// Plants puts one bug at a time into the CUDA code, and reports whether the tests on the simulator
// notice it. A bug that they do not notice is a gap of the simulator or of the tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const usage = `plants puts one bug at a time into the CUDA code and runs its tests on the simulator.

  plants                                 all of them; make gpu-plants sets what the build needs
  plants -only 'stream|fork'             those whose name matches
  plants -only stream -run TwoStreams    with the tests of these names alone, as go test -run has them

Exit status: 0 all are caught; 1 one is not, or the tests fail without any; 2 wrong usage.

Flags:
`

func main() {
	flags := flag.NewFlagSet("plants", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	only := flags.String("only", "", "plant only those whose name matches this `pattern`")
	tests := flags.String("run", "", "run only the tests whose name matches this `pattern`")
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil || flags.NArg() > 0:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *tests, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "plants: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, tests string, out io.Writer) (err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	garden, err := newGarden(tests)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(garden.root)) }()
	if failed, err := garden.test(ctx); err != nil || failed != "" {
		return errors.Join(err, fmt.Errorf("the tests fail without a bug: %s", failed))
	}
	fmt.Fprintln(out, "| planted | in | caught by | s |")
	fmt.Fprintln(out, "| --- | --- | --- | ---: |")
	var tried, missed int
	for _, p := range plants() {
		if !wanted.MatchString(p.name) {
			continue
		}
		began := time.Now()
		failed, err := garden.planted(ctx, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tried++
		switch {
		case err != nil: // it could not be planted, which catches nothing
			missed++
			fmt.Fprintf(os.Stderr, "plants: %s: %v\n", p.name, err)
			failed = "not tried"
		case failed == "":
			missed++
			failed = "**nothing**"
		}
		fmt.Fprintf(out, "| %s | `%s` | %s | %.0f |\n", p.name, p.file, failed, time.Since(began).Seconds())
	}
	fmt.Fprintf(out, "\n%d of %d were caught.\n", tried-missed, tried)
	if missed > 0 {
		return fmt.Errorf("%d bugs were not caught", missed)
	}
	return nil
}

// garden is a copy of the sources, in which bugs are planted, and which tests look for them: all if
// there is no pattern.
type garden struct{ root, tests string }

// newGarden copies what git tracks, and leads the copy to the headers that are there.
func newGarden(tests string) (*garden, error) {
	if os.Getenv("CGO_CFLAGS") == "" {
		return nil, errors.New("CGO_CFLAGS is not set: run make gpu-plants, which asks scripts/build-cuda-shim for it")
	}
	origin, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp("", "slipway-plants")
	if err != nil {
		return nil, err
	}
	g := &garden{root, tests}
	list, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("git ls-files: %w", err), os.RemoveAll(root))
	}
	for _, name := range strings.Split(strings.TrimRight(string(list), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, os.RemoveAll(root))
		}
	}
	headers := filepath.Join(".cache", "cuda", "13.0")
	err = errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(headers)), 0o755),
		os.Symlink(filepath.Join(origin, headers), filepath.Join(root, headers)))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return g, nil
}

func copyFile(to, from string) error {
	info, err := os.Stat(from)
	if err != nil || info.IsDir() {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode())
}

// planted runs the tests with a bug in the copy, and takes it out again.
func (g *garden) planted(ctx context.Context, p plant) (failed string, err error) {
	path := filepath.Join(g.root, "internal", "cuda", p.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), p.from); n != 1 {
		return "", fmt.Errorf("%s has the text that is replaced %d times, want once: %q", p.file, n, p.from)
	}
	bug := strings.Replace(string(text), p.from, p.to, 1)
	if err := os.WriteFile(path, []byte(bug), 0o644); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, text, 0o644)) }()
	return g.test(ctx)
}

// failure finds what go test says of a test that fails, or of a process that ends by a signal.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^(SIGSEGV|SIGBUS|SIGFPE|panic):|^(\S+) \[build failed\]`)

// test returns the name of the first test that fails, and nothing where none does.
func (g *garden) test(ctx context.Context) (failed string, err error) {
	simulator, err := g.command(ctx, "scripts/build-cuda-simulator").Output()
	if err != nil {
		return "", fmt.Errorf("scripts/build-cuda-simulator: %w", err)
	}
	command := g.command(ctx, "go", "test", "-count=1", "-failfast", "-tags", "gpu",
		"-timeout", "10m", "-run", g.tests, "./internal/cuda")
	command.Env = append(os.Environ(), "GOFLAGS=-trimpath", "SLIPWAY_CUDA_SIMULATOR="+strings.TrimSpace(string(simulator)))
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !errors.As(err, &exit):
		return "", fmt.Errorf("go test: %w", err)
	}
	found := failure.FindSubmatch(output)
	switch {
	case found == nil:
		return "", fmt.Errorf("go test fails without naming a test:\n%s", output)
	case len(found[3]) > 0:
		return "", fmt.Errorf("it does not compile:\n%s", output)
	case len(found[2]) > 0:
		return "the process ends by " + string(found[2]), nil
	}
	return string(found[1]), nil
}

func (g *garden) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	if strings.Contains(name, "/") {
		command.Path = filepath.Join(g.root, name)
	}
	command.Dir, command.Stderr = g.root, nil
	return command
}
