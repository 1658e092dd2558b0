package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The comments of testdata/statuses say what becomes of each line's mutants.
func TestMutate(t *testing.T) {
	module := testModule(t, "statuses")
	copyTestdata(t, module, "witness")
	witnesses["statuses"] = []string{"witness"}
	t.Cleanup(func() { delete(witnesses, "statuses") })
	const file = "statuses/statuses.go"
	want, counts := map[string]int{}, map[string]int{}
	text, err := os.Open(filepath.Join(module, file))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	line, comments := 0, regexp.MustCompile(`// mutants: (.*)`)
	for lines := bufio.NewScanner(text); lines.Scan(); {
		line++
		if comment := comments.FindStringSubmatch(lines.Text()); comment != nil {
			for status := range strings.SplitSeq(comment[1], ", ") {
				want[fmt.Sprintf("%s:%d: %s", file, line, status)]++
				if status != "does not compile" {
					counts[strings.ToUpper(status)]++
				}
			}
		}
	}
	var told strings.Builder
	results := map[string]result{}
	save := func(name string, r result) error {
		results[name] = r
		return nil
	}
	try := func(one task) {
		t.Helper()
		told.Reset()
		err := mutate(t.Context(), module, t.TempDir(), "statuses", []task{one}, save, &told, true)
		if err != nil {
			t.Fatal(err)
		}
	}
	try(task{file: file})
	got := map[string]int{}
	of := regexp.MustCompile(`(?m)^(\S+:\d+):\d+: .*: (.+)$`)
	for _, match := range of.FindAllStringSubmatch(told.String(), -1) {
		got[match[1]+": "+strings.ToLower(match[2])]++
	}
	if !maps.Equal(got, want) || !maps.Equal(results[file].Counts, counts) {
		t.Errorf("mutants and counts\n%v\n%v\nwant\n%v\n%v\n%s",
			got, results[file].Counts, want, counts, told.String())
	}
	out := "TestThatFails of statuses is left out: without a mutation: exit status 1"
	if !strings.Contains(told.String(), out) {
		t.Errorf("it says\n%s", told.String())
	}
	equal := survivor{21, 42, boundary, lived,
		"func unnoticed(a, b int) bool { return a < b } // mutants: lived, killed"}
	if !slices.Contains(results[file].Survivors, equal) {
		t.Errorf("survivors %v, want %v among them", results[file].Survivors, equal)
	}
	// A test is written, and what survived is tried again.
	write(t, filepath.Join(module, "statuses/more_test.go"), `package statuses

import "testing"

func TestEqual(t *testing.T) {
	if unnoticed(1, 1) {
		t.Fail()
	}
}
`)
	before := results[file]
	try(task{file: file, before: &before})
	counts[lived]--
	counts[killed]++
	if got := results[file].Counts; !maps.Equal(got, counts) {
		t.Errorf("with a test more: %v, want %v\n%s", got, counts, told.String())
	}
}

// A sample is of so many mutants, the same in each run, and tells of how many.
func TestSample(t *testing.T) {
	text := []byte("text")
	var mutants []*mutant
	for i := range 100 {
		mutants = append(mutants,
			&mutant{source: &source{text: text}, kind: boundary, offset: 2 * i, number: i + 1})
	}
	r, drawn := begin(task{sample: 10}, mutants)
	_, again := begin(task{sample: 10}, mutants)
	if r.SampledOf != 100 || len(drawn) != 10 || !slices.Equal(drawn, again) {
		t.Errorf("%d of %d, the same again: %v", len(drawn), r.SampledOf, slices.Equal(drawn, again))
	}
	if !slices.IsSortedFunc(drawn, func(a, b *mutant) int { return a.number - b.number }) {
		t.Error("they are not in the file's order")
	}
	if spread := drawn[9].number - drawn[0].number; spread < 30 {
		t.Errorf("they lie within %d of a hundred", spread)
	}
	if r, all := begin(task{sample: 100}, mutants); r.SampledOf != 0 || len(all) != 100 {
		t.Errorf("as many as there are: %d of %d", len(all), r.SampledOf)
	}
	more, _ := begin(task{before: &result{SampledOf: 100, Counts: map[string]int{killed: 9}}}, mutants)
	if more.SampledOf != 100 {
		t.Errorf("survivors of a sample tried again: of %d", more.SampledOf)
	}
}

func TestPlan(t *testing.T) {
	module := t.TempDir()
	for _, name := range []string{"new", "known", "changed", "surviving", "sampled"} {
		write(t, filepath.Join(module, "onnx", name+".go"), name)
	}
	known := map[string]result{
		"onnx/known.go": {Digest: digest([]byte("known"))},
		"onnx/sampled.go": {Digest: digest([]byte("sampled")), SampledOf: 9,
			Counts: map[string]int{killed: 5}},
		"onnx/changed.go":   {Digest: digest([]byte("before"))},
		"onnx/surviving.go": {Digest: digest([]byte("surviving")), Survivors: []survivor{{Line: 1}}},
	}
	files, err := choose(module, []string{"./onnx/"})
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]options{
		"onnx/changed.go onnx/new.go onnx/sampled.go":                                 {},
		"onnx/changed.go onnx/new.go onnx/sampled.go ":                                {sample: 6},
		"onnx/changed.go onnx/new.go":                                                 {sample: 5},
		"onnx/changed.go onnx/new.go onnx/sampled.go onnx/surviving.go+":              {survivors: true},
		"onnx/changed.go onnx/known.go onnx/new.go onnx/sampled.go onnx/surviving.go": {again: true},
	} {
		tasks, err := plan(module, "onnx", files, known, o)
		var got []string
		for _, task := range tasks {
			if task.before != nil {
				task.file += "+"
			}
			got = append(got, task.file)
		}
		if err != nil || strings.Join(got, " ") != strings.TrimSpace(want) {
			t.Errorf("%+v: %v, %v, want %s", o, got, err, want)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "onnx/check.go"), "")
	write(t, filepath.Join(root, "onnx/check_test.go"), "")
	write(t, filepath.Join(root, "cmd/main.go"), "")
	names := []string{"cmd", "cmd/main.go", "onnx/check_test.go", "onnx/none.go", "../onnx"}
	for _, name := range names {
		files, err := choose(root, []string{"onnx", name})
		if err == nil || !strings.Contains(err.Error(), "give builder, dataset") {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
}
