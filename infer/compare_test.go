package infer

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"slipway/internal/datasettest"
	"slipway/onnx"
)

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	// The range is 10, the tolerance 1e-3 of it 0.01.
	reference := []float32{0, 10, 5, 1, 1.005, 0}
	for name, test := range map[string]struct {
		a, b    []float32
		agree   bool
		labels  int
		maxAbs  float64
		reason  string
		decided int
	}{
		"equal": {reference, reference, true, 0, 0, "", 0},
		"within": {reference, []float32{0, 10.009765625, 5, 1, 1.005, 0}, true, 0,
			0.009765625, "", 0},
		"beyond": {reference, []float32{0, 10.03125, 5, 1, 1.005, 0}, false, 0, 0.03125,
			"image 0, class 1", 0},
		"tie turned over": {reference, []float32{0, 10, 5, 1.0078125, 1.005, 0}, true, 1, 0.0078125,
			"", 0},
		"clear label differs": {[]float32{0, 10, 5, 1, 1.0117, 0}, []float32{0, 10, 5, 1.006, 1.0057, 0},
			false, 1, 0.006, "labels differ", 1},
		"NaN on one side": {reference, []float32{0, nan, 5, 1, 1.005, 0}, false, 1, math.Inf(1),
			"NaN", 1},
		"NaN on both sides": {[]float32{0, nan, 5, 1, 2, 3}, []float32{0, nan, 5, 1, 2, 3}, false, 1,
			math.Inf(1), "NaN", 1},
		"same infinity": {[]float32{0, inf, 5, 1, 2, 10}, []float32{0, inf, 5, 1, 2, 10}, true, 0,
			0, "", 0},
		"other infinity": {[]float32{0, inf, 5, 1, 2, 3}, []float32{0, -inf, 5, 1, 2, 3}, false, 1,
			math.Inf(1), "infinite", 1},
		"constant, moved": {make([]float32, 6), []float32{1e-30, 0, 0, 0, 0, 0}, false, 0, 1e-30,
			"largest logit difference", 0},
		"constant": {make([]float32, 6), make([]float32, 6), true, 0, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Compare(Logits{N: 2, K: 3, Values: test.a}, Logits{N: 2, K: 3, Values: test.b}, 1e-3)
			if err != nil {
				t.Fatal(err)
			}
			if c.Agree() != test.agree || c.LabelsDiffer != test.labels ||
				c.DecidedLabelsDiffer != test.decided ||
				math.Abs(c.MaxAbsDiff-test.maxAbs) > 1e-6 || (c.Reason() == "") != test.agree ||
				!strings.Contains(c.Reason(), test.reason) {
				t.Errorf("%+v, agree %t, reason %q", c, c.Agree(), c.Reason())
			}
		})
	}
}

func TestCompareRefuses(t *testing.T) {
	ok := Logits{N: 1, K: 2, Values: []float32{1, 2}}
	for name, test := range map[string]struct {
		a, b      Logits
		tolerance float64
	}{
		"other N":        {ok, Logits{N: 2, K: 2, Values: make([]float32, 4)}, 1e-3},
		"other K":        {ok, Logits{N: 1, K: 3, Values: make([]float32, 3)}, 1e-3},
		"values missing": {ok, Logits{N: 1, K: 2, Values: nil}, 1e-3},
		"tolerance 0":    {ok, ok, 0},
		"tolerance 1":    {ok, ok, 1},
		"tolerance NaN":  {ok, ok, math.NaN()},
	} {
		if _, err := Compare(test.a, test.b, test.tolerance); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLabel(t *testing.T) {
	nan := float32(math.NaN())
	for want, row := range map[int][]float32{0: {2, 2, 1}, 2: {-3, -2, -1}, -1: {5, nan, 1}} {
		if got := (Logits{N: 1, K: 3, Values: row}).Label(0); got != want {
			t.Errorf("%v: %d, want %d", row, got, want)
		}
	}
}

func TestPerClass(t *testing.T) {
	// Labels 0,0,0,1,1,2; answers 0,0,1,1,none,1: class 2 is never answered.
	r := &Result{
		Classes:     3,
		Labels:      []int{0, 0, 0, 1, 1, 2},
		Predictions: []int{0, 0, 1, 1, -1, 1},
	}
	want := []ClassFigures{
		{Images: 3, Precision: 1, Recall: 2. / 3, F1: 0.8},
		{Images: 2, Precision: 1. / 3, Recall: 0.5, F1: 0.4},
		{Images: 1},
	}
	for class, f := range r.PerClass() {
		w := want[class]
		if f.Images != w.Images || math.Abs(f.Precision-w.Precision) > 1e-12 ||
			math.Abs(f.Recall-w.Recall) > 1e-12 || math.Abs(f.F1-w.F1) > 1e-12 {
			t.Errorf("class %d: %+v, want %+v", class, f, w)
		}
	}
}

func TestFormatAccuracy(t *testing.T) {
	if got := FormatAccuracy(0.9858); got != "Accuracy = 98.58 %" {
		t.Error(got)
	}
}

func TestWritePredictions(t *testing.T) {
	var b bytes.Buffer
	r := &Result{Labels: []int{1, 0}, Predictions: []int{1, -1},
		Logits: Logits{N: 2, K: 2, Values: []float32{-1.5, 0.1, float32(math.NaN()), 3}}}
	if err := WritePredictions(&b, r); err != nil {
		t.Fatal(err)
	}
	const want = "image,label,prediction,correct,logit_0,logit_1\n0,1,1,true,-1.5,0.1\n1,0,,false,NaN,3\n"
	if b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
}

func TestCheckRecorded(t *testing.T) {
	// Of four images one is undecided.
	logits := Logits{N: 4, K: 2, Values: []float32{0, 10, 10, 0, 3, 3.001, 0, 10}}
	for _, test := range []struct {
		correct int
		want    string
	}{{3, ""}, {2, ""}, {4, ""}, {1, "1 of 4"}} {
		err := CheckRecorded(&Result{Images: 4, Correct: test.correct, Logits: logits},
			onnx.TrainingRecord{TestAccuracy: 0.75, TestImages: 4}, 1e-3)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d correct of 3 recorded: %v", test.correct, err)
		}
	}
}

func TestPixelsOf(t *testing.T) {
	for _, test := range []struct {
		scale, offset float64
		byte51        float32
	}{{0, 0, 51}, {1, 0, 51}, {1.0 / 255, 0, 0.2}, {2.0 / 255, -1, -0.6}, {1, -128, -77}} {
		pixels, err := PixelsOf(onnx.TrainingRecord{PixelScale: test.scale, PixelOffset: test.offset})
		if err != nil {
			t.Fatal(err)
		}
		set := datasettest.Digits(t, 1)
		set.Images[0] = 51
		values := make([]float32, 784)
		if err := set.Fill(values, nil, []int{0}, pixels); err != nil {
			t.Fatal(err)
		}
		if math.Abs(float64(values[0]-test.byte51)) > 1e-4 {
			t.Errorf("·%g%+g: %g, want %g", test.scale, test.offset, values[0], test.byte51)
		}
	}
	if _, err := PixelsOf(onnx.TrainingRecord{PixelScale: -1}); err == nil {
		t.Error("a negative scale is accepted")
	}
}
