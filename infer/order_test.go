package infer

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The clearest change of a label and the largest difference come first, the first of two alike
// before the other.
func TestWhatDiffersMostComesFirst(t *testing.T) {
	nan := float32(math.NaN())
	a := Logits{N: 6, K: 2, Values: []float32{1, 0, 5, 0, 1, 0, 3, 0, 2, 0, 0, 0}}
	b := Logits{N: 6, K: 2, Values: []float32{0, 1, 0, 5, 1, 0, 0, 1, nan, 0, 0, 0.5}}
	changes, err := ChangedLabels(a, b)
	var images []int
	for _, change := range changes {
		images = append(images, change.Image)
	}
	if want := []int{4, 1, 3, 0, 5}; err != nil || !slices.Equal(images, want) {
		t.Errorf("changed labels of %v, %v, want %v", images, err, want)
	}
	worst, err := WorstImages(a, b, 4)
	if want := []int{4, 1, 3, 0}; err != nil || !slices.Equal(worst, want) {
		t.Errorf("the worst are %v, %v, want %v", worst, err, want)
	}
	if _, err := WorstImages(a, Logits{N: 6, K: 2, Values: nil}, 1); err == nil ||
		!strings.Contains(err.Error(), "6×2 logits must have 12 values, not 12 and 0") {
		t.Errorf("%v", err)
	}
}

// A table names files where there is one for each image, and nothing as the prediction of an
// image without an answer.
func TestPredictionsOfFiles(t *testing.T) {
	result := Result{Labels: []int{0, 1, 0}, Predictions: []int{0, -1, 1}}
	for want, files := range map[string][]string{
		"image,file,label,prediction,correct\n0,a,0,0,true\n1,b,1,,false\n2,c,0,1,false\n": {"a", "b",
			"c"},
		"image,label,prediction,correct\n0,0,0,true\n1,1,,false\n2,0,1,false\n": nil,
	} {
		result.Files = files
		var table strings.Builder
		if err := WritePredictions(&table, &result); err != nil || table.String() != want {
			t.Errorf("%v\n%swant\n%s", err, table.String(), want)
		}
	}
	var table strings.Builder
	if err := WritePredictions(&table, &Result{}); err != nil ||
		table.String() != "image,label,prediction,correct\n" {
		t.Errorf("of no image: %q, %v", table.String(), err)
	}
}
