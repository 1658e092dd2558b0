package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// A task is a file to mutate: all of it, or what survived before.
type task struct {
	file   string
	before *result
}

// plan returns what is to do of the files that lie in a folder.
func plan(module, folder string, files []string, known map[string]result, o options) ([]task, error) {
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
		case o.again || !ok || before.Digest != digest(text):
			tasks = append(tasks, task{file: file})
		case o.survivors && len(before.Survivors) > 0:
			tasks = append(tasks, task{file: file, before: &before})
		}
	}
	return tasks, nil
}

// mutate tries the mutants of a package's files and saves the result of each file.
func mutate(ctx context.Context, module, temp, folder string, tasks []task, verbose bool, save func(string, result) error, told io.Writer) error {
	p, err := load(ctx, module, folder)
	if err != nil {
		return err
	}
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
	b, err := build(ctx, module, temp, p, "switched", texts)
	if err != nil {
		return err
	}
	tests, err := b.measure(ctx, count, told)
	if err != nil {
		return err
	}
	tell := func(string, ...any) {}
	if verbose {
		tell = func(format string, values ...any) { fmt.Fprintf(told, format+"\n", values...) }
	}
	for _, t := range tests {
		tell("%s: %.2f s of the processor's time", t.name, t.seconds)
	}
	for _, t := range tasks {
		r, err := try(ctx, module, temp, p, b, tests, t, mutants[t.file], tell)
		if err != nil {
			return err
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

// try tries the mutants of one file.
func try(ctx context.Context, module, temp string, p *pkg, b *binary, tests []*test, t task, mutants []*mutant, tell func(string, ...any)) (result, error) {
	r := result{Counts: map[string]int{}, Survivors: []survivor{}}
	var again map[survivor]bool
	if t.before != nil {
		again = map[survivor]bool{}
		for status, count := range t.before.Counts {
			if !survived(status) {
				r.Counts[status] = count
			}
		}
		for _, s := range t.before.Survivors {
			s.Status = ""
			again[s] = true
		}
	}
	for _, m := range mutants {
		if again != nil && !again[survivorOf(m, "")] {
			continue
		}
		status, err := statusOf(ctx, module, temp, p, b, tests, m)
		if err != nil {
			return result{}, err
		}
		tell("%s:%d:%d: %s to %s: %s", t.file, m.line, m.column, m.from, m.to, cmp.Or(status, "does not compile"))
		if status == "" {
			continue
		}
		r.Counts[status]++
		if survived(status) {
			r.Survivors = append(r.Survivors, survivorOf(m, status))
		}
	}
	slices.SortFunc(r.Survivors, bySite)
	return r, nil
}

// statusOf tries a mutant, with a build of its own if it needs that, and returns "" if it does
// not compile.
func statusOf(ctx context.Context, module, temp string, p *pkg, b *binary, tests []*test, m *mutant) (string, error) {
	if m.ownBuild {
		own, err := build(ctx, module, temp, p, "own", map[string]string{m.source.name: string(m.text())})
		if err != nil {
			return "", ctx.Err()
		}
		return own.status(ctx, tests, 0)
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
	return b.status(ctx, evaluate, m.number)
}
