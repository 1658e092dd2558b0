package infer

import (
	"strings"
	"testing"
	"time"

	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/onnx"
)

// A record's accuracy is of the set that it names by its digest; one of before that, of
// MNIST's test set if the model is of MNIST.
func TestRecordedTestSet(t *testing.T) {
	whole, err := dataset.Open(t.Context(), string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	few := datasettest.Digits(t, 5)
	called := *few
	called.Name = string(dataset.Test)
	renamed := *whole
	renamed.Name = "mine"
	for name, test := range map[string]struct {
		record onnx.TrainingRecord
		set    *dataset.Set
		is     bool
		named  string
	}{
		"by its digest": {onnx.TrainingRecord{TestSet: "mine", TestImages: 5,
			TestSHA256: few.Digest()}, few, true, "mine"},
		"another digest": {onnx.TrainingRecord{DataSet: "train", TestImages: 10_000,
			TestSHA256: few.Digest()}, whole, false, "t10k"},
		"fewer images": {onnx.TrainingRecord{TestSet: "mine", TestImages: 6,
			TestSHA256: few.Digest()}, few, false, "mine"},
		"MNIST's": {onnx.TrainingRecord{DataSet: "train", TestImages: 10_000}, whole,
			true, "t10k"},
		"MNIST's, by its older name": {onnx.TrainingRecord{DataSet: "mnist", TestImages: 10_000}, whole,
			true, "t10k"},
		"of a model of another set": {onnx.TrainingRecord{DataSet: "mine", TestImages: 10_000}, whole,
			false, ""},
		"only called as MNIST's": {onnx.TrainingRecord{DataSet: "train", TestImages: 5}, &called,
			false, "t10k"},
		"called otherwise": {onnx.TrainingRecord{DataSet: "train", TestImages: 10_000},
			&renamed, false, "t10k"},
		"another set named": {onnx.TrainingRecord{DataSet: "train", TestSet: "mine",
			TestImages: 5}, few, false, "mine"},
	} {
		if is := IsRecordedTest(test.record, test.set); is != test.is {
			t.Errorf("%s: %t", name, is)
		}
		if named := RecordedTestSet(test.record); named != test.named {
			t.Errorf("%s: the set is %q, want %q", name, named, test.named)
		}
	}
}

// Names of classes contradict each other only where both are known.
func TestOtherClasses(t *testing.T) {
	set := dataset.Info{Name: "mine", ClassNames: []string{"ant", "bee"}}
	for want, model := range map[string][]string{
		"": nil, `class 1 is "wasp" in the model and "bee" in mine`: {"ant", "wasp", "fly"},
		`class 0 is "bee"`: {"bee"},
	} {
		if said := OtherClasses(model, set); !strings.HasPrefix(said, want) ||
			(said == "") != (want == "") {
			t.Errorf("%q: %q, want %q", model, said, want)
		}
	}
	if said := OtherClasses([]string{"ant", "bee", "fly"}, set); said != "" {
		t.Error(said)
	}
}

// A margin of exactly what rounding explains is undecided; what cannot be held against
// the record is refused.
func TestCheckRecordedAtItsLimit(t *testing.T) {
	// The range is 8, an eighth of it 1: of the margins 8, 1 and 2 one is undecided.
	result := Result{Images: 3, Correct: 2,
		Logits: Logits{N: 3, K: 2, Values: []float32{0, 8, 4, 5, 2, 4}}}
	record := onnx.TrainingRecord{TestAccuracy: 1, TestImages: 3}
	if err := CheckRecorded(&result, record, 0.125); err != nil {
		t.Error(err)
	}
	result.Correct = 1
	if err := CheckRecorded(&result, record, 0.125); err == nil ||
		!strings.Contains(err.Error(), "explains a difference of 1 at most") {
		t.Error(err)
	}
	result.Correct = 3
	for want, refused := range map[string]error{
		"tolerance 0": CheckRecorded(&result, record, 0),
		"of 4 images": CheckRecorded(&result, onnx.TrainingRecord{TestAccuracy: 1, TestImages: 4},
			0.125),
		"without the logits": CheckRecorded(&Result{Images: 3, Correct: 3}, record, 0.125),
	} {
		if refused == nil || !strings.Contains(refused.Error(), want) {
			t.Errorf("%v, want %q", refused, want)
		}
	}
}

func TestImagesPerSecond(t *testing.T) {
	if got := (&Result{Images: 10, Elapsed: 2 * time.Second}).ImagesPerSecond(); got != 5 {
		t.Errorf("10 images in 2 s are %v a second", got)
	}
}
