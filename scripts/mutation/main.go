// Mutation changes one operator of the product's code at a time and runs the tests that
// evaluate it: see docs/mutation.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `mutation changes one operator at a time and runs the tests that evaluate it.

  mutation [flags] [PACKAGE|FILE ...]      such as: mutation builder infer/compare.go

All packages are mutated if nothing is named. A file's result is kept in docs/mutation.json once it
is there, and the file is not run again until it changes or -again asks, so that an interrupted run
goes on where it was. With -sample the result is that of some of its mutants, and a run without, or
with a larger one, tries it again. The tables of docs/mutation.md are written again from it; the rest of that
page, which says of each survivor why it is left, is kept. Survivors that it does not quote are told
at the end, and where all packages were named what it says of survivors that there are no more. Results
of files that are gone are forgotten.

Exit status: 0 done; 1 tests do not compile, or the page is not true of a survivor; 2 wrong usage.

Flags:
`

// packages are what is mutated, with the tests of each package itself, and with those of its
// witnesses: packages whose tests ask for what this one computes.
var packages = []string{
	"builder", "dataset", "dataset/feed", "train", "onnx", "onnx/convert", "infer", "infer/port",
}

var witnesses = map[string][]string{
	"builder": {"onnx/convert"}, "dataset/feed": {"train"}, "onnx": {"onnx/convert", "infer"},
	"onnx/convert": {"infer"},
	"infer/port":   {"infer"},
}

const resultsFile, pageFile = "docs/mutation.json", "docs/mutation.md"

// options say what is run again.
type options struct {
	again, survivors, verbose bool
	sample                    int // mutants of each file, 0 for all
}

func main() {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	var o options
	flags.BoolVar(&o.again, "again", false, "run files again that have a result")
	flags.BoolVar(&o.survivors, "survivors", false, "try what survived in files with a result again")
	flags.IntVar(&o.sample, "sample", 0,
		"try at most so many mutants of each file, drawn by hashes; 0 is all")
	flags.BoolVar(&o.verbose, "verbose", false, "tell of each mutant and test")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	if o.sample < 0 {
		fail(fmt.Errorf("mutation: -sample is %d: give 0, for all mutants, or more", o.sample), 2)
	}
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		fail(err, 1)
	}
	wanted, err := choose(root, flags.Args())
	if err != nil {
		fail(err, 2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	places, err := run(ctx, root, wanted, o, os.Stdout)
	if err != nil {
		fail(err, 1)
	}
	for _, place := range places {
		fmt.Println(place)
	}
	if len(places) > 0 {
		os.Exit(1)
	}
}

func fail(err error, status int) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(status)
}

// choose returns the files of the packages and files that are named.
func choose(root string, names []string) ([]string, error) {
	if len(names) == 0 {
		names = packages
	}
	var files []string
	for _, name := range names {
		name = path.Clean(filepath.ToSlash(name))
		folder := name
		if strings.HasSuffix(name, ".go") {
			folder = path.Dir(name)
		}
		matches, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		before := len(files)
		for _, match := range matches {
			file := path.Join(folder, filepath.Base(match))
			if !strings.HasSuffix(file, "_test.go") && (name == folder || name == file) {
				files = append(files, file)
			}
		}
		if !slices.Contains(packages, folder) || len(files) == before {
			return nil, fmt.Errorf("mutation: %s: give %s, or a Go file in one that is no test",
				name, strings.Join(packages, ", "))
		}
	}
	return files, nil
}

// run mutates the files that need it and returns the survivors that the page does not quote.
func run(ctx context.Context, root string, files []string, o options,
	told io.Writer) ([]string, error) {
	temp, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	defer os.RemoveAll(temp)
	module := filepath.Join(temp, "module")
	if err := copyModule(root, module); err != nil {
		return nil, err
	}
	commit, err := git(root, "rev-parse", "--short", "HEAD")
	if err != nil {
		return nil, err
	}
	results := filepath.Join(root, resultsFile)
	for _, folder := range packages {
		known, err := readResults(results)
		if err != nil {
			return nil, err
		}
		forget(root, known)
		tasks, err := plan(module, folder, files, known, o)
		if err != nil {
			return nil, err
		}
		if len(tasks) == 0 {
			continue
		}
		save := func(file string, r result) error {
			r.Commit, r.Date, r.CPU = commit, time.Now().Format(time.DateOnly), cpu()
			known, err := readResults(results) // another run may have written
			if err != nil {
				return err
			}
			forget(root, known)
			known[file] = r
			fmt.Fprintf(told, "%s: %v\n", file, r)
			return errors.Join(writeResults(results, known),
				writePage(filepath.Join(root, pageFile), known))
		}
		if err := mutate(ctx, module, temp, folder, tasks, save, told, o.verbose); err != nil {
			return nil, err
		}
	}
	known, err := readResults(results)
	if err != nil {
		return nil, err
	}
	forget(root, known)
	page := filepath.Join(root, pageFile)
	chosen := map[string]result{}
	for _, file := range files {
		if r, ok := known[file]; ok {
			chosen[file] = r
		}
	}
	places, err := untold(page, chosen)
	if err != nil || len(chosen) < len(known) {
		return places, err
	}
	lines, err := overtaken(page, known)
	for _, line := range lines {
		places = append(places, "no survivor any more: "+line)
	}
	return places, err
}

// forget takes out the results of files that are not there any more.
func forget(root string, known map[string]result) {
	for file := range known {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); os.IsNotExist(err) {
			delete(known, file)
		}
	}
}
