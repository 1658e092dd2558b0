package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/study"
)

func TestTableGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	// Any set may be named, not only those that can be fetched.
	mine, err := dataset.NewSet("mine", []uint8{1}, []int32{0}, 1, 1, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	sets := []*dataset.Set{mine}
	results := []study.Result{{ID: "aa", Study: "e1-e2", Setting: "E1", Seed: 3},
		{ID: "bb", Study: "e1-e2", Setting: "E2"}}
	table, err := readTable(path)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(result study.Result) {
		for _, k := range keysOf(result, []string{"mine"}) {
			table.add(result, k.data, k.corruption, k.strength, infer.Confidence{Accuracy: 0.25, Mean: 0.5})
		}
	}
	fill(results[1])
	if table.has(results[0], sets) || !table.has(results[1], sets) {
		t.Error("one run of two is there")
	}
	if err := table.write(path, results, sets); err != nil {
		t.Fatal(err)
	}
	if table, err = readTable(path); err != nil {
		t.Fatal(err)
	}
	if !table.has(results[1], sets) || table.has(study.Result{ID: "cc", Setting: "E2"}, sets) {
		t.Error("what was written is not what is read, or another run is taken for it")
	}
	fill(results[0])
	if err := table.write(path, results, sets); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	each := 1 + len(corrupt.Names())*corrupt.Strengths + 1
	if len(lines) != 1+2*each || lines[2] != "e1-e2,E1,3,t10k,gaussian-noise,1,0.25,0.5,0,0,aa" ||
		!strings.HasSuffix(lines[1+each], ",bb") {
		t.Errorf("%d lines: %q, %q", len(lines), lines[2], lines[1+each])
	}
	// What was measured on other data before is kept.
	if err := table.write(path, results, nil); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(data) {
		t.Errorf("without the set the file has %d bytes, not %d (%v)", len(again), len(data), err)
	}
	row, ok := table.find(results[0], "t10k", "thin", 5)
	if !ok || row.accuracy != 0.25 {
		t.Errorf("found %v, %t", row, ok)
	}
}

func TestReadTableRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"other columns": {"a,b\n", "other columns"},
		"no number":     {strings.Join(columns(), ",") + "\ns,E1,0,t10k,,0,much,1,1,1,aa\n", "much"},
	} {
		path := filepath.Join(t.TempDir(), "r.csv")
		if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := readTable(path); err == nil || !strings.Contains(err.Error(), test.says) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q and the file", name, err, test.says)
		}
	}
}
