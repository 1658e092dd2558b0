package onnx_test

import (
	"reflect"
	"strings"
	"testing"

	"slipway/onnx"
)

// The accuracy of images with any number of labels has a name of its own, and nothing is left of
// the other when the record changes.
func TestARecordOfSeveralLabels(t *testing.T) {
	model := tinyModel(t)
	usual := onnx.TrainingRecord{DataSet: "mine", TestAccuracy: 0.5, TestImages: 4, PixelScale: 1}
	several := usual
	several.Probabilities, several.LabelsPerImage = onnx.SigmoidOfScores, onnx.AnyLabels
	for _, want := range []onnx.TrainingRecord{several, usual, several} {
		if err := model.SetTrainingRecord(want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := model.TrainingRecord()
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("read back %+v, %v; want %+v", got, err, want)
		}
		metadata := model.Metadata()
		if _, subset := metadata["slipway.test_subset_accuracy"]; subset != want.MultiLabel() {
			t.Errorf("%v", metadata)
		}
		if _, plain := metadata["slipway.test_accuracy"]; plain == want.MultiLabel() {
			t.Errorf("%v", metadata)
		}
	}
	if err := model.ForgetAccuracy(); err != nil {
		t.Fatal(err)
	}
	if got, _, err := model.TrainingRecord(); err != nil || got.TestImages != 0 ||
		got.TestAccuracy != 0 || !got.MultiLabel() ||
		strings.Contains(strings.Join(keysOf(model.Metadata()), " "), "subset_accuracy") {
		t.Errorf("%+v, %v", got, err)
	}
	bad := several
	bad.LabelsPerImage = "two"
	if err := model.SetTrainingRecord(bad); err == nil ||
		!strings.Contains(err.Error(), `an image has "two" labels`) {
		t.Errorf("%v", err)
	}
}

func keysOf(metadata map[string]string) []string {
	var keys []string
	for key := range metadata {
		keys = append(keys, key)
	}
	return keys
}
