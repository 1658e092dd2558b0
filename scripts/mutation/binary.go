package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a mutant may cost: an endless loop ends after so many times the processor time that the
// tests take without it, and so many seconds. The processor's time, since a busy machine gives
// little of it; a wait for nothing ends by the clock.
const (
	times         = 10
	slackSeconds  = 3
	waitTimes     = 20
	waitSlack     = 30 * time.Second
	baselineLimit = 10 * time.Minute
	slowWitness   = 10.0 // seconds: tests of other packages that take longer are left out
	memoryBytes   = 12 << 30
)

var errTimedOut = errors.New("timed out")

// A binary is a package's compiled tests.
type binary struct {
	path   string
	tested string // the package, as below the module
	folder string // where they run
	temp   string // their temporary folder
}

// A test is one function of a binary's.
type test struct {
	binary  *binary
	name    string
	seconds float64 // of processor time, without a mutation
	wall    time.Duration
	sees    []byte // by a mutant's number: 1 if the test evaluates its operator
}

// A workshop is where the mutants of a package are made: a copy of the module, and a folder for
// what is built of it.
type workshop struct {
	module, temp string
	pkg          *pkg
}

// build compiles the tests of a package, with other texts for some files of the mutated one.
func (w *workshop) build(ctx context.Context, name, tested string,
	texts map[string]string) (*binary, error) {
	replace := map[string]string{}
	for file, text := range texts {
		to := filepath.Join(w.temp, fmt.Sprintf("%s-%d.go", name, len(replace)))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		replace[filepath.Join(w.module, filepath.FromSlash(file))] = to
	}
	overlay := filepath.Join(w.temp, name+".json")
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, data, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	b := &binary{path: filepath.Join(w.temp, name+"-"+path.Base(tested)+".test"), tested: tested,
		temp: w.temp, folder: filepath.Join(w.module, filepath.FromSlash(tested))}
	compile := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-vet=off",
		"-overlay", overlay, "-o", b.path, "./"+tested)
	compile.Dir = w.module
	if output, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mutation: the tests of %s do not compile: %w\n%s", tested, err, output)
	}
	return b, nil
}

// measure runs each test by itself without a mutation and returns those that pass, the fastest
// first.
func (b *binary) measure(ctx context.Context, mutants int, warn io.Writer) ([]*test, error) {
	list := exec.CommandContext(ctx, b.path, "-test.list", ".")
	list.Dir = b.folder
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("mutation: the list of the tests: %w", err)
	}
	var tests []*test
	for name := range strings.Lines(string(output)) {
		t := &test{binary: b, name: strings.TrimSpace(name)}
		if strings.HasPrefix(t.name, "Benchmark") {
			continue
		}
		seen := filepath.Join(b.temp, "seen")
		if err := os.WriteFile(seen, make([]byte, mutants+1), 0o644); err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		var output bytes.Buffer
		began := time.Now()
		all := limits{baselineLimit.Seconds(), baselineLimit}
		t.seconds, err = b.run(ctx, []*test{t}, all, &output, "MUTATION_SEEN="+seen)
		if err != nil {
			fmt.Fprintf(warn, "%s of %s is left out: without a mutation: %v\n%s",
				t.name, b.tested, err, output.Bytes())
			continue
		}
		t.wall = time.Since(began)
		if t.sees, err = os.ReadFile(seen); err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		tests = append(tests, t)
	}
	slices.SortStableFunc(tests, func(a, b *test) int { return cmp.Compare(a.seconds, b.seconds) })
	return tests, nil
}

// status tries a mutant with tests: one after the other, each time of twice as much as before,
// until one fails.
func status(ctx context.Context, tests []*test, number int) (string, error) {
	limit := 0.5
	for len(tests) > 0 {
		count, seconds, wall := 0, 0.0, time.Duration(0)
		for count == 0 || count < len(tests) && tests[count].binary == tests[0].binary &&
			seconds+tests[count].seconds < limit {
			seconds, wall = seconds+tests[count].seconds, wall+tests[count].wall
			count++
		}
		err := tests[0].binary.runPatiently(ctx, tests[:count], seconds, wall, number)
		var exit *exec.ExitError
		switch {
		case errors.Is(err, errTimedOut):
			return timedOut, nil
		case errors.As(err, &exit):
			return killed, nil
		case err != nil:
			return "", err
		}
		tests, limit = tests[count:], 2*limit
	}
	return lived, nil
}

// runPatiently runs again, and waits longer, where tests had less of the processor until the
// clock ended them than they need.
func (b *binary) runPatiently(ctx context.Context, tests []*test, seconds float64,
	wall time.Duration, number int) error {
	allowed := limits{times*seconds + slackSeconds, waitSlack + waitTimes*wall}
	active := "MUTATION_ACTIVE=" + strconv.Itoa(number)
	used, err := b.run(ctx, tests, allowed, nil, active)
	if errors.Is(err, errTimedOut) && used < seconds {
		allowed.wait *= 5
		_, err = b.run(ctx, tests, allowed, nil, active)
	}
	return err
}

// limits are the processor time and the time by the clock that tests may take.
type limits struct {
	seconds float64
	wait    time.Duration
}

// run runs tests and returns the processor time that they took: an error that is errTimedOut
// beyond a limit, an *exec.ExitError if one fails.
func (b *binary) run(ctx context.Context, tests []*test, allowed limits, output io.Writer,
	environment ...string) (used float64, err error) {
	names := make([]string, len(tests))
	for i, t := range tests {
		names[i] = t.name
	}
	patience, cancel := context.WithTimeout(ctx, allowed.wait)
	defer cancel()
	command := exec.CommandContext(patience, b.path, "-test.run=^("+strings.Join(names, "|")+")$",
		"-test.failfast", "-test.cpu=1", "-test.timeout=0")
	command.Dir, command.Stdout, command.Stderr = b.folder, output, output
	command.WaitDelay = time.Second
	limit := math.Ceil(allowed.seconds)
	command.Env = append(os.Environ(), "TMPDIR="+b.temp,
		fmt.Sprintf("MUTATION_SECONDS=%.0f", limit),
		fmt.Sprintf("MUTATION_BYTES=%d", int64(memoryBytes)))
	command.Env = append(command.Env, environment...)
	err = command.Run()
	if command.ProcessState != nil {
		used = (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && (patience.Err() != nil || used >= limit):
		err = errTimedOut
	}
	return used, err
}
