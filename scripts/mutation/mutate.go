package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// A task is a file to mutate: all of it, a sample of its mutants, or what survived before.
type task struct {
	file   string
	sample int // at most so many mutants; 0 is all
	before *result
}

// plan returns what is to do of the files that lie in a folder.
func plan(module, folder string, files []string, known map[string]result,
	o options) ([]task, error) {
	var tasks []task
	for _, file := range files {
		if path.Dir(file) != folder {
			continue
		}
		text, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		before, ok := known[file]
		switch {
		case o.again || !ok || before.Digest != digest(text) || before.smallerThan(o.sample):
			tasks = append(tasks, task{file: file, sample: o.sample})
		case o.survivors && len(before.Survivors) > 0:
			tasks = append(tasks, task{file: file, before: &before})
		}
	}
	return tasks, nil
}

// mutate tries the mutants of a package's files and saves the result of each file. It tells of
// tests that fail without a mutation, and of each mutant if it shall.
func mutate(ctx context.Context, module, temp, folder string, tasks []task,
	save func(string, result) error, told io.Writer, verbose bool) error {
	p, err := load(ctx, module, folder)
	if err != nil {
		return err
	}
	w := &workshop{module, temp, p}
	mutants, texts, count := map[string][]*mutant{}, map[string]string{}, 0
	for _, s := range p.sources {
		if !slices.ContainsFunc(tasks, func(t task) bool { return t.file == s.name }) {
			continue
		}
		found := find(p, s)
		for _, m := range found {
			count++
			m.number = count
		}
		mutants[s.name], texts[s.name] = found, string(rewrite(p, s, found))
	}
	texts[path.Join(folder, "mutation_switches.go")] = switchesFor(p, count)
	var tests []*test
	for _, tested := range append([]string{folder}, witnesses[folder]...) {
		b, err := w.build(ctx, "switched", tested, texts)
		if err != nil {
			return err
		}
		measured, err := b.measure(ctx, count, told)
		if err != nil {
			return err
		}
		if tested != folder {
			measured = slices.DeleteFunc(measured, func(t *test) bool { return t.seconds > slowWitness })
		}
		tests = append(tests, measured...)
	}
	tell := func(string, ...any) {}
	if verbose {
		tell = func(format string, values ...any) { fmt.Fprintf(told, format+"\n", values...) }
	}
	for _, t := range tests {
		tell("%s: %.2f s of the processor's time", t.name, t.seconds)
	}
	for _, t := range tasks {
		r, wanted := begin(t, mutants[t.file])
		for _, m := range wanted {
			status, err := w.status(ctx, tests, m)
			if err != nil {
				return err
			}
			tell("%s:%d:%d: %s to %s: %s", t.file, m.line, m.column, m.from, m.to,
				cmp.Or(status, "does not compile"))
			r.add(m, status)
		}
		text, err := os.ReadFile(filepath.Join(module, t.file))
		if err != nil {
			return fmt.Errorf("mutation: %w", err)
		}
		r.Digest = digest(text)
		if err := save(t.file, r); err != nil {
			return err
		}
	}
	return nil
}

// begin returns the result of a file before the mutants that are to be tried, and those.
func begin(t task, mutants []*mutant) (result, []*mutant) {
	r := result{Counts: map[string]int{}, Survivors: []survivor{}}
	if t.before == nil {
		if t.sample > 0 && len(mutants) > t.sample {
			r.SampledOf, mutants = len(mutants), sample(mutants, t.sample)
			r.Drawn = len(mutants)
		}
		return r, mutants
	}
	r.SampledOf, r.Drawn = t.before.SampledOf, t.before.Drawn
	for status, count := range t.before.Counts {
		if !survived(status) {
			r.Counts[status] = count
		}
	}
	return r, slices.DeleteFunc(mutants, func(m *mutant) bool {
		return !slices.ContainsFunc(t.before.Survivors, func(s survivor) bool {
			return s == survivorOf(m, s.Status)
		})
	})
}

// sample draws count of a file's mutants, the same ones as long as the file does not change. Which
// they are follows from hashes of the file and of the mutant's place in it, so that nobody chose
// them.
func sample(mutants []*mutant, count int) []*mutant {
	rank := func(m *mutant) [sha256.Size]byte {
		return sha256.Sum256(fmt.Appendf(m.source.text[:len(m.source.text):len(m.source.text)],
			"%d %s", m.offset, m.kind))
	}
	ranks := map[*mutant][sha256.Size]byte{}
	for _, m := range mutants {
		ranks[m] = rank(m)
	}
	drawn := slices.SortedFunc(slices.Values(mutants), func(a, b *mutant) int {
		x, y := ranks[a], ranks[b]
		return bytes.Compare(x[:], y[:])
	})[:count]
	slices.SortFunc(drawn, func(a, b *mutant) int { return cmp.Compare(a.number, b.number) })
	return drawn
}

// status tries a mutant, with builds of its own if it needs that, and returns "" if it does not
// compile.
func (w *workshop) status(ctx context.Context, tests []*test, m *mutant) (string, error) {
	if m.ownBuild {
		return w.statusOfOwn(ctx, tests, m)
	}
	var evaluate []*test
	for _, t := range tests {
		if t.sees[m.number] != 0 {
			evaluate = append(evaluate, t)
		}
	}
	if len(evaluate) == 0 {
		return notCovered, nil
	}
	return status(ctx, evaluate, m.number)
}

func (w *workshop) statusOfOwn(ctx context.Context, tests []*test, m *mutant) (string, error) {
	for len(tests) > 0 {
		tested := tests[0].binary
		own, err := w.build(ctx, "own", tested.tested, map[string]string{m.source.name: string(m.text())})
		if err != nil {
			return "", ctx.Err()
		}
		var of []*test
		for ; len(tests) > 0 && tests[0].binary == tested; tests = tests[1:] {
			t := *tests[0]
			t.binary = own
			of = append(of, &t)
		}
		if result, err := status(ctx, of, 0); err != nil || result != lived {
			return result, err
		}
	}
	return lived, nil
}
