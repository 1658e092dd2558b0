package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"slipway/internal/atomicfile"
)

// result is what became of one bug: who noticed it, in how many seconds, in which sources.
type result struct {
	caughtBy string
	seconds  int
	sources  string
}

// The two that catch nothing. Everything else that a result says of who noticed it is a test.
const (
	nothing  = "**nothing**"
	notTried = "not tried"
)

func (r result) caught() bool {
	return r.caughtBy != nothing && r.caughtBy != notTried && r.caughtBy != ""
}

// record is the file of the results, by the bugs' names: a page that people read, and from which a
// run goes on that was stopped. A record without a path is of this run only.
type record struct {
	path    string
	results map[string]result
}

const recordHead = `# Bugs planted in the CUDA code

Written by ` + "`make gpu-plants`" + `.

It puts one bug at a time into a copy of ` + "`internal/cuda`" + ` and ` + "`internal/nccl`" + `,
and runs the tests of the first on the [simulator](cuda.md). A bug that no test notices is a gap of the tests or
of the simulator. The bugs are in ` + "`scripts/gpu/plants/plants.go`" + `.

- *caught by* is the first test that failed. When the bug is tried again, this test goes first.
- *s* is the seconds that this took: few where the test was known, all tests before it otherwise.
- *sources* is the digest of both folders and of the bug. A bug whose sources are the same is
  not tried again, but with ` + "`PLANTS_FLAGS=-again`" + `. Other folders are not in the digest.

| planted | in | caught by | s | sources |
| --- | --- | --- | ---: | --- |
`

// readRecord reads a record that write wrote. A file that does not exist has no results.
func readRecord(path string) (*record, error) {
	r := &record{path: path, results: make(map[string]result)}
	if path == "" {
		return r, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	_, rows, found := strings.Cut(string(text), recordHead[strings.Index(recordHead, "| planted"):])
	if !found {
		return nil, fmt.Errorf("%s: no table of plants in it: name another file, or remove it", path)
	}
	for _, line := range strings.Split(rows, "\n") {
		cells := strings.Split(line, " | ")
		if len(cells) == 1 { // the table is over
			break
		}
		var one result
		if len(cells) == 5 {
			one = result{caughtBy: cells[2], sources: strings.TrimSuffix(cells[4], " |")}
			_, err = fmt.Sscanf(cells[3], "%d", &one.seconds)
		}
		if len(cells) != 5 || err != nil {
			return nil, fmt.Errorf("%s: not a row of the table: %q: take it out", path, line)
		}
		r.results[strings.TrimPrefix(cells[0], "| ")] = one
	}
	return r, nil
}

// write writes the results of these bugs, in their order: what is no longer planted falls out.
func (r *record) write(all []plant) error {
	if r.path == "" {
		return nil
	}
	return atomicfile.Write(r.path, func(w io.Writer) error {
		var tried, caught int
		var page strings.Builder
		page.WriteString(recordHead)
		for _, p := range all {
			one, ok := r.results[p.name]
			if !ok {
				continue
			}
			tried++
			if one.caught() {
				caught++
			}
			fmt.Fprintf(&page, "| %s | `%s` | %s | %d | %s |\n",
				p.name, p.file, one.caughtBy, one.seconds, one.sources)
		}
		fmt.Fprintf(&page, "\n%d of %d were tried, and %d of these were caught.\n",
			tried, len(all), caught)
		_, err := io.WriteString(w, page.String())
		return err
	})
}

// known says that a bug was caught in the sources that are there now.
func (r *record) known(p plant, sources string) bool {
	one := r.results[p.name]
	return one.caught() && one.sources == sources
}

// suspect is the test that noticed a bug the last time, or nothing.
func (r *record) suspect(p plant) string {
	if test, _, _ := strings.Cut(r.results[p.name].caughtBy, ":"); strings.HasPrefix(test, "Test") {
		return test
	}
	return ""
}

// sourceFolders returns what bugs are planted in.
func sourceFolders() []string { return []string{"cuda", "nccl"} }

// sources are the files of sourceFolders, with their digests, one behind the other.
type sources string

// readSources reads those in the folder internal.
func readSources(internal string) (sources, error) {
	var names []string
	for _, folder := range sourceFolders() {
		err := filepath.WalkDir(filepath.Join(internal, folder),
			func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.Type().IsRegular() {
					names = append(names, path)
				}
				return err
			})
		if err != nil {
			return "", err
		}
	}
	sort.Strings(names)
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&all, "\n%s %x",
			filepath.ToSlash(strings.TrimPrefix(name, internal)), sha256.Sum256(text))
	}
	return sources(all.String()), nil
}

// with returns the digest of the sources and of a bug that is put into them.
func (s sources) with(p plant) string {
	all := sha256.Sum256(fmt.Appendf(nil, "%q %q %q%s", p.file, p.from, p.to, s))
	return hex.EncodeToString(all[:])[:12]
}
