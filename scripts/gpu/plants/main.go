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
  plants -record docs/gpu-plants.md      and keep what is found: a run that is stopped goes on there
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
	tests := flags.String("run", "",
		"run only the tests whose name matches this `pattern`; not with -record")
	path := flags.String("record", "", "keep the results in this `file`: bugs that it has of these\n"+
		"sources are not tried again, and the test that noticed one before goes first")
	again := flags.Bool("again", false,
		"with -record: try those as well that the file has of these sources")
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil || flags.NArg() > 0:
		os.Exit(2)
	case *path != "" && *tests != "":
		wrong("-run is not for -record: what some tests miss, others may notice")
	case *path == "" && *again:
		wrong("-again needs -record")
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		wrong(fmt.Sprintf("-only: %v", err))
	}
	if _, err := regexp.Compile(*tests); err != nil {
		wrong(fmt.Sprintf("-run: %v", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *path, wanted, *tests, *again, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "plants: %v\n", err)
		os.Exit(1)
	}
}

// wrong ends the program, which was called in a way that it does not know.
func wrong(why string) {
	fmt.Fprintf(os.Stderr, "plants: %s: see -help\n", why)
	os.Exit(2)
}

func run(
	ctx context.Context, path string, wanted *regexp.Regexp, tests string, again bool, out io.Writer,
) (err error) {
	kept, err := readRecord(path)
	if err != nil {
		return err
	}
	garden, err := newGarden(tests)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(garden.root)) }()
	left, known, err := garden.left(kept, wanted, again)
	if err != nil {
		return err
	}
	var missed int
	if len(left) > 0 {
		if missed, err = garden.try(ctx, left, kept, out); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n%d of %d were caught", len(left)-missed, len(left))
	if known > 0 {
		fmt.Fprintf(out, ", besides %d that %s says were caught in these sources", known, path)
	}
	fmt.Fprintln(out, ".")
	if missed > 0 {
		return fmt.Errorf("%d bugs were not caught", missed)
	}
	return nil
}

// trial is a bug that is to be planted, and the digest of what it is planted in.
type trial struct {
	plant
	sources string
}

// left returns the wanted bugs that are to be tried, and how many are known to be caught.
func (g *garden) left(kept *record, wanted *regexp.Regexp, again bool) (left []trial, known int,
	err error) {
	all, err := readSources(g.sources())
	if err != nil {
		return nil, 0, err
	}
	for _, p := range plants() {
		if !wanted.MatchString(p.name) {
			continue
		}
		sources := all.with(p)
		if !again && kept.known(p, sources) {
			known++
			continue
		}
		left = append(left, trial{p, sources})
	}
	return left, known, nil
}

// try plants one bug after the other, prints and keeps who notices it, and returns how many nobody
// does.
func (g *garden) try(ctx context.Context, left []trial, kept *record, out io.Writer) (missed int,
	err error) {
	began := time.Now()
	if failed, err := g.test(ctx, g.tests); err != nil || failed != "" {
		return 0, errors.Join(err, fmt.Errorf("the tests fail without a bug: %s", failed))
	}
	g.patience = 3*time.Since(began) + time.Minute
	fmt.Fprintln(out, "| planted | in | caught by | s |")
	fmt.Fprintln(out, "| --- | --- | --- | ---: |")
	for _, p := range left {
		began := time.Now()
		failed, err := g.planted(ctx, p.plant, kept.suspect(p.plant))
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		switch {
		case err != nil: // it could not be planted, which catches nothing
			fmt.Fprintf(os.Stderr, "plants: %s: %v\n", p.name, err)
			failed = notTried
		case failed == "":
			failed = nothing
		}
		one := result{failed, int(time.Since(began).Round(time.Second).Seconds()), p.sources}
		if !one.caught() {
			missed++
		}
		kept.results[p.name] = one
		fmt.Fprintf(out, "| %s | `%s` | %s | %d |\n", p.name, p.file, failed, one.seconds)
		if err := kept.write(plants()); err != nil {
			return 0, err
		}
	}
	return missed, nil
}

// garden is a copy of the sources, in which bugs are planted, and which tests look for them: all if
// there is no pattern.
type garden struct {
	root, tests string
	patience    time.Duration // how long the tests may take until they count as hanging
}

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
	g := &garden{root, tests, time.Hour}
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

// sources is the folder of the packages in which bugs are planted.
func (g *garden) sources() string { return filepath.Join(g.root, "internal") }

// planted runs the tests with a bug in the copy, and takes it out again. The suspect, if there is
// one, is the test that is run first, alone.
func (g *garden) planted(ctx context.Context, p plant, suspect string) (failed string, err error) {
	path := filepath.Join(g.sources(), "cuda", p.file)
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
	if suspect != "" {
		alone := *g
		alone.patience = min(g.patience, mostAlone)
		if failed, err := alone.test(ctx, "^"+suspect+"$"); err != nil || failed != "" {
			return failed, err
		}
	}
	return g.test(ctx, g.tests)
}

// mostAlone is how long a suspect may take until it counts as hanging: none takes two minutes.
const mostAlone = 10 * time.Minute

// failure finds what go test says of a test that fails, or of a process that ends by a signal.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^(SIGSEGV|SIGBUS|SIGFPE|panic):|(\[build failed\])`)

// begun finds the tests that go test -v says it runs.
var begun = regexp.MustCompile(`(?m)^=== RUN +(Test\w+)$`)

// test runs the tests whose name matches a pattern. It returns the name of the first that fails,
// with the signal if the process ends by one, and nothing where none does.
func (g *garden) test(ctx context.Context, pattern string) (failed string, err error) {
	simulator, err := g.command(ctx, "scripts/build-cuda-simulator").Output()
	if err != nil {
		return "", fmt.Errorf("scripts/build-cuda-simulator: %w", err)
	}
	command := g.command(ctx, "go", "test", "-count=1", "-failfast", "-v", "-tags", "gpu",
		"-timeout", g.patience.String(), "-run", pattern, "./internal/cuda")
	command.Env = append(os.Environ(), "GOFLAGS=-trimpath",
		"SLIPWAY_CUDA_SIMULATOR="+strings.TrimSpace(string(simulator)))
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
	return firstFailure(output)
}

// firstFailure reads from what go test -v printed which test failed first.
func firstFailure(output []byte) (string, error) {
	found := failure.FindSubmatchIndex(output)
	if found == nil {
		return "", fmt.Errorf("go test fails without naming a test:\n%s", output)
	}
	switch test, signal, build := found[2:4], found[4:6], found[6:8]; {
	case build[0] >= 0:
		return "", fmt.Errorf("it does not compile:\n%s", output)
	case test[0] >= 0:
		return string(output[test[0]:test[1]]), nil
	default:
		ends := "the process ends by " + string(output[signal[0]:signal[1]])
		if running := begun.FindAllSubmatch(output[:found[0]], -1); running != nil {
			ends = string(running[len(running)-1][1]) + ": " + ends
		}
		return ends, nil
	}
}

func (g *garden) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	if strings.Contains(name, "/") {
		command.Path = filepath.Join(g.root, name)
	}
	command.Dir = g.root
	// What it started ends with it: the tests are a child of go test.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	return command
}
