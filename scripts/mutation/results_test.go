package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestResultsAndPage(t *testing.T) {
	results := map[string]result{
		"onnx/check.go": {Digest: "d", Commit: "c", Date: "2027-01-02", CPU: "CPU",
			Counts: map[string]int{killed: 7, lived: 2, timedOut: 1}, Survivors: []survivor{
				{3, 4, boundary, lived, "if a < b {"}, {5, 6, logical, lived, "return a && b"}}},
		"onnx/build.go": {Counts: map[string]int{notCovered: 1}, Survivors: []survivor{
			{1, 2, negative, notCovered, "return -a"}}},
	}
	sampled := results["onnx/check.go"]
	sampled.SampledOf = 40
	results["infer/head.go"] = sampled
	folder := t.TempDir()
	name, page := filepath.Join(folder, "results.json"), filepath.Join(folder, "page.md")
	if none, err := readResults(name); err != nil || len(none) > 0 {
		t.Errorf("before the first: %v, %v", none, err)
	}
	if err := writeResults(name, results); err != nil {
		t.Fatal(err)
	}
	if got, err := readResults(name); err != nil || !reflect.DeepEqual(got, results) {
		t.Errorf("read back: %v, %v", got, err)
	}
	write(t, page, "Before `return -a`.\n\n"+beginMark+"\nold\n"+endMark+
		"\nAfter:\n- check.go, `if a < b {`, it is equal.\n- gone.go, `x < 1`, it was equal.\n"+
		"- head.go, `x < 1`, it is equal.\n")
	if err := writePage(page, results); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Before `return -a`.\n\n" + beginMark + "\n| package |",
		"| onnx | 2 | 11 | 7 | 2 | 1 | 1 |\n",
		"| infer | 1 | 10 of 40 | 7 |", "| infer/head.go | 10 of 40 | 7 |",
		"| onnx/check.go | 10 | 7 | 2 | 0 | 1 | c | 2027-01-02 | CPU |\n" +
			endMark + "\nAfter:\n- check.go, `if a < b {`, it is equal.\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks\n%s\nit is\n%s", want, text)
		}
	}
	places, err := untold(page, results)
	want := []string{"infer/head.go:5:6: lived: INVERT_LOGICAL: return a && b",
		"onnx/build.go:1:2: not covered: INVERT_NEGATIVES: return -a",
		"onnx/check.go:5:6: lived: INVERT_LOGICAL: return a && b"}
	if err != nil || !reflect.DeepEqual(places, want) {
		t.Errorf("untold %q, %v, want %q", places, err, want)
	}
	lines, err := overtaken(page, results)
	if want := []string{"gone.go: x < 1"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("overtaken %q, %v, want %q", lines, err, want)
	}
	write(t, page, "no marks")
	err = writePage(page, results)
	if err == nil || !strings.Contains(err.Error(), "put them where the tables belong") {
		t.Errorf("a page without marks: %v", err)
	}
	write(t, name, "{")
	if _, err := readResults(name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a damaged file: %v", err)
	}
}
