package study

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const searchText = `
fixed: {validation_fraction: 0.25}
search:
  trials: 12
  together: 2
  space:
    learning_rate: {log: [0.00001, 0.1]}
    dropout: {uniform: [0, 0.8]}
    epochs: {int: [1, 3]}
    optimizer: {choice: [adam, sgd]}
`

// A search comes to the same trials whenever it is run, on any number of threads,
// and after it was stopped at any place.
func TestASearchIsReproducible(t *testing.T) {
	first, count := execute(t, readStudy(t, "s", searchText), t.TempDir(), 1)
	if len(first) != 12 || count.finished != 12 {
		t.Fatalf("%d results of %d runs", len(first), count.finished)
	}
	pruned := 0
	for _, r := range first {
		if r.Stopped == stoppedPruned {
			pruned++
			// One that trained to its end has nothing left to be spared.
			if len(r.History) == r.Config.Epochs {
				t.Errorf("%s was pruned after the last of its %d epochs", r.Setting, r.Config.Epochs)
			}
		}
	}
	if pruned == 0 {
		t.Error("no trial was pruned")
	}
	second, _ := execute(t, readStudy(t, "s", searchText), t.TempDir(), 3)
	if table(first) != table(second) {
		t.Errorf("once:\n%s\nthe other time:\n%s", table(first), table(second))
	}

	// Stopped twice, and then asked for two trials more.
	root := t.TempDir()
	for _, stopAfter := range []int{3, 7} {
		ctx, stop := context.WithCancel(t.Context())
		epochs := 0
		_, err := Execute(ctx, readStudy(t, "s", searchText),
			Options{Root: root, Progress: &counter{onEpoch: func() {
				if epochs++; epochs == stopAfter {
					stop()
				}
			}}})
		if !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped after %d epochs: %v", stopAfter, err)
		}
	}
	third, count := execute(t,
		readStudy(t, "s", strings.Replace(searchText, "trials: 12", "trials: 14", 1)), root, 2)
	if len(third) != 14 || table(first) != table(third[:12]) {
		t.Errorf("unbroken:\n%s\nstopped twice, with two trials more:\n%s", table(first), table(third))
	}
	if count.began >= 14 {
		t.Error("the trials before the stop were trained again")
	}
}

// The plan of a search that is under way says how many trials there will be, and keeps
// those that it knows when the search goes on.
func TestThePlanOfAnUnfinishedSearch(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s", searchText)
	interrupt(t, file, root, 9)
	before, err := ReadPlan(filepath.Join(root, "s"))
	if err != nil {
		t.Fatal(err)
	}
	if before.Size() != 12 || len(before.Runs) <= 2 || len(before.Runs) >= 12 {
		t.Fatalf("%d runs of %d", len(before.Runs), before.Size())
	}
	// Stopped at once, the search has come to its first trials only.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if _, err := Execute(ctx, file,
		Options{Root: root, Progress: &counter{onPlanned: stop}}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	after, err := ReadPlan(filepath.Join(root, "s"))
	if err != nil || len(after.Runs) != len(before.Runs) {
		t.Errorf("%d runs, %d before (%v)", len(after.Runs), len(before.Runs), err)
	}
	// Fewer trials are what the study has then.
	results, _ := execute(t,
		readStudy(t, "s", strings.Replace(searchText, "trials: 12", "trials: 2", 1)), root, 2)
	if len(results) != 2 {
		t.Errorf("%d results of 2 trials", len(results))
	}
}

// The test set has no say: what the search proposes is the same whatever the test
// images are.
func TestTheTestSetHasNoSay(t *testing.T) {
	settings := func(text string) (names []string) {
		results, _ := execute(t, readStudy(t, "s", text), t.TempDir(), 2)
		for _, r := range results {
			names = append(names, r.Setting+" "+r.Stopped)
		}
		return names
	}
	a := settings(searchText)
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path,
		[]byte(strings.Replace(small, "test_images: 100", "test_images: 10",
			1)+searchText), 0o666); err != nil {
		t.Fatal(err)
	}
	file, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	results, _ := execute(t, file, t.TempDir(), 2)
	for i, r := range results {
		if got := r.Setting + " " + r.Stopped; got != a[i] {
			t.Errorf("trial %d is %s with one test set and %s with another", i, a[i], got)
		}
	}
}

// A search whose network or short form was changed is another one; the names of those
// that are there stay.
func TestNamesOfSearches(t *testing.T) {
	const space = "fixed: {validation_fraction: 0.1}\nsearch: {trials: 2, space: {l1: {log: [0.1, 1]}}}\n"
	name := func(text string, quick bool) string {
		t.Helper()
		file, err := ReadFile(writeStudy(t, text+space))
		if err == nil {
			err = file.Load(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if quick {
			file.Shorten()
		}
		id, err := studyName(file)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	// Of storages that exist: their trials are part of the addresses of runs.
	got := []string{name("", false), name("", true), name("from: none\n", false)}
	if want := []string{"mine-fb4986df", "mine-c426b156", "mine-3be74f26"}; !slices.Equal(got, want) {
		t.Errorf("the names are %q", got)
	}
	network := func(units string) string {
		return "base: n\nnetworks:\n  n:\n  - flatten\n  - dense: {units: " +
			units + "}\n  - relu\n  - dense: {units: 10}\n"
	}
	if name(network("20"), false) == name(network("21"), false) {
		t.Error("another network has the same search")
	}
	if name("quick: {epochs: 1}\n", true) != name("", true) ||
		name("quick: {epochs: 2}\n", true) == name("", true) {
		t.Error("the short form's epochs do not tell it apart, or its default does")
	}
	if name("quick: {epochs: 2}\n", false) != name("", false) {
		t.Error("the short form's epochs tell the full form apart")
	}
	model := filepath.Join(t.TempDir(), "m.onnx")
	writeModel(t, model, 0)
	before := name("from: "+model+"\n", false)
	if again := name("from: "+model+"\n", false); again != before {
		t.Errorf("the same model has the searches %s and %s", before, again)
	}
	writeModel(t, model, 1)
	if after := name("from: "+model+"\n", false); after == before {
		t.Error("other weights in the model's file have the same search")
	}
}

// A journal that ends in the middle of a line, as a crash leaves it, goes on before that line; one
// that is no journal is named with its line and the remedy, and stays as it is.
func TestDamagedJournals(t *testing.T) {
	root := t.TempDir()
	whole, _ := execute(t, readStudy(t, "s", searchText), root, 1)
	found, err := filepath.Glob(filepath.Join(root, "s", "search-*.jsonl"))
	if err != nil || len(found) != 1 {
		t.Fatalf("journals %v (%v)", found, err)
	}
	path := found[0]
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(journal, []byte("\n"))
	for _, size := range []int{1, len(journal) / 3, len(journal) - len(lines[len(lines)-2])/2} {
		if err := os.WriteFile(path, journal[:size], 0o666); err != nil {
			t.Fatal(err)
		}
		again, _ := execute(t, readStudy(t, "s", searchText), root, 2)
		if table(again) != table(whole) {
			t.Errorf("cut to %d of %d bytes:\n%s\nwhole:\n%s", size, len(journal), table(again),
				table(whole))
		}
	}
	const begun = `{"event":"trial","trial":0}` + "\n"
	precious := filepath.Join(t.TempDir(), "precious")
	if err := errors.Join(os.WriteFile(precious, []byte("no newline"), 0o666), os.Remove(path),
		os.Symlink(precious, path)); err != nil {
		t.Fatal(err)
	}
	_, err = Execute(t.Context(), readStudy(t, "s", searchText),
		Options{Root: root, Progress: new(counter)})
	if text, readErr := os.ReadFile(precious); err == nil || readErr != nil ||
		string(text) != "no newline" {
		t.Errorf("a journal that is a link: %v, and what it leads to is %q (%v)", err, text, readErr)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"no journal\n": ":1: ",
		begun + `{"event":"trial","trial":0}` + "\n":                           ":2: ",
		begun + `{"event":"value","trial":1,"value":1}` + "\n":                 ":2: ",
		begun + `{"event":"value","trial":-1,"value":1}` + "\n":                ":2: ",
		begun + `{"event":"state","trial":0,"text":"lost"}` + "\n":             ":2: ",
		begun + `{"event":"value","trial":0}` + "\n":                           ":2: ",
		begun + `{"event":"trial","trial":1}{"garbage` + "\n":                  ":2: ",
		begun + `{"event":"forget","trial":0}` + "\n":                          ":2: ",
		begun + `{"event":"value","trial":0,"volume":1}` + "\n":                ":2: ",
		begun + `{"event":"parameter","trial":0,"name":"lr","value":7}` + "\n": ":2: ",
		begun + `{"event":"parameter","trial":0,"name":"lr","value":7,"distribution":` +
			`{"name":"CategoricalDistribution","attributes":{"choices":["a"]}}}` + "\n": ":2: ",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Execute(t.Context(), readStudy(t, "s", searchText),
			Options{Root: root, Progress: new(counter)})
		if err == nil || !strings.Contains(err.Error(), path+want) ||
			!strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q: it is %q after that (%v)", text, got, err)
		}
	}
}
