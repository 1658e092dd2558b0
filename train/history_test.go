package train

import (
	"encoding/json"
	"slices"
	"testing"
)

// A history's table has a cell for each figure, an empty one for what was not measured.
func TestHistoryAsATable(t *testing.T) {
	loss, accuracy, zero := 0.25, 0.75, 0.0
	history := History{
		{Epoch: 1, Steps: 4, MeanLoss: 0.5, LastLoss: 0.125, MeanCrossEntropy: 0.375,
			TrainAccuracy: 0.875, Seconds: 2, ImagesPerSecond: 30},
		{Epoch: 2, Steps: 4, MeanLoss: 1.0 / 3, ValidationLoss: &loss, ValidationAccuracy: &zero,
			TestAccuracy: &accuracy},
	}
	table, err := history.CSV()
	if err != nil {
		t.Fatal(err)
	}
	const want = "epoch,steps,mean_loss,last_loss,mean_cross_entropy,train_accuracy,validation_loss,validation_accuracy,test_accuracy,seconds,images_per_second\n" +
		"1,4,0.5,0.125,0.375,0.875,,,,2,30\n" +
		"2,4,0.3333333,0,0,0,0.25,0,0.75,0,0\n"
	if string(table) != want {
		t.Errorf("%s, want\n%s", table, want)
	}
	text, err := history.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var again History
	if err := json.Unmarshal(text, &again); err != nil || len(again) != 2 ||
		again[0].TestAccuracy != nil || *again[1].TestAccuracy != accuracy {
		t.Errorf("%s reads as %+v, %v", text, again, err)
	}
}

// Those who are told of a run are told what was measured of an epoch, and nothing of the rest.
func TestFiguresOfAnEpoch(t *testing.T) {
	loss, zero, precision := 0.25, 0.0, 0.75
	epoch := Epoch{Epoch: 1, MeanLoss: 0.5, MeanCrossEntropy: 0.375, TrainAccuracy: 0.875,
		ImagesPerSecond: 30, ValidationLoss: &loss, ValidationAccuracy: &zero,
		ValidationMeanAveragePrecision: &precision}
	want := []Figure{{"mean_loss", 0.5}, {"mean_cross_entropy", 0.375}, {"train_accuracy", 0.875},
		{"validation_loss", 0.25}, {"validation_accuracy", 0},
		{"validation_mean_average_precision", 0.75}, {"images_per_second", 30}}
	if got := epoch.Figures(); !slices.Equal(got, want) {
		t.Errorf("the figures are %v, want %v", got, want)
	}
}
