package main

import (
	"strings"
	"testing"
)

const header = "model,data,corruption,strength,images,accuracy,mean_confidence,above_90,above_99,unanswered\n"

// rows are a model's: four corruptions of the same accuracies, but for the first.
func rows(model, first string) string {
	text := model + ",t10k,,0,100,0.98,0.9,0.8,0.7,0\n"
	for _, name := range []string{"rotate", "shift", "scale", "thin"} {
		for _, strength := range []string{"1", "2", "3", "4", "5"} {
			accuracy := "0.5"
			if name == "rotate" {
				accuracy = first
			}
			text += model + ",t10k," + name + "," + strength + ",100," + accuracy + ",0.9,0.8,0.7,0\n"
		}
	}
	return text + model + ",fashion,,0,50,0.1,0.6,0.4,0.25,0\n"
}

func TestMarkdownSaysWhatTheTableHolds(t *testing.T) {
	d, err := read(strings.NewReader(header + rows("graphs/e1.onnx", "0.7") + rows("graphs/e2.onnx",
		"0.9")))
	if err != nil {
		t.Fatal(err)
	}
	text := string(d.markdown())
	for _, want := range []string{
		"100 images of t10k",
		"| rotate | 70.00 | 70.00 | 70.00 | 70.00 | 70.00 | **70.00** | 90.00 |",
		"E1: 98.00 % on the images as they are, 55.00 % on average",
		"least from rotate (90.00 %)",
		"on 1 of 4 corruptions: rotate (+20.00)",
		"| fashion | E2 | 50 | – | 60.00 | 40.00 % | 25.00 % |",
		"E1 is more than 99 % sure of 25.00 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"empty":         {"", "other columns"},
		"other columns": {"a,b\n1,2\n", "other columns"},
		"no number":     {header + "m,t10k,,0,many,0.9,0.9,0.9,0.9,0\n", "line 2"},
		"no strength 1": {header + "m,t10k,,0,9,1,1,1,1,0\nm,t10k,rotate,2,9,1,1,1,1,0\n", "line 3"},
		"uneven":        {header + rows("a", "0.1") + "b,t10k,,0,100,1,1,1,1,0\n", "other rows"},
	} {
		if _, err := read(strings.NewReader(test.text)); err == nil ||
			!strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}
