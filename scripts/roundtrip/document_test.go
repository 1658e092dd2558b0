package main

import (
	"strings"
	"testing"
)

func TestTheDocumentTellsWhatCameOfEach(t *testing.T) {
	of := func(name string, change func(*result)) result {
		r := result{facts: facts{Network: name, Framework: "torchvision", Exporter: "dynamo", Asked: 13,
			Opset: 18, Floats: 5, Norms: 1, Learned: 9}, layers: 3, floats: 5, norms: 1, learned: 9,
			difference: 1e-6}
		change(&r)
		return r
	}
	text := document([]result{
		of("whole", func(*result) {}),
		of("folded", func(r *result) { r.norms, r.floats = 0, 2 }),
		of("far", func(r *result) { r.difference = 2e-5 }),
		of("refused", func(r *result) { r.refusal = "2 reasons:\n  one\n  two" }),
		of("broken", func(r *result) { r.Error = "RuntimeError: no" }),
	})
	for _, want := range []string{
		"Of 5 files, 1 become networks with every tensor, and 1 with batch normalisation folded",
		"| whole | torchvision | dynamo | 13, is 18 | yes | 3 | 1 | 5 | 9 | 1.0e-06 |",
		"| folded | torchvision | dynamo | 13, is 18 | yes, folded | 3 | 0 of 1 | 2 of 5 | 9 |",
		"| far | torchvision | dynamo | 13, is 18 | differs |",
		"| refused | torchvision | dynamo | 13, is 18 | refused | | | | | | |",
		"- refused, dynamo, opset 13, is 18: 2 reasons:\n  - one\n  - two",
		"- broken, dynamo, opset 13, is 18: the exporter says: RuntimeError: no",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestDifferenceIsOfTheRange(t *testing.T) {
	if d, err := difference([]float32{1, 2.5}, []float32{0, 2}); err != nil || d != 0.5 {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := difference([]float32{1}, []float32{1, 2}); err == nil {
		t.Error("scores of another number are compared")
	}
}
